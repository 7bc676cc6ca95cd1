//! The loops under all primitives but `encode`: a weighted sum of rows of a matrix, and products of rows.

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

/// Floats of a cache line.
const LINE: usize = 16;

/// How many terms ahead a row is fetched.
const AHEAD: usize = 4;

/// out += Σ factor · rows[index], for `n` terms in their order. Each element of `out` is one chain of multiply-adds.
/// Terms from there to `known` are of sums that come next: their rows are fetched. `beside` is called at most once for each
/// term, to fetch what else is needed next.
#[inline(always)]
pub fn add_weighted_sum<L: Lanes>(
    lanes: L,
    n: usize,
    known: usize,
    term: impl Fn(usize) -> Term + Copy,
    rows: Rows<'_>,
    out: &mut [f32],
    beside: impl Fn(usize),
) {
    debug_assert_eq!(out.len(), rows.width);
    if !L::HAS_MANY_REGISTERS {
        return add_in_groups(lanes, n, known, term, rows, out, beside);
    }
    let mut column = 0;
    if 16 * L::WIDTH <= out.len() {
        weighted_sum_block::<L, 16>(lanes, n, known, term, rows, column, out, beside);
        column += 16 * L::WIDTH;
    }
    let nothing = |_| {};
    while column + 16 * L::WIDTH <= out.len() {
        weighted_sum_block::<L, 16>(lanes, n, known, term, rows, column, out, nothing);
        column += 16 * L::WIDTH;
    }
    while column + 4 * L::WIDTH <= out.len() {
        weighted_sum_block::<L, 4>(lanes, n, known, term, rows, column, out, nothing);
        column += 4 * L::WIDTH;
    }
    while column + L::WIDTH <= out.len() {
        weighted_sum_block::<L, 1>(lanes, n, known, term, rows, column, out, nothing);
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
    known: usize,
    term: impl Fn(usize) -> Term,
    rows: Rows<'_>,
    column: usize,
    out: &mut [f32],
    beside: impl Fn(usize),
) {
    let out = &mut out[column..column + VECTORS * L::WIDTH];
    let mut sums: [L::Vector; VECTORS] =
        std::array::from_fn(|v| lanes.load_slice(&out[v * L::WIDTH..(v + 1) * L::WIDTH]));
    for i in 0..n {
        let Term { index, factor } = term(i);
        let ahead = rows.pointer(term((i + AHEAD).min(known - 1)).index, column);
        let row = rows.pointer(index, column);
        let factor = lanes.splat(factor);
        beside(i);
        for (v, sum) in sums.iter_mut().enumerate() {
            if VECTORS > 1 {
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

/// Terms that are added at a time where registers are few.
const GROUP: usize = 4;

/// The same with few registers: a few terms at a time over whole rows, so that sums pass through L1 once for all of them.
#[inline(always)]
fn add_in_groups<L: Lanes>(
    lanes: L,
    n: usize,
    known: usize,
    term: impl Fn(usize) -> Term,
    rows: Rows<'_>,
    out: &mut [f32],
    beside: impl Fn(usize),
) {
    // Looked up a group ahead, since factors may be anywhere.
    let group = |first: usize| -> [Term; GROUP] { std::array::from_fn(|i| term((first + i).min(known - 1))) };
    let whole = n / GROUP * GROUP;
    let mut next = if n > 0 { group(0) } else { return };
    for first in (0..whole).step_by(GROUP) {
        let terms = std::mem::replace(&mut next, group(first + GROUP));
        (first..first + GROUP).for_each(&beside);
        add_group(lanes, terms, next, rows, out);
    }
    for i in whole..n {
        beside(i);
        add_group(lanes, [term(i)], [term(i)], rows, out);
    }
}

/// out += Σ factor · rows[index], over some terms. The rows of those that come `next` are fetched meanwhile.
#[inline(always)]
fn add_group<L: Lanes, const N: usize>(
    lanes: L,
    terms: [Term; N],
    next: [Term; N],
    rows: Rows<'_>,
    out: &mut [f32],
) {
    let next = next.map(|term| rows.pointer(term.index, 0));
    let pointers = terms.map(|term| rows.pointer(term.index, 0));
    let factors = terms.map(|term| lanes.splat(term.factor));
    let whole = out.len() / (2 * L::WIDTH) * (2 * L::WIDTH);
    for column in (0..whole).step_by(2 * L::WIDTH) {
        let (first, second) = out[column..column + 2 * L::WIDTH].split_at_mut(L::WIDTH);
        let mut sums = [lanes.load_slice(first), lanes.load_slice(second)];
        for ((row, factor), next) in pointers.into_iter().zip(factors).zip(next) {
            lanes.prefetch_to_l2(next.wrapping_add(column));
            for (v, sum) in sums.iter_mut().enumerate() {
                // SAFETY: both vectors end within the row, which `pointer` checked.
                let values = unsafe { lanes.load(row.add(column + v * L::WIDTH)) };
                *sum = lanes.multiply_add(factor, values, *sum);
            }
        }
        lanes.store_slice(first, sums[0]);
        lanes.store_slice(second, sums[1]);
    }
    for column in (whole..out.len()).step_by(L::WIDTH) {
        let columns = column..out.len().min(column + L::WIDTH);
        let mut sum = lanes.load_some(&out[columns.clone()]);
        for (term, factor) in terms.into_iter().zip(factors) {
            let row = lanes.load_some(&rows.slice(term.index)[columns.clone()]);
            sum = lanes.multiply_add(factor, row, sum);
        }
        lanes.store_some(&mut out[columns], sum);
    }
}

/// products[i] = ⟨vector(i), rows[indices[i]]⟩.
#[inline(always)]
pub fn products_with_rows<'a, L: Lanes>(
    lanes: L,
    vector: impl Fn(usize) -> &'a [f32],
    indices: &[u32],
    rows: Rows<'_>,
    products: &mut [f32],
) {
    let vector = |i: usize| {
        let vector = vector(i);
        assert_eq!(vector.len(), rows.width);
        vector.as_ptr()
    };
    let pointer = |i: usize| rows.pointer(indices[i] as usize, 0);
    let n = indices.len();
    let (groups, rest) = products[..n].as_chunks_mut::<4>();
    for (g, out) in groups.iter_mut().enumerate() {
        let places: [usize; 4] = std::array::from_fn(|i| 4 * g + i);
        let next = places.map(|i| pointer((i + 4).min(n - 1)));
        // SAFETY: all vectors are as wide as the matrix by the assertion, and `pointer` checks that rows are in it.
        *out = unsafe { products_of_group(lanes, rows.width, places.map(vector), places.map(pointer), next) };
    }
    for (i, out) in (n / 4 * 4..).zip(rest) {
        // A product has the same bits wherever it stands: every chain is summed as in a group.
        let row = [pointer(i)];
        // SAFETY: as above.
        *out = unsafe { products_of_group(lanes, rows.width, [vector(i)], row, row) }[0];
    }
}

/// Several products at once, so that sums do not wait for each other. The rows that come `next` are fetched ahead.
///
/// # Safety
/// All of `vectors` and `pointers` must be readable for `width` floats.
#[inline(always)]
unsafe fn products_of_group<L: Lanes, const GROUP: usize>(
    lanes: L,
    width: usize,
    vectors: [*const f32; GROUP],
    pointers: [*const f32; GROUP],
    next: [*const f32; GROUP],
) -> [f32; GROUP] {
    let mut even = [lanes.splat(0.0); GROUP];
    let mut odd = [lanes.splat(0.0); GROUP];
    let mut column = 0;
    while column + 2 * L::WIDTH <= width {
        for g in 0..GROUP {
            lanes.prefetch(next[g].wrapping_add(column));
            if 2 * L::WIDTH > LINE {
                lanes.prefetch(next[g].wrapping_add(column + L::WIDTH));
            }
            // SAFETY: both pieces end within the width.
            unsafe {
                let [a, b] = [vectors[g].add(column), pointers[g].add(column)];
                even[g] = lanes.multiply_add(lanes.load(a), lanes.load(b), even[g]);
                let [a, b] = [a.add(L::WIDTH), b.add(L::WIDTH)];
                odd[g] = lanes.multiply_add(lanes.load(a), lanes.load(b), odd[g]);
            }
        }
        column += 2 * L::WIDTH;
    }
    while column < width {
        let end = width.min(column + L::WIDTH);
        for g in 0..GROUP {
            // SAFETY: as above.
            let [a, b] = [vectors[g], pointers[g]]
                .map(|from| unsafe { std::slice::from_raw_parts(from.add(column), end - column) });
            even[g] = lanes.multiply_add(lanes.load_part(a), lanes.load_part(b), even[g]);
        }
        column = end;
    }
    std::array::from_fn(|g| lanes.sum(lanes.add(even[g], odd[g])))
}

/// ⟨a, b⟩, in four sums at once so that they do not wait for each other.
#[inline(always)]
pub fn inner_product<L: Lanes>(lanes: L, a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let mut sums = [lanes.splat(0.0); 4];
    let whole = a.len() / (4 * L::WIDTH) * (4 * L::WIDTH);
    for column in (0..whole).step_by(4 * L::WIDTH) {
        for (i, sum) in sums.iter_mut().enumerate() {
            let at = column + i * L::WIDTH;
            // SAFETY: both are as long, and all four vectors end within `whole`.
            let (a, b) = unsafe { (lanes.load(a.as_ptr().add(at)), lanes.load(b.as_ptr().add(at))) };
            *sum = lanes.multiply_add(a, b, *sum);
        }
    }
    let rest = a[whole..].chunks(L::WIDTH).zip(b[whole..].chunks(L::WIDTH));
    for ((a, b), sum) in rest.zip(&mut sums) {
        *sum = lanes.multiply_add(lanes.load_some(a), lanes.load_some(b), *sum);
    }
    let [a, b, c, d] = sums;
    lanes.sum(lanes.add(lanes.add(a, b), lanes.add(c, d)))
}

/// Σ x², in f64 and in sums that do not wait for each other.
#[inline(always)]
pub fn squared_length(x: &[f32]) -> f64 {
    let mut sums = [0.0f64; 16];
    // Pieces of a known length are vectors to the compiler, those of `chunks` are not.
    let (pieces, rest) = x.as_chunks::<16>();
    for piece in pieces {
        for (sum, &x) in sums.iter_mut().zip(piece) {
            *sum += f64::from(x) * f64::from(x);
        }
    }
    for (sum, &x) in sums.iter_mut().zip(rest) {
        *sum += f64::from(x) * f64::from(x);
    }
    sums.iter().sum()
}
