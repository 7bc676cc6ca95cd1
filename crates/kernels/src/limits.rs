//! What the machine can do at most, measured: the yardstick of the benchmarks.

use crate::engine::Engine;
use crate::lanes::dots::{DotKernel, Dots};
use crate::lanes::tiles::{ByteTile, Products, TILE_INPUTS, TILE_LATENTS, TILE_ROWS, TileKernel, Tiles};
use crate::lanes::{Kernel, Lanes, MAX_WIDTH};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Multiply-adds into as many sums as an `encode` micro-tile has, from registers only.
struct MultiplyAdds {
    rounds: usize,
}

impl Kernel for MultiplyAdds {
    /// Floating-point operations done.
    type Output = f64;
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> f64 {
        const SUMS: usize = 12;
        let a = lanes.splat(black_box(0.999));
        let b = lanes.splat(black_box(0.001));
        let mut sums = [lanes.splat(black_box(1.0)); SUMS];
        for _ in 0..self.rounds {
            for sum in &mut sums {
                *sum = lanes.multiply_add(*sum, a, b);
            }
        }
        black_box(sums.into_iter().map(|sum| lanes.sum(sum)).sum::<f32>());
        (2 * SUMS * L::WIDTH * self.rounds) as f64
    }
}

/// Run a piece of work again and again for a time on every thread; gives its total rate a second.
fn rate(engine: &Engine, duration: Duration, piece: impl Fn() -> f64 + Sync) -> f64 {
    let rates = engine.on_every_thread(|| {
        let start = Instant::now();
        let mut done = 0.0;
        while start.elapsed() < duration {
            done += piece();
        }
        done / start.elapsed().as_secs_f64()
    });
    rates.into_iter().sum()
}

/// fp32 operations a second of all threads together; a multiply-add counts as two.
pub fn fma_flops_per_second(engine: &Engine, duration: Duration) -> f64 {
    rate(engine, duration, || engine.instruction_set.run(MultiplyAdds { rounds: 10_000 }))
}

/// Products of bytes into as many sums, from L1: what stayed the same could be multiplied once for all rounds.
struct ByteProducts {
    rounds: usize,
}

impl DotKernel for ByteProducts {
    /// Operations done: a product and its addition count as two.
    type Output = f64;
    #[inline(always)]
    fn run<D: Dots>(self, dots: D) -> f64 {
        const LATENTS: usize = 6;
        const VECTORS: usize = 2;
        let bytes = [[1u8; 4 * MAX_WIDTH]; VECTORS];
        let weights = [0x0102_0304; LATENTS];
        let mut tile = [[dots.splat_sums(0); VECTORS]; LATENTS];
        for _ in 0..self.rounds {
            // SAFETY: each array holds the bytes of the widest vector.
            let x = black_box(&bytes).each_ref().map(|bytes| unsafe { dots.load_bytes(bytes.as_ptr()) });
            for (sums, &weights) in tile.iter_mut().zip(black_box(&weights)) {
                for (sum, x) in sums.iter_mut().zip(x) {
                    *sum = dots.add_products(*sum, x, weights);
                }
            }
        }
        let lanes = dots.lanes();
        black_box(tile.as_flattened().iter().map(|&sum| lanes.sum(dots.to_floats(sum))).sum::<f32>());
        (2 * 4 * LATENTS * VECTORS * D::Lanes::WIDTH * self.rounds) as f64
    }
}

/// The three products of pairs of bytes that `encode` makes of a panel, from L1.
struct TileProducts {
    rounds: usize,
}

impl TileKernel for TileProducts {
    /// Operations done.
    type Output = f64;
    #[inline(always)]
    fn run<L: Lanes, T: Tiles>(self, _lanes: L, tiles: &T) -> f64 {
        const PAIRS: usize = 4;
        let inputs = PAIRS * TILE_INPUTS;
        let panel = [ByteTile::ZERO; 2 * PAIRS];
        let mut weights = vec![0i8; 2 * inputs * TILE_LATENTS + LINE];
        let start = weights.as_ptr().align_offset(LINE).min(LINE);
        let weights = &mut weights[start..][..2 * inputs * TILE_LATENTS];
        let mut products = Products::ZERO;
        for _ in 0..self.rounds {
            tiles.multiply(black_box(weights), black_box(&panel), &mut products);
        }
        black_box(&products);
        (2 * 3 * TILE_LATENTS * TILE_ROWS * inputs * self.rounds) as f64
    }
}

/// Bytes of a cache line.
const LINE: usize = 64;

/// Operations on bytes a second of all threads together; a product and its addition count as two.
pub fn byte_operations_per_second(engine: &Engine, duration: Duration) -> f64 {
    let set = engine.instruction_set;
    rate(engine, duration, || {
        if set.has_tiles() {
            set.run_tiles(TileProducts { rounds: 100 })
        } else {
            set.run_dots(ByteProducts { rounds: 10_000 })
        }
    })
}

struct ReadAll<'a>(&'a [f32]);

impl Kernel for ReadAll<'_> {
    /// Bytes read.
    type Output = f64;
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> f64 {
        let mut sums = [lanes.splat(0.0); 8];
        for chunk in self.0.chunks_exact(8 * L::WIDTH) {
            for (sum, piece) in sums.iter_mut().zip(chunk.chunks_exact(L::WIDTH)) {
                *sum = lanes.add(*sum, lanes.load_slice(piece));
            }
        }
        black_box(sums.into_iter().map(|sum| lanes.sum(sum)).sum::<f32>());
        size_of_val(self.0) as f64
    }
}

/// Bytes a second that all threads together can read from an array of `bytes`. An array larger than all caches gives
/// the bandwidth of memory, a smaller one that of a cache.
pub fn bandwidth_bytes_per_second(engine: &Engine, bytes: usize, duration: Duration) -> f64 {
    let array = vec![1.0f32; bytes / 4];
    let share = (array.len() / engine.threads()).max(1);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let rates = engine.on_every_thread(|| {
        let part = array.chunks(share).nth(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let part = part.unwrap_or(&array);
        let start = Instant::now();
        let mut done = 0.0;
        while start.elapsed() < duration {
            done += engine.instruction_set.run(ReadAll(part));
        }
        done / start.elapsed().as_secs_f64()
    });
    rates.into_iter().sum()
}
