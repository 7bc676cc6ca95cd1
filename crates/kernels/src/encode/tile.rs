use super::collector::{Collector, Shared};
use super::micro_kernel::{Start, multiply_tile};
use super::panels::Panels;
use super::screened::Screening;
use super::{EncodeInput, Task};
use crate::lanes::Lanes;
use crate::on_lines::OnLines;
use std::ops::Range;

/// Buffers of one thread.
#[derive(Default)]
pub struct Scratch {
    pub panels: Panels,
    /// Sums of the latents in work: group by group, in it panel by panel, in it `[LATENTS][lane]`.
    sums: OnLines,
    pub screening: Screening,
    /// Weights of the latents in work, `[d_in][latents]`, where rows are mostly zeros.
    pub turned: OnLines,
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
    scratch.panels.lay_out(task.rows.len(), input.d_in, L::WIDTH, L::TILE_VECTORS);
    let all = 0..scratch.panels.vectors.len();
    let places = task.places.clone();
    run_panels::<L, LATENTS>(lanes, input, task, scratch, shared, places, &all.collect::<Vec<_>>());
}

/// The same for some of the latents and panels.
#[inline(always)]
pub fn run_panels<L: Lanes, const LATENTS: usize>(
    lanes: L,
    input: &EncodeInput<'_>,
    task: &Task,
    scratch: &mut Scratch,
    shared: &Shared,
    places: Range<usize>,
    chosen: &[usize],
) {
    let Scratch { panels, sums, collector, .. } = scratch;
    panels.pack(&input.x[task.rows.start * input.d_in..task.rows.end * input.d_in]);
    let held = if panels.n_blocks() == 1 { LATENTS } else { LATENTS_HELD / LATENTS * LATENTS };
    sums.resize(held * panels.n_lanes());
    let mut start = places.start;
    while start < places.end {
        let end = places.end.min(start + held);
        for block in 0..panels.n_blocks() {
            for first in (start..end).step_by(LATENTS) {
                let inputs = panels.inputs(block);
                let group = Group::<LATENTS>::new(input, first..places.end, task, inputs, block == 0);
                let sums = &mut sums[(first - start) * panels.n_lanes()..][..LATENTS * panels.n_lanes()];
                for (i, &panel) in chosen.iter().enumerate() {
                    let rows = panels.rows(panel);
                    let sums = &mut sums[rows.start * LATENTS..rows.end * LATENTS];
                    let next = share(&group.next, i, chosen.len());
                    let tile = Tile { group: &group, next, packed: panels.panel(block, panel), sums };
                    let last =
                        (block + 1 == panels.n_blocks()).then_some(Looker { input, shared, collector });
                    match panels.vectors[panel] {
                        3 => tile.run::<L, 3>(lanes, last, rows.start),
                        2 => tile.run::<L, 2>(lanes, last, rows.start),
                        _ => tile.run::<L, 1>(lanes, last, rows.start),
                    }
                }
            }
        }
        start = end;
    }
}

/// The latents of one row of tiles, for the inputs of one block. Past the last latent the last is repeated, and the
/// copies are not looked at.
struct Group<'a, const LATENTS: usize> {
    latents: [usize; LATENTS],
    /// Latents that are not copies.
    n: usize,
    /// Of the first latent, in the task.
    place: usize,
    /// The inputs' part of each row of W_enc.
    weights: [&'a [f32]; LATENTS],
    /// The same of the group that comes after this one.
    next: [*const f32; LATENTS],
    start: Start<LATENTS>,
}

impl<'a, const LATENTS: usize> Group<'a, LATENTS> {
    #[inline(always)]
    fn new(
        input: &EncodeInput<'a>,
        places: Range<usize>,
        task: &Task,
        inputs: Range<usize>,
        is_first: bool,
    ) -> Self {
        let first = places.start;
        let latent = |place: usize| input.latent(place.min(task.places.end - 1));
        let row = |latent: usize| &input.w_enc[latent * input.d_in..][inputs.clone()];
        let latents = std::array::from_fn(|m| latent(first + m));
        Self {
            latents,
            n: LATENTS.min(places.len()),
            place: first - task.places.start,
            weights: latents.map(row),
            next: std::array::from_fn(|m| row(latent(first + LATENTS + m)).as_ptr()),
            start: if is_first { Start::Bias(latents.map(|j| input.b_enc[j])) } else { Start::Sums },
        }
    }
}

/// What one of so many panels fetches of the next group's rows: each comes once, and few are on their way at a time, so that
/// X does not wait behind them.
#[inline(always)]
fn share(rows: &[*const f32], i: usize, n: usize) -> &[*const f32] {
    &rows[rows.len() * i / n..rows.len() * (i + 1) / n]
}

/// Where a complete tile goes.
struct Looker<'a> {
    input: &'a EncodeInput<'a>,
    shared: &'a Shared,
    collector: &'a mut Collector,
}

/// A group × one panel.
struct Tile<'a, const LATENTS: usize> {
    group: &'a Group<'a, LATENTS>,
    /// What is fetched meanwhile.
    next: &'a [*const f32],
    /// `[inputs][lanes]`
    packed: &'a [f32],
    /// `[LATENTS][lanes]`
    sums: &'a mut [f32],
}

impl<const LATENTS: usize> Tile<'_, LATENTS> {
    #[inline(always)]
    fn run<L: Lanes, const VECTORS: usize>(self, lanes: L, looker: Option<Looker<'_>>, first_row: usize) {
        let Self { group, next, packed, sums } = self;
        let (width, depth) = (VECTORS * L::WIDTH, group.weights[0].len());
        assert!(packed.len() == depth * width && sums.len() == LATENTS * width);
        // SAFETY: all weights are slices of the same inputs; the rest is asserted above.
        unsafe {
            let (weights, sums) = (group.weights.map(<[f32]>::as_ptr), sums.as_mut_ptr());
            let (packed, start) = (packed.as_ptr(), group.start);
            multiply_tile::<L, LATENTS, VECTORS>(lanes, depth, weights, next, packed, start, sums);
        }
        if let Some(Looker { input, shared, collector }) = looker {
            let latents = &group.latents[..group.n];
            collector.look::<L, VECTORS>(lanes, input, shared, group.place, latents, first_row, sums);
        }
    }
}
