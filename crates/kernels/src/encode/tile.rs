use super::micro_kernel::multiply_tile;
use super::panels::Panels;
use super::selection::{Collector, Shared};
use super::{EncodeInput, Task};
use crate::lanes::Lanes;

/// Buffers of one thread.
#[derive(Default)]
pub struct Scratch {
    panels: Panels,
    /// Sums of the latents in work: group by group, in it panel by panel, in it `[LATENTS][lane]`.
    sums: Vec<f32>,
    pub collector: Collector,
}

/// Latents whose sums are held, about, while d_in is walked block by block.
const LATENTS_HELD: usize = 256;

/// Pre-activations of a task, tile by tile; each goes to the collector as soon as it is complete.
#[inline(always)]
pub fn run_task<L: Lanes, const LATENTS: usize>(
    lanes: L,
    input: &EncodeInput<'_>,
    task: &Task,
    scratch: &mut Scratch,
    shared: &Shared,
) {
    let Scratch { panels, sums, collector } = scratch;
    let x = &input.x[task.rows.start * input.d_in..task.rows.end * input.d_in];
    panels.pack(x, input.d_in, L::WIDTH, L::TILE_VECTORS);
    let held = if panels.n_blocks() == 1 { LATENTS } else { LATENTS_HELD / LATENTS * LATENTS };
    sums.resize(held * panels.n_lanes(), 0.0);
    let mut start = task.places.start;
    while start < task.places.end {
        let end = task.places.end.min(start + held);
        for block in 0..panels.n_blocks() {
            for first in (start..end).step_by(LATENTS) {
                let group = Group::<LATENTS>::new(input, first, task);
                let sums = &mut sums[(first - start) * panels.n_lanes()..][..LATENTS * panels.n_lanes()];
                for panel in 0..panels.vectors.len() {
                    let rows = panels.rows(panel);
                    let sums = &mut sums[rows.start * LATENTS..rows.end * LATENTS];
                    add_tile(lanes, input, &group, panels, block, panel, sums);
                    if block + 1 == panels.n_blocks() {
                        let place = first - task.places.start;
                        collector.look(lanes, input, place, &group.latents[..group.n], rows, sums, shared);
                    }
                }
            }
        }
        start = end;
    }
}

/// The latents of one row of tiles, and those of the next. Past the last one the last is repeated, and the copies are
/// not looked at.
struct Group<const LATENTS: usize> {
    latents: [usize; LATENTS],
    next: [usize; LATENTS],
    n: usize,
}

impl<const LATENTS: usize> Group<LATENTS> {
    #[inline(always)]
    fn new(input: &EncodeInput<'_>, first: usize, task: &Task) -> Self {
        let last = task.places.end - 1;
        Self {
            latents: std::array::from_fn(|m| input.latent((first + m).min(last))),
            next: std::array::from_fn(|m| input.latent((first + LATENTS + m).min(last))),
            n: LATENTS.min(task.places.end - first),
        }
    }
}

/// Add the inputs of one block to a tile; the first block starts with b_enc.
#[inline(always)]
fn add_tile<L: Lanes, const LATENTS: usize>(
    lanes: L,
    input: &EncodeInput<'_>,
    group: &Group<LATENTS>,
    panels: &Panels,
    block: usize,
    panel: usize,
    sums: &mut [f32],
) {
    let inputs = panels.inputs(block);
    let row = |latent: usize| input.w_enc[latent * input.d_in..][inputs.clone()].as_ptr();
    let (weights, next) = (group.latents.map(row), group.next.map(row));
    if block == 0 {
        let lanes_of_panel = sums.len() / LATENTS;
        for (sums, &latent) in sums.chunks_exact_mut(lanes_of_panel).zip(&group.latents) {
            sums.fill(input.b_enc[latent]);
        }
    }
    let (depth, packed, out) = (inputs.len(), panels.panel(block, panel).as_ptr(), sums.as_mut_ptr());
    // SAFETY: the weights are slices of `depth` floats; the panel holds `depth` times its lanes, VECTORS · WIDTH of
    // them; `sums` was cut to LATENTS times those lanes.
    unsafe {
        match panels.vectors[panel] {
            3 => multiply_tile::<L, LATENTS, 3>(lanes, depth, weights, next, packed, out),
            2 => multiply_tile::<L, LATENTS, 2>(lanes, depth, weights, next, packed, out),
            _ => multiply_tile::<L, LATENTS, 1>(lanes, depth, weights, next, packed, out),
        }
    }
}
