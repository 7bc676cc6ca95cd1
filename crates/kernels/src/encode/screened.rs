//! Screening: products of bytes rule out latents, block by block, and what they leave is worked out in fp32.

use super::byte_panels::{BytePanels, multiply_bytes};
use super::candidates::{Candidates, ScreenedTile};
use super::collector::{Collector, Shared};
use super::rows_on_lines::RowsOnLines;
use super::screened_top_k::run_top_k;
use super::tile::{Scratch, run_panels, run_task};
use super::tile_panels::TilePanels;
use super::work_out::{Waiting, WorkOut};
use super::{EncodeInput, Selection, Task};
use crate::lanes::Lanes;
use crate::lanes::dots::Dots;
use crate::screen::{Facts, ScreenedView, padded_inputs};
use std::array::from_fn;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Latents of a block: their rows of W_enc stay in L2, beside a task's rows of X, until their candidates are worked out.
pub const SCREENED_LATENTS: usize = 64;

/// Whether screening pays for some latents: what the last block of them showed. Tasks share it.
#[derive(Default)]
pub struct Density(AtomicUsize);

/// The share of pre-activations from which on the fp32 tiles are faster (`bench -- screening`, AVX-512 with VNNI).
const MOST_CANDIDATES: f32 = 0.045;

/// Rows of a block at most, by which patience is counted.
pub const BLOCK_ROWS: usize = 48;

/// Where screening did not pay, it is tried again after so many blocks: a try in vain costs a quarter of a block.
const PATIENCE: usize = 128;

/// Tasks of which at most so many blocks of this many would be screened go through the fp32 tiles as a whole, which saves
/// making bytes of their rows.
const FEW_BLOCKS: usize = 8;

/// What the tries of one call showed, of all its blocks: where nearly all were in vain, few more are made.
#[derive(Default)]
pub struct Tries {
    all: AtomicUsize,
    refused: AtomicUsize,
}

/// Tries after which a call knows, and one in so many blocks that is tried even so.
const ENOUGH_TRIES: usize = 8;

impl Tries {
    pub fn note(&self, accepted: bool) {
        self.all.fetch_add(1, Relaxed);
        self.refused.fetch_add(usize::from(!accepted), Relaxed);
    }

    pub fn allow(&self, block: usize) -> bool {
        !self.were_in_vain() || block.is_multiple_of(ENOUGH_TRIES)
    }

    pub fn were_in_vain(&self) -> bool {
        let (all, refused) = (self.all.load(Relaxed), self.refused.load(Relaxed));
        all >= ENOUGH_TRIES && refused * ENOUGH_TRIES > all * (ENOUGH_TRIES - 1)
    }
}

impl Density {
    pub fn pays(&self) -> bool {
        self.0.load(Relaxed) == 0
    }

    pub fn may_screen(&self) -> bool {
        let pays = self.pays();
        self.skip(1);
        pays
    }

    pub fn skip(&self, blocks: usize) {
        self.0.store(self.0.load(Relaxed).saturating_sub(blocks), Relaxed);
    }

    /// Gives whether so many candidates are few enough.
    pub fn accepts(&self, candidates: usize, most: usize) -> bool {
        let accepted = candidates <= most;
        if !accepted {
            self.refuse();
        }
        accepted
    }

    pub fn refuse(&self) {
        self.0.store(PATIENCE, Relaxed);
    }
}

/// Of n pre-activations.
pub fn most_candidates(n: usize) -> usize {
    (MOST_CANDIDATES * n as f32) as usize
}

/// Buffers of one thread.
#[derive(Default)]
pub struct Screening {
    pub bytes: BytePanels,
    pub tiles: TilePanels,
    /// Sums of a tile.
    sums: Vec<f32>,
    pub candidates: Candidates,
    pub waiting: Waiting,
    /// Whether candidates of a block follow its products, about one for each latent or more.
    pub needs_weights: bool,
    /// Approximate pre-activations of a sample of latents.
    pub sample: Vec<f32>,
    /// Bytes of latents that do not lie beside each other.
    pub gathered: Vec<i8>,
}

/// What the parts of one task's screening share.
#[derive(Clone, Copy)]
pub struct Screen<'a> {
    pub input: &'a EncodeInput<'a>,
    pub screened: ScreenedView<'a>,
    pub task: &'a Task,
    pub shared: &'a Shared,
}

