use crate::instruction_set::InstructionSet;
use crate::lanes::{Kernel, Lanes};
use std::ops::Range;

/// Where a list of positive values is cut to keep its n largest: those above `bar`, and the first few equal to it.
pub struct Cut {
    /// At least n values reach it, and at most n exceed it: a value that does not reach it is not among the n.
    pub bar: f32,
    ties: usize,
}

impl Cut {
    /// The cut that keeps n of the values (1 ≤ n ≤ their number).
    ///
    /// Bisection on the bits, which are in the order of the values as long as these are positive. Each step counts
    /// with vectors, and it ends as soon as a bar leaves exactly n above it, so it beats a selection by swaps.
    pub fn of(set: InstructionSet, values: &[f32], n: usize) -> Self {
        let above = |bar: u32| set.run(CountAbove { values, bar: f32::from_bits(bar) });
        let (mut low, mut high) = (0, f32::INFINITY.to_bits());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match above(middle).cmp(&n) {
                std::cmp::Ordering::Equal => return Self { bar: f32::from_bits(middle), ties: 0 },
                std::cmp::Ordering::Less => high = middle,
                std::cmp::Ordering::Greater => low = middle,
            }
        }
        Self { bar: f32::from_bits(high), ties: n - above(high) }
    }

    /// The cut that keeps what exceeds a bar.
    pub fn above(bar: f32) -> Self {
        Self { bar, ties: 0 }
    }

    /// Keep the best of a list from `from` on, in their order; they move to `to`. Gives where they end.
    ///
    /// Lists must be passed in the order in which ties are to be kept. Whether a value is kept is as good as random:
    /// each is written, and only the place of the next depends on it.
    #[inline(always)]
    pub fn keep<T: Copy>(
        &mut self,
        list: &mut [T],
        range: Range<usize>,
        mut to: usize,
        value: impl Fn(&T) -> f32,
    ) -> usize {
        debug_assert!(to <= range.start);
        for from in range {
            let item = list[from];
            let value = value(&item);
            let tie = value == self.bar && self.ties > 0;
            self.ties -= usize::from(tie);
            list[to] = item;
            to += usize::from(tie || value > self.bar);
        }
        to
    }
}

/// How many positive values were seen of each size, to know a bar that n of them reach without keeping them.
pub struct Histogram {
    counts: Vec<usize>,
    n: usize,
    /// The highest bucket such that n values are in it or above, and how many these are.
    bar: usize,
    n_reached: usize,
}

/// A bucket is the exponent and the first 6 bits of the fraction: values of a bucket differ by 1.6 % at most.
const BUCKET_SHIFT: u32 = 17;

impl Histogram {
    pub fn new(n: usize) -> Self {
        let buckets = if n == 0 { 0 } else { (f32::INFINITY.to_bits() >> BUCKET_SHIFT) as usize + 1 };
        Self { counts: vec![0; buckets], n, bar: 0, n_reached: 0 }
    }

    pub fn add(&mut self, values: &[f32]) {
        for value in values {
            let bucket = (value.to_bits() >> BUCKET_SHIFT) as usize;
            self.counts[bucket] += 1;
            self.n_reached += usize::from(bucket >= self.bar);
        }
        while self.n_reached - self.counts[self.bar] >= self.n {
            self.n_reached -= self.counts[self.bar];
            self.bar += 1;
        }
    }

    /// A value that at least n of those added reach; 0 as long as there are fewer.
    pub fn bar(&self) -> f32 {
        f32::from_bits((self.bar as u32) << BUCKET_SHIFT)
    }
}

struct CountAbove<'a> {
    values: &'a [f32],
    bar: f32,
}

impl Kernel for CountAbove<'_> {
    type Output = usize;
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> usize {
        let bars = lanes.splat(self.bar);
        let mut pieces = self.values.chunks_exact(L::WIDTH);
        let mut n = 0;
        for piece in &mut pieces {
            n += lanes.greater(lanes.load_slice(piece), bars).count_ones() as usize;
        }
        // The lanes that pad the last piece are 0, which exceeds no bar.
        n + lanes.greater(lanes.load_part(pieces.remainder()), bars).count_ones() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::{Cut, Histogram};
    use crate::instruction_set::InstructionSet;

    fn kept(set: InstructionSet, values: &[f32], n: usize) -> Vec<usize> {
        let mut indices: Vec<_> = (0..values.len()).collect();
        let end = Cut::of(set, values, n).keep(&mut indices, 0..values.len(), 0, |&i| values[i]);
        indices.truncate(end);
        indices
    }

    #[test]
    fn keeps_the_largest_and_the_first_of_equals() {
        let values = [1.0, 3.0, 2.0, 2.0, 5.0, 2.0];
        for set in InstructionSet::available() {
            for (n, expected) in [
                (1, vec![4]),
                (2, vec![1, 4]),
                (3, vec![1, 2, 4]),
                (4, vec![1, 2, 3, 4]),
                (5, vec![1, 2, 3, 4, 5]),
                (6, vec![0, 1, 2, 3, 4, 5]),
            ] {
                assert_eq!(kept(set, &values, n), expected);
            }
        }
    }

    #[test]
    fn histogram_never_loses_one_of_the_best() {
        let values: Vec<f32> = (1..500u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32).collect();
        let mut histogram = Histogram::new(20);
        for (i, piece) in values.chunks(7).enumerate() {
            histogram.add(piece);
            let mut seen = values[..values.len().min(7 * (i + 1))].to_vec();
            seen.sort_by(|a, b| b.total_cmp(a));
            let twentieth = seen.get(19).copied().unwrap_or(0.0);
            assert!(histogram.bar() <= twentieth && histogram.bar() >= twentieth * 0.98);
        }
        histogram.add(&[f32::INFINITY; 30]);
        assert_eq!(histogram.bar(), f32::INFINITY);
    }

    #[test]
    fn holds_at_the_ends_of_the_range() {
        let tiny = f32::from_bits(1);
        for set in InstructionSet::available() {
            assert_eq!(kept(set, &[f32::INFINITY, f32::INFINITY, 1.0], 1), [0]);
            assert_eq!(kept(set, &[tiny, f32::MAX, tiny], 2), [0, 1]);
            assert_eq!(kept(set, &[tiny; 40], 33), (0..33).collect::<Vec<_>>());
        }
    }
}
