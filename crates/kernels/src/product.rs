//! Products of dense matrices, by the micro-kernel of `encode`.

use crate::dense::{add_products, pack_columns};
use crate::engine::Engine;
use crate::error::{KernelError, expect_length};
use crate::lanes::{Kernel, Lanes};
use crate::on_lines::{LINE, OnLines};
use rayon::prelude::*;
use std::cell::RefCell;
use std::ops::Range;

#[derive(Clone, Copy)]
pub struct ProductInput<'a> {
    /// `[n_rows, inner]`, or `[inner, n_rows]` where it is transposed.
    pub a: &'a [f32],
    pub is_transposed: bool,
    /// `[inner, width]`
    pub b: &'a [f32],
    pub n_rows: usize,
    pub inner: usize,
    pub width: usize,
}

/// Rows of a task at most: so many that packing the columns of B for them costs little.
const MOST_ROWS: usize = 256;
/// And at least.
const LEAST_ROWS: usize = 32;

/// Rows of B that are packed at a time.
const DEPTH: usize = 512;

/// Floats between rows of A that were turned: a power of two would put all of them into the same sets of the cache.
const STRIDE: usize = DEPTH + 16;

thread_local! {
    /// A thread of the pool keeps its buffers from call to call.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Buffers of one thread.
#[derive(Default)]
struct Scratch {
    /// The part of A of a task where it is transposed: its rows, each of `STRIDE`.
    a: Vec<f32>,
    columns: OnLines,
}

/// Some rows of a product.
struct Block<'a> {
    input: ProductInput<'a>,
    rows: Range<usize>,
    /// `[rows, width]`
    out: &'a mut [f32],
    scratch: &'a mut Scratch,
}

impl Kernel for Block<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        match L::TILE_LATENTS {
            8 => self.multiply::<L, 8>(lanes),
            6 => self.multiply::<L, 6>(lanes),
            _ => self.multiply::<L, 4>(lanes),
        }
    }
}

impl Block<'_> {
    #[inline(always)]
    fn multiply<L: Lanes, const LINES: usize>(self, lanes: L) {
        let Self { input: ProductInput { a, is_transposed, b, n_rows, inner, width }, rows, out, scratch } =
            self;
        let most = L::TILE_VECTORS * L::WIDTH;
        for start in (0..inner).step_by(DEPTH) {
            let depth = start..inner.min(start + DEPTH);
            if is_transposed {
                transpose_part(a, n_rows, depth.clone(), rows.clone(), &mut scratch.a);
            }
            let Scratch { a: turned, columns: packed } = &mut *scratch;
            let line = |row: usize| match is_transposed {
                true => &turned[row * STRIDE..][..depth.len()],
                false => &a[(rows.start + row) * inner..][depth.clone()],
            };
            for column in (0..width).step_by(most) {
                let columns = column..width.min(column + most);
                pack_columns(lanes, b, width, depth.clone(), columns.clone(), packed);
                add_products::<L, LINES>(lanes, line, packed, columns, width, out);
            }
        }
    }
}

/// Row i of out: element k is a[depth.start + k][rows.start + i].
fn transpose_part(a: &[f32], n_rows: usize, depth: Range<usize>, rows: Range<usize>, out: &mut Vec<f32>) {
    out.resize(rows.len() * STRIDE, 0.0);
    // Square by square: a line of `out` is filled while it is in L1.
    for (square, out) in out.chunks_mut(LINE * STRIDE).enumerate() {
        let columns = rows.start + square * LINE..rows.end.min(rows.start + (square + 1) * LINE);
        for start in (0..depth.len()).step_by(LINE) {
            for (i, out) in out.chunks_exact_mut(STRIDE).enumerate() {
                let end = depth.len().min(start + LINE);
                for (k, out) in (start..end).zip(&mut out[start..end]) {
                    *out = a[(depth.start + k) * n_rows + columns.start + i];
                }
            }
        }
    }
}

/// out += A · B, `[n_rows, width]`. Each element is one chain of multiply-adds in the order of the inner dimension.
pub fn product(engine: &Engine, input: ProductInput<'_>, out: &mut [f32]) -> Result<(), KernelError> {
    let ProductInput { a, b, n_rows, inner, width, .. } = input;
    if inner == 0 || width == 0 {
        return Err(KernelError::option("inner and width must be at least 1."));
    }
    expect_length("a", a.len(), &[n_rows, inner])?;
    expect_length("b", b.len(), &[inner, width])?;
    expect_length("sum", out.len(), &[n_rows, width])?;
    engine.install(|| {
        let block_rows = n_rows.div_ceil(2 * engine.threads()).clamp(LEAST_ROWS, MOST_ROWS);
        let blocks = out.par_chunks_mut(block_rows * width).enumerate();
        blocks.for_each(|(block, out)| {
            let rows = block * block_rows..n_rows.min((block + 1) * block_rows);
            SCRATCH.with_borrow_mut(|scratch| {
                engine.instruction_set.run(Block { input, rows, out, scratch });
            });
        });
    });
    Ok(())
}
