//! The two loops under all primitives but `encode`: a weighted sum of rows of a matrix, and products with rows of it.

use crate::lanes::Lanes;

/// Rows of a matrix that is read at random: row `index` is `matrix[index * width..][..width]`.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    matrix: &'a [f32],
    width: usize,
    count: usize,
}

impl<'a> Rows<'a> {
    pub fn new(matrix: &'a [f32], width: usize) -> Self {
        Self { matrix, width, count: matrix.len() / width }
    }

    /// A pointer to `width − column` readable floats.
    #[inline(always)]
    fn pointer(self, index: usize, column: usize) -> *const f32 {
        assert!(index < self.count);
        // SAFETY: the row is within the matrix by the line above, the column within the row by the callers' loops.
        unsafe { self.matrix.as_ptr().add(index * self.width + column) }
    }

    #[inline(always)]
    fn slice(self, index: usize) -> &'a [f32] {
        &self.matrix[index * self.width..(index + 1) * self.width]
    }
}

/// One term of a weighted sum: `factor · rows[index]`.
#[derive(Clone, Copy)]
pub struct Term {
    pub index: usize,
    pub factor: f32,
}

/// How many terms ahead a row is fetched.
const AHEAD: usize = 2;

/// out += Σ factor · rows[index], for `n` terms in their order. Each element of `out` is one chain of multiply-adds.
#[inline(always)]
pub fn add_weighted_sum<L: Lanes>(
    lanes: L,
    n: usize,
    term: impl Fn(usize) -> Term + Copy,
    rows: Rows<'_>,
    out: &mut [f32],
) {
    debug_assert_eq!(out.len(), rows.width);
    let mut column = 0;
    while column + 16 * L::WIDTH <= out.len() {
        weighted_sum_block::<L, 16>(lanes, n, term, rows, column, out);
        column += 16 * L::WIDTH;
    }
    while column + 4 * L::WIDTH <= out.len() {
        weighted_sum_block::<L, 4>(lanes, n, term, rows, column, out);
        column += 4 * L::WIDTH;
    }
    while column + L::WIDTH <= out.len() {
        weighted_sum_block::<L, 1>(lanes, n, term, rows, column, out);
        column += L::WIDTH;
    }
    if column < out.len() {
        let mut sum = lanes.load_part(&out[column..]);
        for i in 0..n {
            let Term { index, factor } = term(i);
            let row = lanes.load_part(&rows.slice(index)[column..]);
            sum = lanes.multiply_add(lanes.splat(factor), row, sum);
        }
        lanes.store_part(&mut out[column..], sum);
    }
}

/// The same for `VECTORS` vectors from a column on, which stay in registers over all terms.
#[inline(always)]
fn weighted_sum_block<L: Lanes, const VECTORS: usize>(
    lanes: L,
    n: usize,
    term: impl Fn(usize) -> Term,
    rows: Rows<'_>,
    column: usize,
    out: &mut [f32],
) {
    let out = &mut out[column..column + VECTORS * L::WIDTH];
    let mut sums: [L::Vector; VECTORS] =
        std::array::from_fn(|v| lanes.load_slice(&out[v * L::WIDTH..(v + 1) * L::WIDTH]));
    for i in 0..n {
        let Term { index, factor } = term(i);
        let ahead = rows.pointer(term((i + AHEAD).min(n - 1)).index, column);
        let row = rows.pointer(index, column);
        let factor = lanes.splat(factor);
        for (v, sum) in sums.iter_mut().enumerate() {
            if VECTORS > 100 {
                lanes.prefetch(ahead.wrapping_add(v * L::WIDTH));
            }
            // SAFETY: the block's columns are within the row, which `pointer` checked.
            let values = unsafe { lanes.load(row.add(v * L::WIDTH)) };
            *sum = lanes.multiply_add(factor, values, *sum);
        }
    }
    for (v, sum) in sums.into_iter().enumerate() {
        lanes.store_slice(&mut out[v * L::WIDTH..(v + 1) * L::WIDTH], sum);
    }
}

/// products[i] = ⟨vector, rows[indices[i]]⟩.
#[inline(always)]
pub fn products_with_rows<L: Lanes>(
    lanes: L,
    vector: &[f32],
    indices: &[u32],
    rows: Rows<'_>,
    products: &mut [f32],
) {
    let mut groups = indices.chunks_exact(4);
    let mut outs = products.chunks_exact_mut(4);
    for (group, out) in (&mut groups).zip(&mut outs) {
        let group = [group[0] as usize, group[1] as usize, group[2] as usize, group[3] as usize];
        out.copy_from_slice(&products_of_group(lanes, vector, group, rows));
    }
    for (&index, out) in groups.remainder().iter().zip(outs.into_remainder()) {
        // A product has the same bits wherever it stands: every chain is summed as in a group.
        *out = products_of_group(lanes, vector, [index as usize], rows)[0];
    }
}

/// Several products at once, so that each piece of `vector` is loaded once for all, and sums do not wait for each other.
#[inline(always)]
fn products_of_group<L: Lanes, const GROUP: usize>(
    lanes: L,
    vector: &[f32],
    indices: [usize; GROUP],
    rows: Rows<'_>,
) -> [f32; GROUP] {
    let width = vector.len();
    let pointers = indices.map(|index| rows.pointer(index, 0));
    let mut even = [lanes.splat(0.0); GROUP];
    let mut odd = [lanes.splat(0.0); GROUP];
    let mut column = 0;
    while column + 2 * L::WIDTH <= width {
        let first = lanes.load_slice(&vector[column..]);
        let second = lanes.load_slice(&vector[column + L::WIDTH..]);
        for g in 0..GROUP {
            // SAFETY: `pointer` checked the row, and both vectors end within its width.
            let (a, b) = unsafe {
                (lanes.load(pointers[g].add(column)), lanes.load(pointers[g].add(column + L::WIDTH)))
            };
            even[g] = lanes.multiply_add(first, a, even[g]);
            odd[g] = lanes.multiply_add(second, b, odd[g]);
        }
        column += 2 * L::WIDTH;
    }
    while column < width {
        let end = width.min(column + L::WIDTH);
        let piece = lanes.load_part(&vector[column..end]);
        for g in 0..GROUP {
            let row = lanes.load_part(&rows.slice(indices[g])[column..end]);
            even[g] = lanes.multiply_add(piece, row, even[g]);
        }
        column = end;
    }
    std::array::from_fn(|g| lanes.sum(lanes.add(even[g], odd[g])))
}
