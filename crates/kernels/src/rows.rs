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

/// row −= offset.
struct CenterRow<'a> {
    row: &'a mut [f32],
    offset: &'a [f32],
}

impl Kernel for CenterRow<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        for (row, offset) in self.row.chunks_mut(L::WIDTH).zip(self.offset.chunks(L::WIDTH)) {
            lanes.store_some(row, lanes.subtract(lanes.load_some(row), lanes.load_some(offset)));
        }
    }
}

/// rows −= offset: `[n_rows, width]`, offset `[width]`.
pub fn center(engine: &Engine, rows: &mut [f32], offset: &[f32]) -> Result<(), KernelError> {
    let width = offset.len();
    expect_width(width)?;
    expect_length("rows", rows.len(), &[rows.len() / width, width])?;
    engine.install(|| {
        rows.par_chunks_mut(BLOCK * width).for_each(|rows| {
            for row in rows.chunks_exact_mut(width) {
                engine.instruction_set.run(CenterRow { row, offset });
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
