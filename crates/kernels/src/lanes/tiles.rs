//! Products of pairs of bytes: what a machine with matrix registers does at once, and plain loops that say what it is.

use super::Lanes;

/// Rows of W_enc, and rows of X, of which products are made at once.
pub const TILE_LATENTS: usize = 32;
pub const TILE_ROWS: usize = 16;

/// Elements of a row of X in one tile.
pub const TILE_INPUTS: usize = 64;

/// Bytes of 16 rows of X at 64 inputs: `[input / 4][row][input % 4]`.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct ByteTile(pub [[[i8; 4]; TILE_ROWS]; TILE_INPUTS / 4]);

impl ByteTile {
    pub const ZERO: Self = Self([[[0; 4]; TILE_ROWS]; TILE_INPUTS / 4]);
}

/// `[latent][row]`: Σ q_w q_x, and Σ q_w r_x + r_w q_x, of first bytes q and second bytes r.
#[repr(C, align(64))]
pub struct Products {
    pub firsts: [[i32; TILE_ROWS]; TILE_LATENTS],
    pub crossed: [[i32; TILE_ROWS]; TILE_LATENTS],
}

impl Products {
    pub const ZERO: Self =
        Self { firsts: [[0; TILE_ROWS]; TILE_LATENTS], crossed: [[0; TILE_ROWS]; TILE_LATENTS] };
}

pub trait Tiles {
    /// Products of 32 rows of W_enc, `[first bytes, second bytes]` each, and a panel of 16 rows of X: for each 64 inputs
    /// a tile of first bytes and one of second bytes. Exact.
    fn multiply(&self, weights: &[i8], panel: &[ByteTile], products: &mut Products);
}

/// Bytes of a row of W_enc that belongs to such a panel, checked against the rows.
pub fn bytes_of_row(weights: &[i8], panel: &[ByteTile]) -> usize {
    let n = panel.len() * TILE_INPUTS;
    assert!(n > 0 && panel.len().is_multiple_of(2) && weights.len() == TILE_LATENTS * n);
    n
}

pub struct PlainTiles;

impl Tiles for PlainTiles {
    fn multiply(&self, weights: &[i8], panel: &[ByteTile], products: &mut Products) {
        let n = bytes_of_row(weights, panel);
        for (latent, weights) in weights.chunks_exact(n).enumerate() {
            let (mut firsts, mut crossed) = ([0; TILE_ROWS], [0; TILE_ROWS]);
            let (q, r) = weights.split_at(n / 2);
            let weights = q.as_chunks::<4>().0.iter().zip(r.as_chunks::<4>().0);
            let tiles = panel.as_chunks::<2>().0.iter();
            for ((q_w, r_w), (q_x, r_x)) in weights.zip(tiles.flat_map(|[q, r]| q.0.iter().zip(&r.0))) {
                for row in 0..TILE_ROWS {
                    firsts[row] += dot(q_w, &q_x[row]);
                    crossed[row] += dot(q_w, &r_x[row]) + dot(r_w, &q_x[row]);
                }
            }
            (products.firsts[latent], products.crossed[latent]) = (firsts, crossed);
        }
    }
}

fn dot(a: &[i8; 4], b: &[i8; 4]) -> i32 {
    a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
}

/// A piece of work on tiles, as `Kernel` is one on vectors.
pub trait TileKernel {
    type Output;
    fn run<L: Lanes, T: Tiles>(self, lanes: L, tiles: &T) -> Self::Output;
}
