//! The collector's part in screening: what the bound cannot rule out is logged, then worked out in fp32.

use super::byte_panels::BytePanels;
use super::exact::{Pairs, exact_values};
use super::selection::{Collector, MAX_TILE_VECTORS, Shared, load_all, ones};
use super::{EncodeInput, Selection, Task};
use crate::lanes::{Lanes, MAX_WIDTH};
use crate::screen::{Facts, slack};
use std::array::from_fn;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Whether screening pays for some latents: what the last block of them showed. Tasks share it.
#[derive(Default)]
pub struct Density(AtomicUsize);

/// The share of pre-activations from which on the fp32 tiles are faster: a candidate costs as much as fourteen of theirs, and
/// screening a block two fifths of it (`bench -- kernels`, AVX-512 with VNNI).
pub const MOST_CANDIDATES: f32 = 0.04;

/// Where screening did not pay, it is tried again after so many blocks: a try in vain costs half a block.
const PATIENCE: usize = 64;

impl Density {
    pub fn may_screen(&self) -> bool {
        let blocks_to_skip = self.0.load(Relaxed);
        self.0.store(blocks_to_skip.saturating_sub(1), Relaxed);
        blocks_to_skip == 0
    }

    /// Gives whether so many candidates are few enough.
    pub fn accepts(&self, candidates: usize, n: usize) -> bool {
        let accepted = candidates as f32 <= MOST_CANDIDATES * n as f32;
        if !accepted {
            self.0.store(PATIENCE, Relaxed);
        }
        accepted
    }
}

/// Approximate products of a group of latents × one panel.
pub struct ScreenedTile<'a> {
    /// Of the first latent, in the task.
    pub place: usize,
    pub latents: &'a [usize],
    pub facts: &'a [Facts],
    pub first_row: usize,
    /// `[latents][lanes]`; overwritten by upper bounds of pre-activations.
    pub sums: &'a mut [f32],
}

impl Collector {
    /// Log the latents whose upper bound reaches the bar. One that is NaN, since a row or its bound is, is logged too.
    #[inline(always)]
    pub fn look_screened<L: Lanes, const VECTORS: usize>(
        &mut self,
        lanes: L,
        input: &EncodeInput<'_>,
        x: &BytePanels,
        tile: ScreenedTile<'_>,
    ) {
        let ScreenedTile { place, latents, facts, first_row, sums } = tile;
        let width = VECTORS * L::WIDTH;
        let rows = first_row..first_row + width;
        let valid: [u32; VECTORS] =
            from_fn(|v| ones(self.n_rows.saturating_sub(first_row + v * L::WIDTH)) & ones(L::WIDTH));
        let row_bars: [L::Vector; VECTORS] = load_all(lanes, &self.bars[rows.clone()]);
        let scales: [L::Vector; VECTORS] = load_all(lanes, &x.scales[rows.clone()]);
        let lengths: [L::Vector; VECTORS] = load_all(lanes, &x.lengths[rows.clone()]);
        let residuals: [L::Vector; VECTORS] = load_all(lanes, &x.residuals[rows]);
        let epsilon = slack(input.d_in);
        let mut masks = [0; MAX_TILE_VECTORS];
        let mut passed = 0;
        for (m, (&latent, sums)) in latents.iter().zip(sums.chunks_exact_mut(width)).enumerate() {
            let bias = input.b_enc[latent];
            let highest_bias = lanes.splat(bias + bias.abs() * epsilon);
            let [scale, length, residual] =
                [facts[m].scale, facts[m].length, facts[m].residual].map(|fact| lanes.splat(fact));
            let bars = match input.selection {
                Selection::Threshold(all) => [lanes.splat(all.map_or(0.0, |all| all[latent])); VECTORS],
                _ => row_bars,
            };
            for (v, sums) in sums.chunks_exact_mut(L::WIDTH).enumerate() {
                let product = lanes.multiply(lanes.load_slice(sums), scale);
                let bound = lanes.multiply_add(lengths[v], residual, highest_bias);
                let bound = lanes.multiply_add(residuals[v], length, bound);
                let upper = lanes.multiply_add(product, scales[v], bound);
                lanes.store_slice(sums, upper);
                let mask = !lanes.greater(bars[v], upper) & valid[v];
                masks[m * VECTORS + v] = mask;
                passed |= u32::from(mask != 0) << (m * VECTORS + v);
            }
        }
        self.log::<L, VECTORS>(lanes, place, first_row, &masks, passed, sums);
    }

    /// Work out in fp32 what was logged by screening since there were so many pairs, and keep what passes its bar.
    #[inline(always)]
    pub fn work_out<L: Lanes>(
        &mut self,
        lanes: L,
        input: &EncodeInput<'_>,
        task: &Task,
        shared: &Shared,
        from: usize,
    ) {
        let n = self.n_logged();
        shared.candidates.fetch_add(n - from, Relaxed);
        let mut kept = from;
        for start in (from..n).step_by(L::WIDTH) {
            let end = n.min(start + L::WIDTH);
            let mut logged = [(0, 0); MAX_WIDTH];
            let mut pairs =
                Pairs { x: [&[]; MAX_WIDTH], weights: [&[]; MAX_WIDTH], biases: [0.0; MAX_WIDTH] };
            // Past the last pair the last is repeated.
            for (lane, logged) in logged.iter_mut().enumerate() {
                let (row, pair) = self.logged((start + lane).min(end - 1));
                let latent = input.latent(task.places.start + pair.latent as usize);
                *logged = (row, latent);
                pairs.x[lane] = &input.x[(task.rows.start + row) * input.d_in..][..input.d_in];
                pairs.weights[lane] = &input.w_enc[latent * input.d_in..][..input.d_in];
                pairs.biases[lane] = input.b_enc[latent];
            }
            let mut values = [0.0; MAX_WIDTH];
            lanes.store_slice(&mut values, exact_values(lanes, &pairs));
            for (lane, i) in (start..end).enumerate() {
                let (row, latent) = logged[lane];
                let bar = match input.selection {
                    Selection::Threshold(all) => all.map_or(0.0, |all| all[latent]),
                    Selection::TopK(_) | Selection::BatchTopK(_) => self.bars[row],
                };
                self.replace_logged(i, kept, values[lane]);
                kept += usize::from(values[lane] > bar);
            }
        }
        self.forget(kept);
    }
}
