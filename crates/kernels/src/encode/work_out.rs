//! How candidates are worked out in fp32: block by block of latents, whose rows of W_enc stay in L2 beside the task's rows
//! of X.

use super::candidates::Candidates;
use super::collector::{Collector, Shared, row_and_place};
use super::exact::{Pairs, exact_values};
use super::rows_on_lines::RowsOnLines;
use super::screened::SCREENED_LATENTS;
use super::{EncodeInput, Selection, Task};
use crate::lanes::{Lanes, MAX_WIDTH};
use crate::screen::{ScreenedView, slack};
use crate::sums::inner_product;
use std::array::from_fn;
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;

/// Works out candidates, one task's.
pub struct WorkOut<'a> {
    pub input: &'a EncodeInput<'a>,
    pub screened: ScreenedView<'a>,
    pub task: &'a Task,
    pub shared: &'a Shared,
    pub x: &'a RowsOnLines,
    /// Of the rows of X.
    pub lengths: &'a [f32],
    /// Whether bounds are so close that a sieve would find nothing.
    pub is_close: bool,
    pub collector: &'a mut Collector,
    pub waiting: &'a mut Waiting,
}

/// Keys of pairs.
#[derive(Default)]
pub struct Waiting {
    /// Of a block what can reach its bar.
    chosen: Vec<u32>,
    /// The same by latent.
    sorted: Vec<u32>,
    /// What the sieve left; it waits until there is one for each lane.
    left: [u32; MAX_WIDTH],
    n_left: usize,
}

/// Candidates ahead whose weights are fetched.
const AHEAD: usize = 2;

