use super::best::{Cut, Histogram};
use super::row_pairs::{Pair, RowPairs};
use super::screened::{Density, SCREENED_LATENTS, Tries};
use super::{EncodeInput, Selection, Task};
use crate::instruction_set::InstructionSet;
use crate::lanes::{Lanes, MAX_WIDTH};
use std::array::from_fn;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

/// What the tasks of one `encode` share.
pub struct Shared {
    pub set: InstructionSet,
    /// Of `BatchTopK`, with the bar that is known before.
    batch: Mutex<Histogram>,
    first_bar: f32,
    /// Of the latents that take part, block by block, when they are screened.
    pub densities: Vec<Density>,
    pub tries: Tries,
    /// Of whole tasks, when their rows' k largest are looked for.
    pub top_k_density: Density,
    /// Pre-activations that screening left.
    pub candidates: AtomicUsize,
}

impl Shared {
    pub fn new(set: InstructionSet, input: &EncodeInput<'_>, first_bar: f32) -> Self {
        let n = match input.selection {
            Selection::BatchTopK { k, .. } => k.saturating_mul(input.n_rows),
            _ => 0,
        };
        let n_blocks = input.n_screened().div_ceil(SCREENED_LATENTS);
        Self {
            set,
            batch: Mutex::new(Histogram::new(n)),
            first_bar,
            densities: std::iter::repeat_with(Density::default).take(n_blocks).collect(),
            tries: Tries::default(),
            top_k_density: Density::default(),
            candidates: AtomicUsize::new(0),
        }
    }

    /// Count pre-activations of the batch, each once; gives a bar that at least n of those counted reach,
    /// or the first one.
    fn raise_bar(&self, values: &[f32]) -> f32 {
        let mut batch = self.batch.lock().expect("no thread panics while it holds the lock");
        batch.add(values);
        batch.bar().max(self.first_bar)
    }
}

/// The kept pairs of a task, while its tiles come in with latents ascending.
///
/// What passes its bar goes to a log, without a branch for each pair; when the log is full it is sorted into rows, and
/// there the bars of top-k rise.
#[derive(Default)]
pub struct Collector {
    /// `[lanes]`: what each row's pre-activations must exceed, for both kinds of top-k.
    pub bars: Vec<f32>,
    /// Bits of `place of the latent in the task << ROW_BITS | row`, and the values, `n_logged` of each.
    log_keys: Vec<f32>,
    log_values: Vec<f32>,
    n_logged: usize,
    rows: Vec<Vec<Pair>>,
    pub n_rows: usize,
    values: Vec<f32>,
}

/// Bits of a log key that hold the row.
const ROW_BITS: u32 = 10;
/// Rows and latents of a task at most, so that a key has 32 bits.
pub const MAX_ROWS: usize = 1 << ROW_BITS;
pub const MAX_PLACES: usize = 1 << (32 - ROW_BITS);

/// The row of a key, and the place of its latent, both in the task.
#[inline(always)]
pub fn row_and_place(key: u32) -> (usize, usize) {
    (key as usize & (MAX_ROWS - 1), (key >> ROW_BITS) as usize)
}

/// The key of the first lane of a vector; those of the others follow.
#[inline(always)]
pub fn key(place: usize, first_row: usize) -> u32 {
    (place << ROW_BITS | first_row) as u32
}

/// Rows of a panel at most, with padding.
pub const MAX_PANEL: usize = 3 * MAX_WIDTH;

/// Vectors of a tile at most: 8 latents × 3.
pub const MAX_TILE_VECTORS: usize = 24;

/// Pairs that the log holds: few enough to stay in cache beside the packed rows, 128 KiB.
const LOG: usize = 16 << 10;

impl Collector {
    pub fn start(&mut self, input: &EncodeInput<'_>, task: &Task, shared: &Shared) {
        self.n_rows = task.rows.len();
        self.n_logged = 0;
        // A vector is stored whole even where it adds fewer pairs.
        self.log_keys.resize(LOG + MAX_WIDTH, 0.0);
        self.log_values.resize(LOG + MAX_WIDTH, 0.0);
        if self.rows.len() < self.n_rows {
            self.rows.resize_with(self.n_rows, Vec::new);
        }
        self.rows[..self.n_rows].iter_mut().for_each(Vec::clear);
        let bar = match input.selection {
            Selection::BatchTopK { .. } => just_below(shared.raise_bar(&[])),
            Selection::TopK(_) => 0.0,
            Selection::Threshold(_) => f32::NEG_INFINITY,
        };
        self.bars.clear();
        self.bars.resize(MAX_ROWS + MAX_PANEL, bar);
    }