/// Pre-activations of a task by screening.
#[inline(always)]
pub fn run_screened<D: Dots, const LATENTS: usize>(dots: D, screen: Screen<'_>, scratch: &mut Scratch) {
    let Screen { input, task, shared, .. } = screen;
    scratch.panels.lay_out(task.rows.len(), input.d_in, D::Lanes::WIDTH, D::Lanes::TILE_VECTORS);
    scratch.screening.candidates.truncate(0);
    let is_done = match input.selection {
        Selection::TopK(k) => {
            shared.top_k_density.may_screen() && run_top_k::<D, LATENTS>(dots, screen, k, scratch)
        }
        _ if screen.is_in_vain(scratch.panels.vectors.len()) => false,
        _ => {
            screen.pack(dots, scratch);
            screen.run::<D, LATENTS>(dots, scratch);
            true
        }
    };
    if !is_done {
        scratch.collector.start(input, task, shared);
        run_task::<D::Lanes, LATENTS>(dots.lanes(), input, task, scratch, shared);
    }
}

impl<'a> Screen<'a> {
    /// Make bytes of the task's rows.
    #[inline(always)]
    pub fn pack<D: Dots>(self, dots: D, scratch: &mut Scratch) {
        let Self { input, task, .. } = self;
        let x = &input.x[task.rows.start * input.d_in..task.rows.end * input.d_in];
        scratch.screening.bytes.pack(dots, x, input.d_in, &scratch.panels);
    }

    /// Whether screening pays for too few of the task's latents.
    pub fn is_in_vain(self, n_panels: usize) -> bool {
        let Range { start, end } = self.task.places;
        let densities = &self.shared.densities[start / SCREENED_LATENTS..end.div_ceil(SCREENED_LATENTS)];
        let paying = densities.iter().filter(|density| density.pays()).count();
        let is_in_vain = paying * FEW_BLOCKS <= densities.len();
        if is_in_vain {
            densities.iter().for_each(|density| density.skip(n_panels));
        }
        is_in_vain
    }

    /// Block by block of latents. A panel of rows with too many candidates goes through the fp32 tiles.
    #[inline(always)]
    fn run<D: Dots, const LATENTS: usize>(self, dots: D, scratch: &mut Scratch) {
        let Self { input, task, shared, .. } = self;
        let lanes = dots.lanes();
        for start in task.places.clone().step_by(SCREENED_LATENTS) {
            let places = start..task.places.end.min(start + SCREENED_LATENTS);
            let density = &shared.densities[start / SCREENED_LATENTS];
            let mut dense = Vec::new();
            for panel in 0..scratch.panels.vectors.len() {
                if !density.may_screen() {
                    dense.push(panel);
                    continue;
                }
                if !shared.tries.allow(start / SCREENED_LATENTS) {
                    density.refuse();
                    dense.push(panel);
                    continue;
                }
                let before = scratch.screening.candidates.len();
                let rows = scratch.panels.rows(panel);
                let n = (rows.end.min(task.rows.len()) - rows.start) * places.len();
                let most = most_candidates(n);
                self.block::<D, LATENTS>(dots, scratch, places.clone(), panel, before + most);
                let accepted = density.accepts(scratch.screening.candidates.len() - before, most);
                shared.tries.note(accepted);
                if !accepted {
                    scratch.screening.candidates.truncate(before);
                    dense.push(panel);
                }
            }
            let Screening { bytes, candidates, waiting, needs_weights, .. } = &mut scratch.screening;
            let mut work = self.work_out(&bytes.rows, &bytes.lengths, &mut scratch.collector, waiting);
            work.sieve(lanes, candidates, 0..candidates.len(), start - task.places.start, &[]);
            *needs_weights = candidates.len() >= SCREENED_LATENTS;
            candidates.truncate(0);
            if !dense.is_empty() {
                // A row's latents must come in their order.
                work.flush(lanes);
                run_panels::<D::Lanes, LATENTS>(lanes, input, task, scratch, shared, places, &dense);
            }
        }
        let Screening { bytes, waiting, .. } = &mut scratch.screening;
        self.work_out(&bytes.rows, &bytes.lengths, &mut scratch.collector, waiting).flush(lanes);
    }

