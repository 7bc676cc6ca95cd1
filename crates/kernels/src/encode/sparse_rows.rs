use super::EncodeInput;
use crate::engine::Engine;
use crate::lanes::{Kernel, Lanes};
use rayon::prelude::*;
use std::ops::Range;

/// A number of a row that is not 0, and its input.
#[derive(Clone, Copy, Default)]
pub struct Entry {
    pub input: u32,
    pub value: f32,
}

/// The rows of X without their zeros, their inputs ascending.
pub struct SparseRows {
    /// Entries before each row, and of all at the end.
    starts: Vec<usize>,
    entries: Vec<Entry>,
}

/// Rows that one thread takes at a time.
const ROWS_AT_ONCE: usize = 64;

impl SparseRows {
    /// None where more than this share of X is not 0.
    pub fn of(engine: &Engine, input: &EncodeInput<'_>, most: f64) -> Option<Self> {
        let &EncodeInput { x, n_rows, d_in, .. } = input;
        let set = engine.instruction_set;
        let mut starts = vec![0; n_rows + 1];
        engine.install(|| {
            let counts = starts[1..].par_iter_mut().zip(x.par_chunks_exact(d_in)).with_min_len(ROWS_AT_ONCE);
            counts.for_each(|(count, row)| *count = set.run(Count { row }));
        });
        for row in 0..n_rows {
            starts[row + 1] += starts[row];
        }
        let n = starts[n_rows];
        if n as f64 > most * x.len() as f64 {
            return None;
        }
        let mut entries = vec![Entry::default(); n];
        let mut rest = &mut entries[..];
        let parts: Vec<_> = starts
            .windows(2)
            .zip(x.chunks_exact(d_in))
            .map(|(ends, row)| {
                let (part, after) = std::mem::take(&mut rest).split_at_mut(ends[1] - ends[0]);
                rest = after;
                (row, part)
            })
            .collect();
        engine.install(|| {
            let parts = parts.into_par_iter().with_min_len(ROWS_AT_ONCE);
            parts.for_each(|(row, entries)| set.run(Fill { row, entries }));
        });
        Some(Self { starts, entries })
    }

    #[inline(always)]
    pub fn row(&self, row: usize) -> &[Entry] {
        let Range { start, end } = self.starts[row]..self.starts[row + 1];
        &self.entries[start..end]
    }
}

struct Count<'a> {
    row: &'a [f32],
}

impl Kernel for Count<'_> {
    type Output = usize;
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> usize {
        let vectors = self.row.chunks(L::WIDTH);
        vectors.map(|part| lanes.not_zero(lanes.load_some(part)).count_ones() as usize).sum()
    }
}

struct Fill<'a> {
    row: &'a [f32],
    /// As many as were counted.
    entries: &'a mut [Entry],
}

impl Kernel for Fill<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let mut entries = self.entries.iter_mut();
        for first in (0..self.row.len()).step_by(L::WIDTH) {
            let part = &self.row[first..self.row.len().min(first + L::WIDTH)];
            let mut mask = lanes.not_zero(lanes.load_some(part));
            while mask != 0 {
                let lane = mask.trailing_zeros() as usize;
                mask &= mask - 1;
                let entry = entries.next().expect("the row was counted the same way");
                *entry = Entry { input: (first + lane) as u32, value: part[lane] };
            }
        }
    }
}