impl WorkOut<'_> {
    /// Work out what of all candidates can reach its bar. Those of the blocks end at `ends`, which starts with 0.
    #[inline(always)]
    pub fn blocks<L: Lanes>(&mut self, lanes: L, candidates: &Candidates, ends: &[usize]) {
        for (block, range) in ends.windows(2).enumerate() {
            let (range, first) = (range[0]..range[1], block * SCREENED_LATENTS);
            if self.is_close {
                self.all(lanes, candidates, range, first);
                continue;
            }
            let next = if range.len() < SCREENED_LATENTS {
                &[]
            } else {
                self.weights_from(first + SCREENED_LATENTS)
            };
            self.sieve(lanes, candidates, range, first, next);
        }
        self.flush(lanes);
    }

    /// Rule out by a product in fp32 what is not near its bar, of the candidates of a block whose first latent is at
    /// `first`, and work out the rest, in the order of the latents.
    ///
    /// A product whose sums run along the inputs costs a third of one that is a chain of multiply-adds, as those of the
    /// tiles are. Both are within the slack of `screen`, times the lengths, of each other. Meanwhile what comes `next` is fetched.
    #[inline(always)]
    pub fn sieve<L: Lanes>(
        &mut self,
        lanes: L,
        candidates: &Candidates,
        range: Range<usize>,
        first: usize,
        mut next: &[f32],
    ) {
        self.sort(candidates, range, first);
        let n = self.waiting.sorted.len();
        self.shared.candidates.fetch_add(n, Relaxed);
        let epsilon = slack(self.input.d_in);
        let lines = next.len().div_ceil(LINE * n.max(1));
        for i in 0..n {
            self.fetch(lanes, i + AHEAD);
            let (now, rest) = next.split_at(next.len().min(lines * LINE));
            next = rest;
            for line in now.chunks(LINE) {
                lanes.prefetch_to_l2(line.as_ptr());
            }
            let key = self.waiting.sorted[i];
            let (row, latent) = self.row_and_latent(key);
            let bias = self.input.b_enc[latent];
            let lengths = self.lengths[row] * self.screened.facts_of(latent).length;
            let product = inner_product(lanes, self.x_of(row), self.weights_of(latent)) + bias;
            let upper = product + epsilon * (lengths + bias.abs());
            self.waiting.left[self.waiting.n_left] = key;
            // NaN is not ruled out.
            self.waiting.n_left += usize::from(self.bar(row, latent) <= upper || upper.is_nan());
            if self.waiting.n_left == L::WIDTH {
                self.flush(lanes);
            }
        }
    }

    /// Work out the candidates of a block that can reach their bars, where bounds are so close that a sieve is not worth it.
    #[inline(always)]
    pub fn all<L: Lanes>(&mut self, lanes: L, candidates: &Candidates, range: Range<usize>, first: usize) {
        self.sort(candidates, range, first);
        let n = self.waiting.sorted.len();
        self.shared.candidates.fetch_add(n, Relaxed);
        for i in 0..n {
            self.waiting.left[self.waiting.n_left] = self.waiting.sorted[i];
            self.waiting.n_left += 1;
            if self.waiting.n_left == L::WIDTH {
                let next = from_fn(|lane| match self.waiting.sorted.get(i + 1 + lane) {
                    Some(&key) => self.weights_of(self.row_and_latent(key).1).as_ptr(),
                    None => std::ptr::null(),
                });
                self.work_out(lanes, next);
            }
        }
    }

    /// The candidates of a block that can reach their bars, by latent.
    #[inline(always)]
    fn sort(&mut self, candidates: &Candidates, range: Range<usize>, first: usize) {
        let Waiting { chosen, sorted, .. } = self.waiting;
        chosen.resize(range.len(), 0);
        let mut n = 0;
        for (key, upper) in range.map(|i| candidates.get(i)) {
            chosen[n] = key;
            // Where thresholds decide, everything reaches the bars of the rows.
            n += usize::from(upper >= self.collector.bars[row_and_place(key).0]);
        }
        let mut starts = [0; SCREENED_LATENTS + 1];
        for &key in &chosen[..n] {
            starts[row_and_place(key).1 - first + 1] += 1;
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        sorted.resize(n, 0);
        for &key in &chosen[..n] {
            let next = &mut starts[row_and_place(key).1 - first];
            sorted[*next] = key;
            *next += 1;
        }
    }

    /// Work out those that wait; what passes its bar goes to the collector.
    #[inline(always)]
    pub fn flush<L: Lanes>(&mut self, lanes: L) {
        self.work_out(lanes, [std::ptr::null(); MAX_WIDTH]);
    }

    /// The same; meanwhile the weights that come next are fetched.
    #[inline(always)]
    fn work_out<L: Lanes>(&mut self, lanes: L, next: [*const f32; MAX_WIDTH]) {
        let n = std::mem::take(&mut self.waiting.n_left);
        if n == 0 {
            return;
        }
        let keys = self.waiting.left;
        let mut pairs =
            Pairs { x: [&[]; MAX_WIDTH], weights: [&[]; MAX_WIDTH], biases: [0.0; MAX_WIDTH], next };
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

    /// Bring the weights of a candidate near, unless they are those of the one before. Its row of X is in L2: fetching it
    /// costs more than it saves.
    #[inline(always)]
    fn fetch<L: Lanes>(&self, lanes: L, i: usize) {
        let Some(&key) = self.waiting.sorted.get(i) else { return };
        let (_, latent) = self.row_and_latent(key);
        if self.row_and_latent(self.waiting.sorted[i - 1]).1 != latent {
            for line in self.weights_of(latent).chunks(LINE) {
                lanes.prefetch(line.as_ptr());
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
        self.x.row(row)
    }

    /// The weights of the block that starts at a place, where its latents follow each other.
    fn weights_from(&self, first: usize) -> &'a [f32] {
        let (input, task) = (self.input, self.task);
        let start = task.places.end.min(task.places.start + first);
        let end = task.places.end.min(start + SCREENED_LATENTS);
        if input.latents.is_some() { &[] } else { &input.w_enc[start * input.d_in..end * input.d_in] }
    }

    fn weights_of(&self, latent: usize) -> &'a [f32] {
        let input = self.input;
        &input.w_enc[latent * input.d_in..][..input.d_in]
    }
}

/// Floats of a cache line.
const LINE: usize = 16;