    pub fn work_out<'s>(
        self,
        rows: &'s RowsOnLines,
        lengths: &'s [f32],
        collector: &'s mut Collector,
        waiting: &'s mut Waiting,
    ) -> WorkOut<'s>
    where
        'a: 's,
    {
        let Self { input, screened, task, shared } = self;
        let is_close = shared.set.has_tiles();
        WorkOut { input, screened, task, shared, x: rows, lengths, is_close, collector, waiting }
    }

    /// Candidates of some latents × one panel; it ends early where there are more than `most` candidates.
    #[inline(always)]
    pub fn block<D: Dots, const LATENTS: usize>(
        self,
        dots: D,
        scratch: &mut Scratch,
        places: Range<usize>,
        panel: usize,
        most: usize,
    ) {
        for first in places.clone().step_by(LATENTS) {
            if scratch.screening.candidates.len() > most {
                return;
            }
            match scratch.panels.vectors[panel] {
                3 => self.tile::<D, LATENTS, 3>(dots, scratch, first, places.end, panel),
                2 => self.tile::<D, LATENTS, 2>(dots, scratch, first, places.end, panel),
                _ => self.tile::<D, LATENTS, 1>(dots, scratch, first, places.end, panel),
            }
        }
    }

    #[inline(always)]
    fn tile<D: Dots, const LATENTS: usize, const VECTORS: usize>(
        self,
        dots: D,
        scratch: &mut Scratch,
        first: usize,
        end: usize,
        panel: usize,
    ) {
        let Self { input, task, .. } = self;
        let latents: [usize; LATENTS] = from_fn(|m| input.latent((first + m).min(end - 1)));
        let facts = latents.map(|latent| self.screened.facts_of(latent));
        let first_row = scratch.panels.rows(panel).start;
        if panel == 0 {
            self.fetch_bytes::<D, LATENTS>(dots, first + SCREENED_LATENTS);
        }
        if scratch.screening.needs_weights {
            self.fetch_weights(dots.lanes(), &latents, panel, scratch.panels.vectors.len());
        }
        let Screening { bytes, sums, candidates, .. } = &mut scratch.screening;
        sums.resize(sums.len().max(LATENTS * VECTORS * D::Lanes::WIDTH), 0.0);
        let sums = &mut sums[..LATENTS * VECTORS * D::Lanes::WIDTH];
        let panel = bytes.panel(&scratch.panels, panel);
        self.products::<D, LATENTS, VECTORS>(dots, &latents, &facts, panel, sums);
        let n = LATENTS.min(end - first);
        let tile = ScreenedTile {
            place: first - task.places.start,
            latents: &latents[..n],
            facts: &facts,
            first_row,
            sums,
        };
        candidates.look::<D::Lanes, VECTORS>(dots.lanes(), input, &scratch.collector, bytes, tile);
    }

    /// The bytes of the next block come near while the first panel of this one is multiplied.
    #[inline(always)]
    fn fetch_bytes<D: Dots, const LATENTS: usize>(self, dots: D, first: usize) {
        let padded = padded_inputs(self.input.d_in);
        for place in first..self.task.places.end.min(first + LATENTS) {
            let row = &self.screened.bytes[self.input.latent(place) * padded..][..padded];
            for line in row.chunks(64) {
                dots.lanes().prefetch_to_l2(line.as_ptr().cast());
            }
        }
    }

    /// The weights of some latents come near while their bytes are multiplied, a part with each panel.
    #[inline(always)]
    fn fetch_weights<L: Lanes>(self, lanes: L, latents: &[usize], panel: usize, n_panels: usize) {
        let d_in = self.input.d_in;
        for latent in latents {
            let row = &self.input.w_enc[latent * d_in..][..d_in];
            for line in row[d_in * panel / n_panels..d_in * (panel + 1) / n_panels].chunks(16) {
                lanes.prefetch_to_l2(line.as_ptr());
            }
        }
    }

    /// Products of the bytes of some latents and one panel.
    #[inline(always)]
    pub fn products<D: Dots, const LATENTS: usize, const VECTORS: usize>(
        self,
        dots: D,
        latents: &[usize; LATENTS],
        facts: &[Facts; LATENTS],
        panel: &[u8],
        sums: &mut [f32],
    ) {
        let padded = padded_inputs(self.input.d_in);
        let weights = latents.map(|latent| &self.screened.bytes[latent * padded..][..padded]);
        let start = facts.map(|facts| -i32::from(D::OFFSET) * facts.sum as i32);
        let width = VECTORS * D::Lanes::WIDTH;
        assert!(panel.len() == padded * width && sums.len() == LATENTS * width);
        // SAFETY: the weights are slices of `padded` bytes, a multiple of 4; the rest is asserted above.
        unsafe {
            let weights = weights.map(<[i8]>::as_ptr);
            multiply_bytes::<D, LATENTS, VECTORS>(
                dots,
                padded,
                weights,
                start,
                panel.as_ptr(),
                sums.as_mut_ptr(),
            );
        }
    }
}
