//! Screening with pairs of bytes, where tiles multiply them. Bounds are so close that hardly more is worked out than is
//! kept.

use super::Selection;
use super::candidates::Candidates;
use super::collector::{Collector, key, ones};
use super::screened::{BLOCK_ROWS, SCREENED_LATENTS, Screen, Screening};
use super::tile::{Scratch, run_panels, run_task};
use super::tile_panels::TilePanels;
use crate::lanes::Lanes;
use crate::lanes::tiles::{Products, TILE_LATENTS, TILE_ROWS, Tiles};
use crate::screen::{Facts, PARTS, padded_inputs, slack};
use std::array::from_fn;
use std::ops::Range;

/// The share of candidates from which on the fp32 tiles are faster (`bench -- screening`, Emerald Rapids). The bar of a batch is a
/// guess at first, which more exceed than are kept.
fn most_candidates(selection: &Selection<'_>) -> f32 {
    match selection {
        Selection::BatchTopK { .. } => 0.029,
        _ => 0.039,
    }
}

/// Pre-activations of a task by screening.
#[inline(always)]
pub fn run_screened_tiles<L: Lanes, T: Tiles, const LATENTS: usize>(
    lanes: L,
    tiles: &T,
    screen: Screen<'_>,
    scratch: &mut Scratch,
) {
    let Screen { input, task, shared, .. } = screen;
    let on_tiles = OnTiles { lanes, tiles, screen };
    scratch.panels.lay_out(task.rows.len(), input.d_in, L::WIDTH, L::TILE_VECTORS);
    scratch.screening.candidates.truncate(0);
    let is_done = match input.selection {
        Selection::TopK(k) => shared.top_k_density.may_screen() && on_tiles.run_top_k(k, scratch),
        _ if screen.is_in_vain(task.rows.len().div_ceil(BLOCK_ROWS)) => false,
        _ => {
            on_tiles.run::<LATENTS>(scratch);
            true
        }
    };
    if !is_done {
        scratch.collector.start(input, task, shared);
        run_task::<L, LATENTS>(lanes, input, task, scratch, shared);
    }
}

/// A task with what multiplies its bytes.
pub struct OnTiles<'a, L, T> {
    pub lanes: L,
    pub tiles: &'a T,
    pub screen: Screen<'a>,
}

