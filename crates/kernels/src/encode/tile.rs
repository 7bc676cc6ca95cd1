use super::micro_kernel::{Start, multiply_tile};
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
                    let mut tile = Tile {
                        input,
                        group: &group,
                        place: first - task.places.start,
                        panels,
                        block,
                        panel,
                        sums: &mut sums[rows.start * LATENTS..rows.end * LATENTS],
                    };
                    match panels.vectors[panel] {
                        3 => tile.run::<L, 3>(lanes, collector, shared),
                        2 => tile.run::<L, 2>(lanes, collector, shared),
                        _ => tile.run::<L, 1>(lanes, collector, shared),
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

/// Some latents × one panel, for the inputs of one block.
struct Tile<'a, const LATENTS: usize> {
    input: &'a EncodeInput<'a>,
    group: &'a Group<LATENTS>,
    /// Of the first latent, in the task.
    place: usize,
    panels: &'a Panels,
    block: usize,
    panel: usize,
    /// `[LATENTS][lanes of the panel]`
    sums: &'a mut [f32],
}

impl<const LATENTS: usize> Tile<'_, LATENTS> {
    #[inline(always)]
    fn run<L: Lanes, const VECTORS: usize>(&mut self, lanes: L, collector: &mut Collector, shared: &Shared) {
        let Self { input, group, panels, block, .. } = *self;
        let width = VECTORS * L::WIDTH;
        let start = match block {
            0 => Start::Bias(group.latents.map(|latent| input.b_enc[latent])),
            _ => Start::Sums,
        };
        let inputs = panels.inputs(block);
        let row = |latent: usize| input.w_enc[latent * input.d_in..][inputs.clone()].as_ptr();
        let (weights, next) = (group.latents.map(row), group.next.map(row));
        let packed = panels.panel(block, self.panel);
        assert!(packed.len() == inputs.len() * width && self.sums.len() == LATENTS * width);
        // SAFETY: the weights are slices of as many floats as there are inputs; the rest is asserted above.
        unsafe {
            let (depth, sums) = (inputs.len(), self.sums.as_mut_ptr());
            multiply_tile::<L, LATENTS, VECTORS>(lanes, depth, weights, next, packed.as_ptr(), start, sums);
        }
        if block + 1 == panels.n_blocks() {
            let latents = &group.latents[..group.n];
            let first_row = panels.rows(self.panel).start;
            collector.look::<L, VECTORS>(lanes, input, shared, self.place, latents, first_row, self.sums);
        }
    }
}
