//! What screening cannot rule out, and how it is worked out in fp32.

use super::byte_panels::BytePanels;
use super::collector::{Collector, MAX_TILE_VECTORS, Shared, key, load_all, ones, row_and_place};
use super::exact::{Pairs, exact_values};
use super::{EncodeInput, Selection, Task};
use crate::lanes::{Lanes, MAX_WIDTH};
use crate::screen::{Facts, ScreenedView, slack};
use crate::sums::inner_product;
use std::array::from_fn;
use std::sync::atomic::Ordering::Relaxed;

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

    pub fn row_and_place(&self, i: usize) -> (usize, usize) {
        row_and_place(self.keys[i].to_bits())
    }

    /// An upper bound that is NaN, since a row or its bound is, bounds nothing.
    pub fn upper(&self, i: usize) -> f32 {
        if self.uppers[i].is_nan() { f32::INFINITY } else { self.uppers[i] }
    }

    /// Move the candidates of a choice here, in their order.
    pub fn take_from(&mut self, from: &Self, choose: impl Fn(usize) -> bool) {
        self.n = 0;
        self.make_room(from.n);
        for i in 0..from.n {
            (self.keys[self.n], self.uppers[self.n]) = (from.keys[i], from.uppers[i]);
            self.n += usize::from(choose(i));
        }
    }

    fn make_room(&mut self, n: usize) {
        // A vector is stored whole even where it adds fewer pairs.
        let n = self.n + n + MAX_WIDTH;
        if self.keys.len() < n {
            self.keys.resize(2 * n, 0.0);
            self.uppers.resize(2 * n, 0.0);
        }
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
            let keys = lanes.count::<1>(key(place + i / VECTORS, first_row + i % VECTORS * L::WIDTH));
            let uppers = lanes.load_slice(&sums[i * L::WIDTH..]);
            lanes.store_slice(&mut self.keys[self.n..], lanes.compress(masks[i], keys));
            lanes.store_slice(&mut self.uppers[self.n..], lanes.compress(masks[i], uppers));
            self.n += masks[i].count_ones() as usize;
        }
    }
}

/// Candidates ahead whose rows are fetched.
const AHEAD: usize = 8;

/// Works out candidates, one task's.
pub struct WorkOut<'a> {
    pub input: &'a EncodeInput<'a>,
    pub screened: ScreenedView<'a>,
    pub task: &'a Task,
    pub shared: &'a Shared,
    pub x: &'a BytePanels,
    pub collector: &'a mut Collector,
    pub waiting: &'a mut Waiting,
}

/// Candidates that wait until there is one for each lane.
#[derive(Default)]
pub struct Waiting {
    keys: [u32; MAX_WIDTH],
    n: usize,
}

impl WorkOut<'_> {
    /// Rule out by a product in fp32 what is not near its bar, and work out the rest, in their order.
    ///
    /// A product whose sums run along the inputs costs a third of one that is a chain of multiply-adds, as those of the
    /// tiles are. Both are within the slack of `screen`, times the lengths, of each other.
    #[inline(always)]
    pub fn sieve<L: Lanes>(&mut self, lanes: L, candidates: &Candidates) {
        self.shared.candidates.fetch_add(candidates.n, Relaxed);
        let epsilon = slack(self.input.d_in);
        for i in 0..candidates.n {
            self.fetch(lanes, candidates, i + AHEAD);
            let key = candidates.keys[i].to_bits();
            let (row, latent) = self.row_and_latent(key);
            let bias = self.input.b_enc[latent];
            let lengths = self.x.lengths[row] * self.screened.facts_of(latent).length;
            let product = inner_product(lanes, self.x_of(row), self.weights_of(latent)) + bias;
            let upper = product + epsilon * (lengths + bias.abs());
            self.waiting.keys[self.waiting.n] = key;
            // NaN is not ruled out.
            self.waiting.n += usize::from(self.bar(row, latent) <= upper || upper.is_nan());
            if self.waiting.n == L::WIDTH {
                self.flush(lanes);
            }
        }
    }

    /// Work out all candidates, in their order.
    #[inline(always)]
    pub fn all<L: Lanes>(&mut self, lanes: L, candidates: &Candidates) {
        self.shared.candidates.fetch_add(candidates.n, Relaxed);
        for i in 0..candidates.n {
            self.fetch(lanes, candidates, i);
            self.waiting.keys[self.waiting.n] = candidates.keys[i].to_bits();
            self.waiting.n += 1;
            if self.waiting.n == L::WIDTH {
                self.flush(lanes);
            }
        }
    }

    /// Work out those that wait; what passes its bar goes to the collector.
    #[inline(always)]
    pub fn flush<L: Lanes>(&mut self, lanes: L) {
        let n = std::mem::take(&mut self.waiting.n);
        if n == 0 {
            return;
        }
        let keys = self.waiting.keys;
        let mut pairs = Pairs { x: [&[]; MAX_WIDTH], weights: [&[]; MAX_WIDTH], biases: [0.0; MAX_WIDTH] };
        // Past the last pair the last is repeated.
        for lane in 0..MAX_WIDTH {
            let (row, latent) = self.row_and_latent(keys[lane.min(n - 1)]);
            pairs.x[lane] = self.x_of(row);
            pairs.weights[lane] = self.weights_of(latent);
            pairs.biases[lane] = self.input.b_enc[latent];
        }
        let mut values = [0.0; MAX_WIDTH];
        lanes.store_slice(&mut values, exact_values(lanes, &pairs));
        for (&key, &value) in keys[..n].iter().zip(&values) {
            let (row, latent) = self.row_and_latent(key);
            let bar = self.bar(row, latent);
            self.collector.push(self.input, self.shared, key, value, bar);
        }
    }

    /// Bring the row of W_enc of a candidate near: the hardware does not foresee it. That of X is in L2.
    #[inline(always)]
    fn fetch<L: Lanes>(&self, lanes: L, candidates: &Candidates, i: usize) {
        if i < candidates.n {
            let (_, latent) = self.row_and_latent(candidates.keys[i].to_bits());
            let weights = self.weights_of(latent).as_ptr();
            for line in (0..self.input.d_in).step_by(16) {
                lanes.prefetch(weights.wrapping_add(line));
            }
        }
    }

    fn row_and_latent(&self, key: u32) -> (usize, usize) {
        let (row, place) = row_and_place(key);
        (row, self.input.latent(self.task.places.start + place))
    }

    fn bar(&self, row: usize, latent: usize) -> f32 {
        match self.input.selection {
            Selection::Threshold(all) => all.map_or(0.0, |all| all[latent]),
            Selection::TopK(_) | Selection::BatchTopK { .. } => self.collector.bars[row],
        }
    }
}

impl<'a> WorkOut<'a> {
    fn x_of(&self, row: usize) -> &'a [f32] {
        self.x.row(row, self.input.d_in)
    }

    fn weights_of(&self, latent: usize) -> &'a [f32] {
        let input = self.input;
        &input.w_enc[latent * input.d_in..][..input.d_in]
    }
}
