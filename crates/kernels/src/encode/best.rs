use crate::instruction_set::InstructionSet;
use crate::lanes::{Kernel, Lanes};

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

    /// Ask this of every value once, in the order in which ties are to be kept.
    #[inline(always)]
    pub fn keeps(&mut self, value: f32) -> bool {
        if value == self.bar && self.ties > 0 {
            self.ties -= 1;
            return true;
        }
        value > self.bar
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
    use super::Cut;
    use crate::instruction_set::InstructionSet;

    fn kept(set: InstructionSet, values: &[f32], n: usize) -> Vec<usize> {
        let mut cut = Cut::of(set, values, n);
        (0..values.len()).filter(|&i| cut.keeps(values[i])).collect()
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
    fn holds_at_the_ends_of_the_range() {
        let tiny = f32::from_bits(1);
        for set in InstructionSet::available() {
            assert_eq!(kept(set, &[f32::INFINITY, f32::INFINITY, 1.0], 1), [0]);
            assert_eq!(kept(set, &[tiny, f32::MAX, tiny], 2), [0, 1]);
            assert_eq!(kept(set, &[tiny; 40], 33), (0..33).collect::<Vec<_>>());
        }
    }
}