impl<L: Lanes, T: Tiles> OnTiles<'_, L, T> {
    #[inline(always)]
    pub fn pack(&self, scratch: &mut Scratch) {
        let Screen { input, task, .. } = self.screen;
        let x = &input.x[task.rows.start * input.d_in..task.rows.end * input.d_in];
        scratch.screening.tiles.pack(self.lanes, x, input.d_in);
    }

    /// Block by block of latents. One with too many candidates goes through the fp32 tiles.
    #[inline(always)]
    fn run<const LATENTS: usize>(&self, scratch: &mut Scratch) {
        let Screen { input, task, shared, .. } = self.screen;
        self.pack(scratch);
        for start in task.places.clone().step_by(SCREENED_LATENTS) {
            let places = start..task.places.end.min(start + SCREENED_LATENTS);
            let is_screened = self.try_block(places.clone(), scratch);
            let Screening { tiles: x, candidates, waiting, .. } = &mut scratch.screening;
            let mut work = self.screen.work_out(&x.rows, &x.lengths, &mut scratch.collector, waiting);
            if is_screened {
                work.all(self.lanes, candidates, 0..candidates.len(), start - task.places.start);
            } else {
                // A row's latents must come in their order.
                work.flush(self.lanes);
                let panels: Vec<_> = (0..scratch.panels.vectors.len()).collect();
                run_panels::<L, LATENTS>(self.lanes, input, task, scratch, shared, places, &panels);
            }
            scratch.screening.candidates.truncate(0);
        }
        let Screening { tiles: x, waiting, .. } = &mut scratch.screening;
        self.screen.work_out(&x.rows, &x.lengths, &mut scratch.collector, waiting).flush(self.lanes);
    }

    /// List the candidates of a block; gives whether they are to be worked out.
    #[inline(always)]
    fn try_block(&self, places: Range<usize>, scratch: &mut Scratch) -> bool {
        let Screen { task, shared, .. } = self.screen;
        let block = places.start / SCREENED_LATENTS;
        let density = &shared.densities[block];
        let pays = density.pays();
        density.skip(task.rows.len().div_ceil(BLOCK_ROWS));
        if !pays {
            return false;
        }
        if !shared.tries.allow(block) {
            density.refuse();
            return false;
        }
        let n = task.rows.len() * places.len();
        let most = (most_candidates(&self.screen.input.selection) * n as f32) as usize;
        // What nearly pays and is listed already is worked out, and not tried again.
        let most_listed = most + most / 8;
        self.block(places, scratch, most_listed);
        let candidates = scratch.screening.candidates.len();
        shared.tries.note(density.accepts(candidates, most));
        candidates <= most_listed
    }

    /// Candidates of some latents; it ends early where there are more than `most` candidates.
    #[inline(always)]
    pub fn block(&self, places: Range<usize>, scratch: &mut Scratch, most: usize) {
        let Scratch { collector, screening: Screening { tiles: x, candidates, gathered, .. }, .. } = scratch;
        let (mut products, mut uppers) = (Products::ZERO, Uppers::ZERO);
        for first in places.clone().step_by(TILE_LATENTS) {
            let group = Group::new(self.screen, first..places.end, gathered);
            for panel in 0..x.n_panels() {
                if candidates.len() > most {
                    return;
                }
                self.tiles.multiply(group.bytes, x.panel(panel), &mut products);
                let tile = Tile { x, panel, products: &products, uppers: &mut uppers };
                match self.screen.input.selection {
                    Selection::Threshold(_) => {
                        tile.look::<L, true>(self.lanes, &group, collector, candidates)
                    }
                    _ => tile.look::<L, false>(self.lanes, &group, collector, candidates),
                }
            }
        }
    }
}

/// Some latents of a block, with what bounds their pre-activations.
pub struct Group<'a> {
    /// `[latents][first bytes, second bytes]`
    pub bytes: &'a [i8],
    /// Latents; those past them are others, and are not looked at.
    n: usize,
    /// Of the first latent, in the task.
    place: usize,
    facts: [Facts; TILE_LATENTS],
    biases: [f32; TILE_LATENTS],
    highest_biases: [f32; TILE_LATENTS],
    thresholds: [f32; TILE_LATENTS],
}

impl<'a> Group<'a> {
    /// The first of some places; `gathered` holds their bytes where they do not lie beside each other.
    #[inline(always)]
    pub fn new(screen: Screen<'a>, places: Range<usize>, gathered: &'a mut Vec<i8>) -> Self {
        let Screen { input, screened, task, .. } = screen;
        let row = 2 * padded_inputs(input.d_in);
        let latents: [usize; TILE_LATENTS] =
            from_fn(|m| input.latent((places.start + m).min(places.end - 1)));
        let first = latents[0];
        let bytes = if input.latents.is_none() && first + TILE_LATENTS <= screened.n_latents() {
            &screened.bytes[first * row..(first + TILE_LATENTS) * row]
        } else {
            gathered.clear();
            for latent in latents {
                gathered.extend_from_slice(&screened.bytes[latent * row..(latent + 1) * row]);
            }
            gathered
        };
        let epsilon = slack(input.d_in);
        let biases = latents.map(|latent| input.b_enc[latent]);
        Self {
            bytes,
            n: TILE_LATENTS.min(places.len()),
            place: places.start - task.places.start,
            facts: latents.map(|latent| screened.facts_of(latent)),
            biases,
            highest_biases: biases.map(|bias| bias + bias.abs() * epsilon),
            thresholds: match input.selection {
                Selection::Threshold(Some(all)) => latents.map(|latent| all[latent]),
                _ => [0.0; TILE_LATENTS],
            },
        }
    }
}

