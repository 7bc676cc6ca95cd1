use std::ops::Range;

/// The pairs of a block of lines in a range of rows.
pub struct Tile<'a> {
    pub rows: Range<usize>,
    /// The pairs of each line.
    pub parts: &'a [Range<usize>],
    /// The row of each pair.
    of_pairs: &'a [u32],
    /// Whether it is the first of its block that is visited as a tile.
    pub is_first: bool,
}

impl Tile<'_> {
    #[inline(always)]
    pub fn row_of(&self, pair: usize) -> usize {
        self.of_pairs[pair] as usize
    }

    /// Whether it holds so many pairs that all of it is multiplied faster than its pairs, each in its range of rows.
    fn is_dense(&self) -> bool {
        let n_pairs: usize = self.parts.iter().map(Range::len).sum();
        let is_inside = |pair: usize| self.rows.contains(&self.row_of(pair));
        n_pairs * DENSE_SHARE >= self.rows.len() * self.parts.len()
            && self.parts.iter().all(|part| part.clone().all(is_inside))
    }
}

/// In which order the pairs of a sparse matrix are visited, when each of them reads a row of a dense matrix ("its
/// row") for the line of the sparse matrix it is in.
///
/// With few pairs a line is visited at once. With many, the same rows are read again and again, from L3 or memory:
/// then a block of lines is walked together, range by range of the rows, so that the rows of a range stay in L2. A
/// line's pairs are visited in the same order either way, so results are the same bits.
#[derive(Clone, Copy, Debug)]
pub struct Traversal {
    /// Lines walked together.
    pub block: usize,
    /// Rows of a range.
    range: usize,
    n_rows: usize,
}

/// Bytes of rows that a range holds: half of a 1 MiB L2 cache, beside the lines' own sums.
const RANGE_BYTES: usize = 384 << 10;

/// Lines walked together: enough that reading a range into L2 costs little, few enough for their sums to stay there.
const BLOCK: usize = 48;

/// A tile in which every so manieth place holds a pair is multiplied as a whole (see `npm run bench -- density`).
const DENSE_SHARE: usize = 3;

/// Pairs of a line in a range from which on ranges pay: a line's sums are read and written once for each range.
const LEAST_PAIRS: usize = 8;

impl Traversal {
    /// For `nnz` pairs in so many lines, on so many rows of `row_bytes`.
    pub fn of(n_lines: usize, n_rows: usize, nnz: usize, row_bytes: usize) -> Self {
        let range = (RANGE_BYTES / row_bytes).max(1);
        let n_ranges = n_rows.div_ceil(range);
        if n_ranges > 1 && nnz / n_lines.max(1) / n_ranges >= LEAST_PAIRS {
            Self { block: BLOCK, range, n_rows }
        } else {
            Self { block: 1, range: n_rows.max(1), n_rows }
        }
    }

    /// Visit the pairs of some lines: those of dense tiles together by `visit_tile`, the others line by line.
    /// `pointers` are those of the lines into `rows`, which hold the row of each pair (ascending within a line; a pair
    /// that is not is visited late, but once).
    #[inline(always)]
    pub fn walk(self, lines: Range<usize>, pointers: &[u32], rows: &[u32], visitor: &mut impl Visitor) {
        debug_assert!(pointers[lines.end] as usize <= rows.len());
        if self.block == 1 {
            for line in lines {
                visitor.line(line, pointers[line] as usize..pointers[line + 1] as usize);
            }
            return;
        }
        let mut parts: Vec<Range<usize>> =
            lines.clone().map(|line| pointers[line] as usize..pointers[line] as usize).collect();
        let mut is_first = true;
        for start in (0..).step_by(self.range) {
            let mut left = 0;
            for (line, part) in lines.clone().zip(&mut parts) {
                let rest = &rows[part.end..pointers[line + 1] as usize];
                left += rest.len();
                let n = rest.iter().position(|&row| row as usize >= start + self.range);
                *part = part.end..part.end + n.unwrap_or(rest.len());
            }
            if left == 0 {
                return;
            }
            let end = self.n_rows.min(start + self.range);
            let tile = Tile { rows: start.min(end)..end, parts: &parts, of_pairs: rows, is_first };
            if tile.is_dense() {
                visitor.tile(&tile);
                is_first = false;
            } else {
                for (line, part) in lines.clone().zip(&parts).filter(|(_, part)| !part.is_empty()) {
                    visitor.line(line, part.clone());
                }
            }
        }
    }
}

/// What a traversal does with the pairs.
pub trait Visitor {
    /// Some pairs of a line.
    fn line(&mut self, line: usize, pairs: Range<usize>);
    /// The pairs of all lines of the block in a range of rows.
    fn tile(&mut self, tile: &Tile<'_>);
}

#[cfg(test)]
mod tests {
    use super::{Tile, Traversal, Visitor};
    use std::ops::Range;

    /// Pairs in the order in which they are visited, line by line, and how many tiles there were.
    #[derive(Default)]
    struct Visits {
        lines: [Vec<usize>; 4],
        tiles: usize,
    }

    impl Visitor for Visits {
        fn line(&mut self, line: usize, pairs: Range<usize>) {
            self.lines[line].extend(pairs);
        }
        fn tile(&mut self, tile: &Tile<'_>) {
            self.tiles += 1;
            for (line, pairs) in tile.parts.iter().enumerate() {
                assert!(pairs.clone().all(|pair| tile.rows.contains(&tile.row_of(pair))));
                self.lines[line].extend(pairs.clone());
            }
        }
    }

    #[test]
    fn visits_every_pair_once_in_order() {
        let rows: Vec<u32> = vec![0, 1, 2, 3, 5, 9, 2, 3, 4, 7, 8, 9, 9, 3];
        let pointers = [0, 6, 6, 12, 14];
        for (block, range, tiles) in [(1, 10, 0), (4, 3, 2), (4, 10, 1)] {
            let mut visits = Visits::default();
            Traversal { block, range, n_rows: 10 }.walk(0..4, &pointers, &rows, &mut visits);
            for (line, visited) in visits.lines.into_iter().enumerate() {
                let all: Vec<_> = (pointers[line] as usize..pointers[line + 1] as usize).collect();
                assert_eq!(visited, all);
            }
            assert_eq!(visits.tiles, tiles, "of {range} rows");
        }
    }

    #[test]
    fn walks_ranges_only_where_lines_are_long() {
        assert_eq!(Traversal::of(4096, 4096, 4096 * 60, 2048).block, 1);
        assert!(Traversal::of(1024, 4096, 1024 * 2000, 2048).block > 1);
        assert_eq!(Traversal::of(10, 100, 1000, 2048).block, 1);
    }
}
