use super::byte_panels::{BytePanels, multiply_bytes};
use super::micro_kernel::{Start, multiply_tile};
use super::panels::Panels;
use super::screened::{MOST_CANDIDATES, ScreenedTile};
use super::selection::{Collector, MAX_PANEL, Shared};
use super::{EncodeInput, Task};
use crate::lanes::Lanes;
use crate::lanes::dots::Dots;
use crate::screen::{ScreenedView, padded_inputs};
use std::ops::Range;

/// Buffers of one thread.
#[derive(Default)]
pub struct Scratch {
    panels: Panels,
    byte_panels: BytePanels,
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
    scratch.panels.lay_out(task.rows.len(), input.d_in, L::WIDTH, L::TILE_VECTORS);
    let all = 0..scratch.panels.vectors.len();
    let places = task.places.clone();
    run_panels::<L, LATENTS>(lanes, input, task, scratch, shared, places, &all.collect::<Vec<_>>());
}

/// The same for some of the latents and panels.
#[inline(always)]
fn run_panels<L: Lanes, const LATENTS: usize>(
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
    sums.resize(held * panels.n_lanes(), 0.0);
    let mut start = places.start;
    while start < places.end {
        let end = places.end.min(start + held);
        for block in 0..panels.n_blocks() {
            for first in (start..end).step_by(LATENTS) {
                let inputs = panels.inputs(block);
                let group = Group::<LATENTS>::new(input, first..places.end, task, inputs, block == 0);
                let sums = &mut sums[(first - start) * panels.n_lanes()..][..LATENTS * panels.n_lanes()];
                for &panel in chosen {
                    let rows = panels.rows(panel);
                    let sums = &mut sums[rows.start * LATENTS..rows.end * LATENTS];
                    let tile = Tile { group: &group, packed: panels.panel(block, panel), sums };
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

/// The same by screening: block by block of latents × one panel of rows the latents that cannot be active are ruled
/// out, and blocks where too few are go through the fp32 tiles.
#[inline(always)]
pub fn run_screened<D: Dots, const LATENTS: usize>(
    dots: D,
    input: &EncodeInput<'_>,
    screened: ScreenedView<'_>,
    task: &Task,
    scratch: &mut Scratch,
    shared: &Shared,
) {
    let lanes = dots.lanes();
    let x = &input.x[task.rows.start * input.d_in..task.rows.end * input.d_in];
    scratch.panels.lay_out(task.rows.len(), input.d_in, D::Lanes::WIDTH, D::Lanes::TILE_VECTORS);
    scratch.byte_panels.pack(dots, x, input.d_in, &scratch.panels);
    for start in task.places.clone().step_by(SCREENED_LATENTS) {
        let places = start..task.places.end.min(start + SCREENED_LATENTS);
        let most = MOST_CANDIDATES * (SCREENED_LATENTS * scratch.panels.n_lanes()) as f32;
        scratch.collector.make_room(input, shared, most as usize + SCREENED_LATENTS * MAX_PANEL);
        let before = scratch.collector.n_logged();
        let mut dense = Vec::new();
        for panel in 0..scratch.panels.vectors.len() {
            let block = ScreenBlock { input, screened, task, shared, places: places.clone(), panel };
            if !block.run::<D, LATENTS>(dots, scratch) {
                dense.push(panel);
            }
        }
        scratch.collector.work_out(lanes, input, task, shared, before);
        if !dense.is_empty() {
            run_panels::<D::Lanes, LATENTS>(lanes, input, task, scratch, shared, places, &dense);
        }
    }
}

/// Latents of a block: their rows of W_enc stay in L2, beside a task's rows of X, until their candidates are worked out.
pub const SCREENED_LATENTS: usize = 64;

struct ScreenBlock<'a> {
    input: &'a EncodeInput<'a>,
    screened: ScreenedView<'a>,
    task: &'a Task,
    shared: &'a Shared,
    places: Range<usize>,
    panel: usize,
}

impl ScreenBlock<'_> {
    /// Whether the block was screened: false leaves no trace of it.
    #[inline(always)]
    fn run<D: Dots, const LATENTS: usize>(self, dots: D, scratch: &mut Scratch) -> bool {
        let Self { task, shared, panel, .. } = &self;
        let density = &shared.densities[self.places.start / SCREENED_LATENTS];
        if !density.may_screen() {
            return false;
        }
        let rows = scratch.panels.rows(*panel);
        let before = scratch.collector.n_logged();
        for first in self.places.clone().step_by(LATENTS) {
            match scratch.panels.vectors[*panel] {
                3 => self.tile::<D, LATENTS, 3>(dots, scratch, first),
                2 => self.tile::<D, LATENTS, 2>(dots, scratch, first),
                _ => self.tile::<D, LATENTS, 1>(dots, scratch, first),
            }
        }
        let candidates = scratch.collector.n_logged() - before;
        let n_rows = rows.end.min(task.rows.len()) - rows.start;
        let accepted = density.accepts(candidates, n_rows * self.places.len());
        if !accepted {
            scratch.collector.forget(before);
        }
        accepted
    }

    #[inline(always)]
    fn tile<D: Dots, const LATENTS: usize, const VECTORS: usize>(
        &self,
        dots: D,
        scratch: &mut Scratch,
        first: usize,
    ) {
        let Scratch { panels, byte_panels, sums, collector, .. } = scratch;
        let (rows, bytes) = (panels.rows(self.panel), byte_panels.panel(panels, self.panel));
        let padded = padded_inputs(self.input.d_in);
        let latents: [usize; LATENTS] =
            std::array::from_fn(|m| self.input.latent((first + m).min(self.places.end - 1)));
        let weights = latents.map(|latent| &self.screened.bytes[latent * padded..][..padded]);
        let facts = latents.map(|latent| self.screened.facts_of(latent));
        let width = VECTORS * D::Lanes::WIDTH;
        sums.resize(sums.len().max(LATENTS * width), 0.0);
        let sums = &mut sums[..LATENTS * width];
        assert!(bytes.len() == padded * width);
        // SAFETY: the weights are slices of `padded` bytes, a multiple of 4; the rest is asserted above.
        unsafe {
            let weights = weights.map(<[i8]>::as_ptr);
            let start = facts.map(|facts| -i32::from(D::OFFSET) * facts.sum as i32);
            // The rows of W_enc come near while the first panel's bytes are multiplied.
            if self.panel == 0 {
                for latent in latents {
                    for line in (0..self.input.d_in).step_by(16) {
                        dots.lanes().prefetch(
                            self.input.w_enc.as_ptr().wrapping_add(latent * self.input.d_in + line),
                        );
                    }
                }
            }
            multiply_bytes::<D, LATENTS, VECTORS>(
                dots,
                padded,
                weights,
                start,
                bytes.as_ptr(),
                sums.as_mut_ptr(),
            );
        }
        let n = LATENTS.min(self.places.end - first);
        let tile = ScreenedTile {
            place: first - self.task.places.start,
            latents: &latents[..n],
            facts: &facts,
            first_row: rows.start,
            sums,
        };
        collector.look_screened::<D::Lanes, VECTORS>(dots.lanes(), self.input, byte_panels, tile);
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

/// Where a complete tile goes.
struct Looker<'a> {
    input: &'a EncodeInput<'a>,
    shared: &'a Shared,
    collector: &'a mut Collector,
}

/// A group × one panel.
struct Tile<'a, const LATENTS: usize> {
    group: &'a Group<'a, LATENTS>,
    /// `[inputs][lanes]`
    packed: &'a [f32],
    /// `[LATENTS][lanes]`
    sums: &'a mut [f32],
}

impl<const LATENTS: usize> Tile<'_, LATENTS> {
    #[inline(always)]
    fn run<L: Lanes, const VECTORS: usize>(self, lanes: L, looker: Option<Looker<'_>>, first_row: usize) {
        let Self { group, packed, sums } = self;
        let (width, depth) = (VECTORS * L::WIDTH, group.weights[0].len());
        assert!(packed.len() == depth * width && sums.len() == LATENTS * width);
        // SAFETY: all weights are slices of the same inputs; the rest is asserted above.
        unsafe {
            let (weights, sums) = (group.weights.map(<[f32]>::as_ptr), sums.as_mut_ptr());
            let (next, start) = (group.next, group.start);
            multiply_tile::<L, LATENTS, VECTORS>(lanes, depth, weights, next, packed.as_ptr(), start, sums);
        }
        if let Some(Looker { input, shared, collector }) = looker {
            let latents = &group.latents[..group.n];
            collector.look::<L, VECTORS>(lanes, input, shared, group.place, latents, first_row, sums);
        }
    }
}