impl Group<'_> {
    /// Products of a latent with some rows, in steps of the rows.
    #[inline(always)]
    fn product<L: Lanes>(
        &self,
        lanes: L,
        part: L::Vector,
        products: &Products,
        m: usize,
        at: usize,
    ) -> L::Vector {
        let firsts = lanes.load_ints_of(&products.firsts[m][at..]);
        let crossed = lanes.load_ints_of(&products.crossed[m][at..]);
        let sum = lanes.multiply_add(crossed, part, firsts);
        lanes.multiply(sum, lanes.splat(self.facts[m].scale))
    }

    /// Approximate pre-activations, `[latents][rows]`.
    #[inline(always)]
    pub fn approximate<L: Lanes>(
        &self,
        lanes: L,
        x: &TilePanels,
        panel: usize,
        products: &Products,
        out: &mut [f32],
    ) {
        let part = lanes.splat(1.0 / PARTS);
        for (m, out) in out.chunks_exact_mut(TILE_ROWS).enumerate() {
            for (at, out) in (0..TILE_ROWS).step_by(L::WIDTH).zip(out.chunks_exact_mut(L::WIDTH)) {
                let scales = lanes.load_slice(&x.scales[panel * TILE_ROWS + at..]);
                let product = self.product(lanes, part, products, m, at);
                lanes.store_slice(out, lanes.multiply_add(product, scales, lanes.splat(self.biases[m])));
            }
        }
    }
}

/// Upper bounds of pre-activations, `[latents][rows]`.
#[repr(align(64))]
struct Uppers([[f32; TILE_ROWS]; TILE_LATENTS]);

impl Uppers {
    const ZERO: Self = Self([[0.0; TILE_ROWS]; TILE_LATENTS]);
}

/// Products of a group and one panel.
pub struct Tile<'a> {
    x: &'a TilePanels,
    panel: usize,
    products: &'a Products,
    uppers: &'a mut Uppers,
}

impl Tile<'_> {
    /// Add the pairs whose upper bound reaches the bar of their latent, or else of their row, those that are NaN included.
    #[inline(always)]
    fn look<L: Lanes, const BY_LATENT: bool>(
        self,
        lanes: L,
        group: &Group<'_>,
        collector: &Collector,
        candidates: &mut Candidates,
    ) {
        let Self { x, panel, products, uppers } = self;
        candidates.make_room(TILE_LATENTS * TILE_ROWS);
        let part = lanes.splat(1.0 / PARTS);
        for at in (0..TILE_ROWS).step_by(L::WIDTH) {
            let first_row = panel * TILE_ROWS + at;
            let of_rows = |facts: &[f32]| lanes.load_slice(&facts[first_row..]);
            let (scales, lengths) = (of_rows(&x.scales), of_rows(&x.lengths));
            let (residuals, seconds) = (of_rows(&x.residuals), of_rows(&x.seconds));
            let row_bars = of_rows(&collector.bars);
            let valid = ones(collector.n_rows.saturating_sub(first_row)) & ones(L::WIDTH);
            let mut passed = 0u32;
            for m in 0..TILE_LATENTS {
                let facts = &group.facts[m];
                let bound = lanes.splat(group.highest_biases[m]);
                let bound = lanes.multiply_add(lengths, lanes.splat(facts.residual), bound);
                let bound = lanes.multiply_add(residuals, lanes.splat(facts.length), bound);
                let bound = lanes.multiply_add(seconds, lanes.splat(facts.second), bound);
                let product = group.product(lanes, part, products, m, at);
                let upper = lanes.multiply_add(product, scales, bound);
                lanes.store_slice(&mut uppers.0[m][at..], upper);
                let bars = if BY_LATENT { lanes.splat(group.thresholds[m]) } else { row_bars };
                passed |= u32::from(!lanes.greater(bars, upper) & valid != 0) << m;
            }
            passed &= ones(group.n);
            // Only the vectors of which something passed: one loop over them is one branch to predict.
            while passed != 0 {
                let m = passed.trailing_zeros() as usize;
                passed &= passed - 1;
                let upper = lanes.load_slice(&uppers.0[m][at..]);
                let bars = if BY_LATENT { lanes.splat(group.thresholds[m]) } else { row_bars };
                let mask = !lanes.greater(bars, upper) & valid;
                candidates.add(lanes, mask, key(group.place + m, first_row), upper);
            }
        }
    }
}
