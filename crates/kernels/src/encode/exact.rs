use crate::lanes::{Lanes, MAX_WIDTH};

/// Rows of X and of W_enc of some pre-activations, and what their sums start with: one for each lane.
pub struct Pairs<'a> {
    pub x: [&'a [f32]; MAX_WIDTH],
    pub weights: [&'a [f32]; MAX_WIDTH],
    pub biases: [f32; MAX_WIDTH],
    /// Rows of W_enc that come next, which are fetched meanwhile: they may be anywhere.
    pub next: [*const f32; MAX_WIDTH],
}

/// Whole cache lines.
#[repr(align(64))]
struct Columns([f32; MAX_WIDTH * MAX_WIDTH]);

/// Pre-activations of any pairs of a row and a latent, bit for bit those of the tiles: each is one chain of multiply-adds
/// in the order of the inputs. Lanes are pairs, and the columns of both operands are made in registers.
#[inline(always)]
pub fn exact_values<L: Lanes>(lanes: L, pairs: &Pairs<'_>) -> L::Vector {
    let n = pairs.x[0].len();
    assert!(pairs.x.iter().chain(&pairs.weights).all(|row| row.len() == n));
    let mut sums = lanes.load_slice(&pairs.biases);
    let mut columns = Columns([0.0; MAX_WIDTH * MAX_WIDTH]);
    let whole = n / L::WIDTH * L::WIDTH;
    for k in (0..whole).step_by(L::WIDTH) {
        let (mut x_at_k, mut weights_at_k) = ([std::ptr::null(); MAX_WIDTH], [std::ptr::null(); MAX_WIDTH]);
        for lane in 0..L::WIDTH {
            x_at_k[lane] = pairs.x[lane].as_ptr().wrapping_add(k);
            weights_at_k[lane] = pairs.weights[lane].as_ptr().wrapping_add(k);
        }
        for next in &pairs.next[..L::WIDTH] {
            lanes.prefetch(next.wrapping_add(k));
        }
        // SAFETY: all rows are n long, and k + WIDTH <= n.
        let x = unsafe { lanes.columns(&x_at_k) };
        for (column, &x) in columns.0.chunks_exact_mut(L::WIDTH).zip(&x[..L::WIDTH]) {
            lanes.store_slice(column, x);
        }
        // Both at once are more than the registers hold: hidden from the compiler, these stay in memory.
        let columns = std::hint::black_box(&mut columns);
        // SAFETY: as above.
        let weights = unsafe { lanes.columns(&weights_at_k) };
        for (x, &weights) in columns.0.chunks_exact(L::WIDTH).zip(&weights[..L::WIDTH]) {
            sums = lanes.multiply_add(weights, lanes.load_slice(x), sums);
        }
    }
    for k in whole..n {
        let (mut x, mut weights) = ([0.0; MAX_WIDTH], [0.0; MAX_WIDTH]);
        for lane in 0..L::WIDTH {
            (x[lane], weights[lane]) = (pairs.x[lane][k], pairs.weights[lane][k]);
        }
        sums = lanes.multiply_add(lanes.load_slice(&weights), lanes.load_slice(&x), sums);
    }
    sums
}