    /// Whether every row has k pairs, or all that are positive, since its pairs had no bar.
    pub fn is_complete(&mut self, input: &EncodeInput<'_>, shared: &Shared, k: usize, bars: &[f32]) -> bool {
        self.settle(input, shared);
        self.rows[..self.n_rows].iter().zip(bars).all(|(pairs, &bar)| pairs.len() >= k || bar == 0.0)
    }

    /// Rows with fewer than k pairs start again from a bar; the others are done.
    pub fn start_again(&mut self, k: usize, bars: &[f32]) {
        for ((pairs, bar), &first) in self.rows[..self.n_rows].iter_mut().zip(&mut self.bars).zip(bars) {
            *bar = f32::INFINITY;
            if pairs.len() < k {
                pairs.clear();
                *bar = first;
            }
        }
    }

    /// Keep what passes of a complete tile `[latents][VECTORS vectors of rows]`, whose rows are the task's from
    /// `first_row` on and whose latents are those from `place` on.
    #[inline(always)]
    pub fn look<L: Lanes, const VECTORS: usize>(
        &mut self,
        lanes: L,
        input: &EncodeInput<'_>,
        shared: &Shared,
        place: usize,
        latents: &[usize],
        first_row: usize,
        sums: &[f32],
    ) {
        self.make_room(input, shared, sums.len());
        let width = VECTORS * L::WIDTH;
        // Lanes past the last row keep nothing.
        let valid: [u32; VECTORS] = from_fn(|v| ones(self.n_rows.saturating_sub(first_row + v * L::WIDTH)));
        let bars: [L::Vector; VECTORS] = load_all(lanes, &self.bars[first_row..first_row + width]);
        let mut masks = [0; MAX_TILE_VECTORS];
        let mut passed = 0u32;
        for (m, (&latent, sums)) in latents.iter().zip(sums.chunks_exact(width)).enumerate() {
            let bars = match input.selection {
                Selection::Threshold(all) => [lanes.splat(all.map_or(0.0, |all| all[latent])); VECTORS],
                Selection::TopK(_) | Selection::BatchTopK { .. } => bars,
            };
            let values: [L::Vector; VECTORS] = load_all(lanes, sums);
            for v in 0..VECTORS {
                let mask = lanes.greater(values[v], bars[v]) & valid[v];
                masks[m * VECTORS + v] = mask;
                passed |= u32::from(mask != 0) << (m * VECTORS + v);
            }
        }
        let (keys_of_log, values_of_log) = (&mut self.log_keys[..], &mut self.log_values[..]);
        let mut n = self.n_logged;
        // Only the vectors of which something passed: one loop over them is one branch to predict.
        while passed != 0 {
            let i = passed.trailing_zeros() as usize;
            passed &= passed - 1;
            let key = key(place + i / VECTORS, first_row + i % VECTORS * L::WIDTH);
            let values = lanes.load_slice(&sums[i * L::WIDTH..]);
            lanes.store_slice(&mut keys_of_log[n..], lanes.compress(masks[i], lanes.count::<1>(key)));
            lanes.store_slice(&mut values_of_log[n..], lanes.compress(masks[i], values));
            n += masks[i].count_ones() as usize;
        }
        self.n_logged = n;
    }

    /// The same for one row and the latents of some vectors, from `place` on, with what each must exceed or else the
    /// row's bar.
    #[inline(always)]
    pub fn look_at_row<L: Lanes, const VECTORS: usize>(
        &mut self,
        lanes: L,
        input: &EncodeInput<'_>,
        shared: &Shared,
        place: usize,
        bars: Option<[L::Vector; VECTORS]>,
        row: usize,
        sums: [L::Vector; VECTORS],
    ) {
        self.make_room(input, shared, VECTORS * L::WIDTH);
        let bars = bars.unwrap_or([lanes.splat(self.bars[row]); VECTORS]);
        let mut n = self.n_logged;
        for (v, (sums, bars)) in sums.into_iter().zip(bars).enumerate() {
            let mask = lanes.greater(sums, bars);
            if mask != 0 {
                let keys = lanes.count::<{ MAX_ROWS as u32 }>(key(place + v * L::WIDTH, row));
                lanes.store_slice(&mut self.log_keys[n..], lanes.compress(mask, keys));
                lanes.store_slice(&mut self.log_values[n..], lanes.compress(mask, sums));
                n += mask.count_ones() as usize;
            }
        }
        self.n_logged = n;
    }

