//! Passes over the rows of a batch.

use crate::engine::Engine;
use crate::error::{KernelError, expect_length};
use crate::lanes::{Kernel, Lanes};
use rayon::prelude::*;

/// Rows of a task: few enough to stay in cache. Fixed, so that sums are the same for any number of threads.
const BLOCK: usize = 64;

fn expect_width(width: usize) -> Result<(), KernelError> {
    if width > 0 { Ok(()) } else { Err(KernelError::option("width is 0.")) }
}

/// centered = row − offset.
struct CenterRow<'a> {
    row: &'a [f32],
    offset: &'a [f32],
    centered: &'a mut [f32],
}

impl Kernel for CenterRow<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let inputs = self.row.chunks(L::WIDTH).zip(self.offset.chunks(L::WIDTH));
        for ((row, offset), centered) in inputs.zip(self.centered.chunks_mut(L::WIDTH)) {
            lanes.store_some(centered, lanes.subtract(lanes.load_some(row), lanes.load_some(offset)));
        }
    }
}

/// centered = rows − offset: `[n_rows, width]` both, offset `[width]`.
pub fn center(
    engine: &Engine,
    rows: &[f32],
    offset: &[f32],
    centered: &mut [f32],
) -> Result<(), KernelError> {
    let width = offset.len();
    expect_width(width)?;
    expect_length("rows", rows.len(), &[rows.len() / width, width])?;
    expect_length("centered", centered.len(), &[rows.len()])?;
    engine.install(|| {
        let blocks = rows.par_chunks(BLOCK * width).zip(centered.par_chunks_mut(BLOCK * width));
        blocks.for_each(|(rows, centered)| {
            for (row, centered) in rows.chunks_exact(width).zip(centered.chunks_exact_mut(width)) {
                engine.instruction_set.run(CenterRow { row, offset, centered });
            }
        });
    });
    Ok(())
}

/// sums += row, element by element.
struct AddRow<'a> {
    row: &'a [f32],
    sums: &'a mut [f64],
}

impl Kernel for AddRow<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) {
        for (sum, &value) in self.sums.iter_mut().zip(self.row) {
            *sum += f64::from(value);
        }
    }
}

/// Σ over the rows of a matrix `[n_rows, width]`, `[width]`.
pub fn column_sums(engine: &Engine, rows: &[f32], width: usize) -> Result<Vec<f64>, KernelError> {
    expect_width(width)?;
    expect_length("rows", rows.len(), &[rows.len() / width, width])?;
    let add = |mut sums: Vec<f64>, row: &[f32]| {
        engine.instruction_set.run(AddRow { row, sums: &mut sums });
        sums
    };
    let blocks: Vec<_> = engine.install(|| {
        let blocks = rows.par_chunks(BLOCK * width);
        blocks.map(|block| block.chunks_exact(width).fold(vec![0.0; width], add)).collect()
    });
    Ok(blocks.iter().fold(vec![0.0; width], |mut total, sums| {
        total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
        total
    }))
}
