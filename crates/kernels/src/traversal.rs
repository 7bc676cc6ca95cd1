use std::ops::Range;

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
}

/// Bytes of rows that a range holds: half of a 1 MiB L2 cache, beside the lines' own sums.
const RANGE_BYTES: usize = 384 << 10;

/// Lines walked together: enough that reading a range into L2 costs little, few enough for their sums to stay there.
const BLOCK: usize = 48;

/// Pairs of a line in a range from which on ranges pay: a line's sums are read and written once for each range.
const LEAST_PAIRS: usize = 8;

impl Traversal {
    /// For `nnz` pairs in so many lines, on so many rows of `row_bytes`.
    pub fn of(n_lines: usize, n_rows: usize, nnz: usize, row_bytes: usize) -> Self {
        let range = (RANGE_BYTES / row_bytes).max(1);
        let n_ranges = n_rows.div_ceil(range);
        if n_ranges > 1 && nnz / n_lines.max(1) / n_ranges >= LEAST_PAIRS {
            Self { block: BLOCK, range }
        } else {
            Self { block: 1, range: n_rows.max(1) }
        }
    }

    /// Visit the pairs of some lines. `pointers` are those of the lines into `rows`, which hold the row of each pair
    /// (ascending within a line; a pair that is not is visited late, but once).
    #[inline(always)]
    pub fn walk(
        self,
        lines: Range<usize>,
        pointers: &[u32],
        rows: &[u32],
        mut visit: impl FnMut(usize, Range<usize>),
    ) {
        let n_rows = rows.len();
        debug_assert!(pointers[lines.end] as usize <= n_rows);
        if self.block == 1 {
            for line in lines {
                visit(line, pointers[line] as usize..pointers[line + 1] as usize);
            }
            return;
        }
        let mut next: Vec<usize> = lines.clone().map(|line| pointers[line] as usize).collect();
        let mut limit = self.range;
        let mut left = lines.len();
        while left > 0 {
            left = 0;
            for (line, next) in lines.clone().zip(&mut next) {
                let rest = &rows[*next..pointers[line + 1] as usize];
                if rest.is_empty() {
                    continue;
                }
                left += 1;
                let n = rest.iter().position(|&row| row as usize >= limit).unwrap_or(rest.len());
                if n > 0 {
                    visit(line, *next..*next + n);
                    *next += n;
                }
            }
            limit = limit.saturating_add(self.range);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Traversal;

    #[test]
    fn visits_every_pair_once_in_order() {
        let rows: Vec<u32> = vec![0, 1, 5, 9, 2, 3, 4, 7, 8, 9, 9, 3];
        let pointers = [0, 4, 4, 10, 12];
        for traversal in [Traversal { block: 1, range: 10 }, Traversal { block: 4, range: 3 }] {
            let mut visited = vec![Vec::new(); 4];
            traversal.walk(0..4, &pointers, &rows, |line, pairs| visited[line].extend(pairs));
            for (line, visited) in visited.into_iter().enumerate() {
                assert_eq!(
                    visited,
                    (pointers[line] as usize..pointers[line + 1] as usize).collect::<Vec<_>>()
                );
            }
        }
    }

    #[test]
    fn walks_ranges_only_where_lines_are_long() {
        assert_eq!(Traversal::of(4096, 4096, 4096 * 60, 2048).block, 1);
        assert!(Traversal::of(1024, 4096, 1024 * 2000, 2048).block > 1);
        assert_eq!(Traversal::of(10, 100, 1000, 2048).block, 1);
    }
}