    /// Settle unless the log has room for so many pairs.
    #[inline(always)]
    pub fn make_room(&mut self, input: &EncodeInput<'_>, shared: &Shared, n: usize) {
        if self.n_logged + n > LOG {
            self.settle(input, shared);
        }
    }

    /// Log one pre-activation, by its key, if it passes a bar.
    #[inline(always)]
    pub fn push(&mut self, input: &EncodeInput<'_>, shared: &Shared, key: u32, value: f32, bar: f32) {
        self.make_room(input, shared, 1);
        self.log_keys[self.n_logged] = f32::from_bits(key);
        self.log_values[self.n_logged] = value;
        self.n_logged += usize::from(value > bar);
    }

    /// Sort the log into rows. Each row's latents ascend, since those of the tiles do.
    #[inline(never)]
    fn settle(&mut self, input: &EncodeInput<'_>, shared: &Shared) {
        for (key, &value) in self.log_keys[..self.n_logged].iter().zip(&self.log_values) {
            let (row, latent) = row_and_place(key.to_bits());
            self.rows[row].push(Pair { latent: latent as u32, value });
        }
        let n = std::mem::take(&mut self.n_logged);
        match input.selection {
            Selection::Threshold(_) => {}
            // Half of k more than is kept: often enough to keep the bars high, seldom enough to cost little.
            Selection::TopK(k) => (0..self.n_rows).for_each(|row| self.cut_row(row, k, k + k / 2, shared)),
            Selection::BatchTopK { .. } => {
                self.bars.fill(just_below(shared.raise_bar(&self.log_values[..n])))
            }
        }
    }

    /// Cut a row of more than `limit` pairs to its k best; ties go to the lower latent.
    fn cut_row(&mut self, row: usize, k: usize, limit: usize, shared: &Shared) {
        let pairs = &mut self.rows[row];
        if pairs.len() <= limit {
            return;
        }
        self.values.clear();
        self.values.extend(pairs.iter().map(|pair| pair.value));
        let mut cut = Cut::of(shared.set, &self.values, k);
        // A later latent that only reaches the bar has lost the tie.
        self.bars[row] = cut.bar;
        keep(&mut cut, pairs);
    }

    /// The pairs of the task.
    pub fn finish(&mut self, input: &EncodeInput<'_>, task: &Task, shared: &Shared) -> RowPairs {
        self.settle(input, shared);
        match input.selection {
            Selection::Threshold(_) => {}
            Selection::TopK(k) => (0..self.n_rows).for_each(|row| self.cut_row(row, k, k, shared)),
            Selection::BatchTopK { .. } => {
                let mut cut = Cut::above(self.bars[0]);
                self.rows[..self.n_rows].iter_mut().for_each(|pairs| keep(&mut cut, pairs));
            }
        }
        let rows = &self.rows[..self.n_rows];
        let mut pairs = rows.concat();
        for pair in &mut pairs {
            pair.latent = input.latent(task.places.start + pair.latent as usize) as u32;
        }
        RowPairs { counts: rows.iter().map(|pairs| pairs.len() as u32).collect(), pairs }
    }
}

fn keep(cut: &mut Cut, pairs: &mut Vec<Pair>) {
    let n = pairs.len();
    let end = cut.keep(pairs, 0..n, 0, |pair| pair.value);
    pairs.truncate(end);
}

#[inline(always)]
pub fn load_all<L: Lanes, const VECTORS: usize>(lanes: L, from: &[f32]) -> [L::Vector; VECTORS] {
    let mut vectors = [lanes.splat(0.0); VECTORS];
    for (vector, from) in vectors.iter_mut().zip(from.chunks_exact(L::WIDTH)) {
        *vector = lanes.load_slice(from);
    }
    vectors
}

/// The lowest n bits.
#[inline(always)]
pub fn ones(n: usize) -> u32 {
    if n >= 32 { u32::MAX } else { (1 << n) - 1 }
}

/// The bar that lets a value equal to `bar` pass, and no value that is not positive.
fn just_below(bar: f32) -> f32 {
    bar.next_down().max(0.0)
}
