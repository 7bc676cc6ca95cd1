//! Pre-activations of rows that are mostly zeros, as activations behind a ReLU are.
//!
//! Lanes are latents: a row adds, for each of its numbers that is not 0, that input's weights of a tile of latents, whose
//! sums stay in registers. These are the chains of multiply-adds of the other tiles without the products that are 0, so
//! the values are equal. The weights of a tile are turned for it, `[d_in][latents]`, once for all rows of a task.
//! A vector of weights is read for each of its multiply-adds, from L2 where it is not in L1: that is the limit.

use super::collector::{MAX_ROWS, load_all};
use super::sparse_rows::SparseRows;
use super::tile::Scratch;
use super::{EncodeInput, RunTask, Selection, Task, even_ranges};
use crate::lanes::{Kernel, Lanes, MAX_WIDTH};
use std::array::from_fn;
use std::ops::Range;

/// Latents of a tile at most: few, so that the weights of the inputs that are most often not 0 stay in L1; four vectors of
/// 16 lanes or eight of fewer, so that enough chains keep the multiply-adds busy.
const MOST_LATENTS: usize = 64;

/// Many rows for each tile that is turned, and still some tasks for each thread.
pub fn plan(input: &EncodeInput<'_>, threads: usize) -> Vec<Vec<Task>> {
    let row_ranges = even_ranges(input.n_rows, 1, input.n_rows.div_ceil(MAX_ROWS));
    let place_parts = (2 * threads).div_ceil(row_ranges.len().max(1));
    let place_ranges = even_ranges(input.n_latents(), MOST_LATENTS, place_parts);
    let tasks_of = |rows: Range<usize>| {
        place_ranges.iter().map(|places| Task { rows: rows.clone(), places: places.clone() }).collect()
    };
    row_ranges.into_iter().map(tasks_of).collect()
}

pub struct RunSparse<'a> {
    pub rows: &'a SparseRows,
    pub task: RunTask<'a>,
}

impl Kernel for RunSparse<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        match L::WIDTH {
            16 => self.run_tiles::<L, 4>(lanes),
            _ => self.run_tiles::<L, 8>(lanes),
        }
    }
}

impl RunSparse<'_> {
    #[inline(always)]
    fn run_tiles<L: Lanes, const VECTORS: usize>(self, lanes: L) {
        let Self { rows, task: RunTask { input, task, shared, scratch } } = self;
        let Scratch { turned, collector, .. } = scratch;
        let n = VECTORS * L::WIDTH;
        turned.resize(n * input.d_in);
        for first in task.places.clone().step_by(n) {
            // Past the last latent the last is repeated; the copies start so low that nothing of them passes.
            let latents: [usize; MOST_LATENTS] =
                from_fn(|i| input.latent((first + i).min(task.places.end - 1)));
            let biases: [f32; MOST_LATENTS] = from_fn(|i| {
                if first + i < task.places.end { input.b_enc[latents[i]] } else { f32::NEG_INFINITY }
            });
            let bars = match input.selection {
                Selection::Threshold(all) => Some(latents.map(|latent| all.map_or(0.0, |all| all[latent]))),
                Selection::TopK(_) | Selection::BatchTopK { .. } => None,
            };
            turn(lanes, input, &latents[..n], turned);
            let biases: [L::Vector; VECTORS] = load_all(lanes, &biases);
            let bars: Option<[L::Vector; VECTORS]> = bars.map(|bars| load_all(lanes, &bars));
            for row in 0..task.rows.len() {
                let mut sums = biases;
                for entry in rows.row(task.rows.start + row) {
                    let weights = &turned[entry.input as usize * n..][..n];
                    let x = lanes.splat(entry.value);
                    for (sum, weights) in sums.iter_mut().zip(weights.chunks_exact(L::WIDTH)) {
                        *sum = lanes.multiply_add(lanes.load_slice(weights), x, *sum);
                    }
                }
                collector.look_at_row(lanes, input, shared, first - task.places.start, bars, row, sums);
            }
        }
    }
}

/// out[k][i] = W_enc[latents[i]][k]
#[inline(always)]
fn turn<L: Lanes>(lanes: L, input: &EncodeInput<'_>, latents: &[usize], out: &mut [f32]) {
    let (d_in, n) = (input.d_in, latents.len());
    let whole = d_in / L::WIDTH * L::WIDTH;
    for (group, latents) in latents.chunks_exact(L::WIDTH).enumerate() {
        let out = &mut out[group * L::WIDTH..];
        let mut rows: [&[f32]; MAX_WIDTH] = [&[]; MAX_WIDTH];
        for (row, latent) in rows.iter_mut().zip(latents) {
            *row = &input.w_enc[latent * d_in..][..d_in];
        }
        for k in (0..whole).step_by(L::WIDTH) {
            // SAFETY: the rows of all lanes are d_in long, and k + WIDTH <= d_in.
            let columns = unsafe { lanes.columns(&rows.map(|row| row.as_ptr().wrapping_add(k))) };
            for (i, &column) in columns[..L::WIDTH].iter().enumerate() {
                lanes.store_slice(&mut out[(k + i) * n..], column);
            }
        }
        for k in whole..d_in {
            for (lane, row) in rows[..L::WIDTH].iter().enumerate() {
                out[k * n + lane] = row[k];
            }
        }
    }
}
