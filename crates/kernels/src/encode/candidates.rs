//! What screening cannot rule out.

use super::byte_panels::BytePanels;
use super::collector::{Collector, MAX_TILE_VECTORS, key, load_all, ones};
use super::{EncodeInput, Selection};
use crate::lanes::{Lanes, MAX_WIDTH};
use crate::screen::{Facts, slack};
use std::array::from_fn;

/// Pairs of a row and a latent of a task, with upper bounds of their pre-activations.
#[derive(Default)]
pub struct Candidates {
    /// Bits of the keys of a collector's log.
    keys: Vec<f32>,
    uppers: Vec<f32>,
    n: usize,
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

impl Candidates {
    pub fn len(&self) -> usize {
        self.n
    }

    pub fn truncate(&mut self, n: usize) {
        self.n = n;
    }

    /// So many pairs can be added.
    #[inline(always)]
    pub fn make_room(&mut self, n: usize) {
        // A vector is stored whole even where it adds fewer pairs.
        let n = self.n + n + MAX_WIDTH;
        if self.keys.len() < n {
            self.keys.resize(2 * n, 0.0);
            self.uppers.resize(2 * n, 0.0);
        }
    }

    /// The key, and an upper bound of the pre-activation. One that is NaN, since a row or its bound is, bounds nothing.
    #[inline(always)]
    pub fn get(&self, i: usize) -> (u32, f32) {
        let upper = self.uppers[i];
        (self.keys[i].to_bits(), if upper.is_nan() { f32::INFINITY } else { upper })
    }

    /// Add the pairs of a tile whose upper bound reaches the bar, those that are NaN included.
    #[inline(always)]
    pub fn look<L: Lanes, const VECTORS: usize>(
        &mut self,
        lanes: L,
        input: &EncodeInput<'_>,
        collector: &Collector,
        x: &BytePanels,
        tile: ScreenedTile<'_>,
    ) {
        let ScreenedTile { place, latents, facts, first_row, sums } = tile;
        self.make_room(sums.len());
        let width = VECTORS * L::WIDTH;
        let rows = first_row..first_row + width;
        let valid: [u32; VECTORS] =
            from_fn(|v| ones(collector.n_rows.saturating_sub(first_row + v * L::WIDTH)) & ones(L::WIDTH));
        let row_bars: [L::Vector; VECTORS] = load_all(lanes, &collector.bars[rows.clone()]);
        let scales: [L::Vector; VECTORS] = load_all(lanes, &x.scales[rows.clone()]);
        let lengths: [L::Vector; VECTORS] = load_all(lanes, &x.lengths[rows.clone()]);
        let residuals: [L::Vector; VECTORS] = load_all(lanes, &x.residuals[rows]);
        let epsilon = slack(input.d_in);
        let mut masks = [0; MAX_TILE_VECTORS];
        let mut passed = 0u32;
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
        // Only the vectors of which something passed: one loop over them is one branch to predict.
        while passed != 0 {
            let i = passed.trailing_zeros() as usize;
            passed &= passed - 1;
            let uppers = lanes.load_slice(&sums[i * L::WIDTH..]);
            let key = key(place + i / VECTORS, first_row + i % VECTORS * L::WIDTH);
            self.add(lanes, masks[i], key, uppers);
        }
    }

    /// Add those pairs of a latent and some rows, of which the first has the key, whose bit is set.
    #[inline(always)]
    pub fn add<L: Lanes>(&mut self, lanes: L, mask: u32, key: u32, uppers: L::Vector) {
        lanes.store_slice(&mut self.keys[self.n..], lanes.compress(mask, lanes.count::<1>(key)));
        lanes.store_slice(&mut self.uppers[self.n..], lanes.compress(mask, uppers));
        self.n += mask.count_ones() as usize;
    }
}
