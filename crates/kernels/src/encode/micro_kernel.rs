use crate::lanes::Lanes;

/// Floats of a cache line.
const LINE: usize = 16;

/// Inputs of a turn of the loop. Counting takes slots of instructions, which another thread of the same core may want; of a
/// tile that fills 32 registers the compiler keeps sums in memory if a turn has several.
const fn inputs_of_turn<L: Lanes>() -> usize {
    if L::HAS_MANY_REGISTERS { 1 } else { 4 }
}

/// What a tile's sums start with.
#[derive(Clone, Copy)]
pub enum Start<const LATENTS: usize> {
    /// One value for each latent.
    Bias([f32; LATENTS]),
    /// The sums of the inputs before.
    Sums,
}

/// sums[m][lane] = start + Σ_k weights[m][k] · panel[k][lane], for `LATENTS` rows of W_enc and `VECTORS` vectors of rows of X.
///
/// The sums stay in registers: 8 × 3 of them with three vectors of X and a broadcast weight are 28 of AVX-512's 32
/// registers, 6 × 2 with two are 15 of AVX2's 16. For each k there are VECTORS loads and LATENTS broadcasts to
/// LATENTS · VECTORS multiply-adds, so the multiply-adds are the limit. X streams from L2 by itself; the rows of W_enc
/// that come `next` are fetched to L2, since so many short streams are more than the hardware follows.
///
/// # Safety
/// Each of `weights` must be readable for `depth` floats, `panel` for `depth · VECTORS · WIDTH`; `sums` must be
/// readable and writable for `LATENTS · VECTORS · WIDTH`. `next` is only fetched and may point anywhere.
#[inline(always)]
pub unsafe fn multiply_tile<L: Lanes, const LATENTS: usize, const VECTORS: usize>(
    lanes: L,
    depth: usize,
    weights: [*const f32; LATENTS],
    next: &[*const f32],
    panel: *const f32,
    start: Start<LATENTS>,
    sums: *mut f32,
) {
    // SAFETY: every address below is within what the caller vouches for: m < LATENTS, v < VECTORS, k < depth.
    unsafe {
        let place = |m: usize, v: usize| sums.add((m * VECTORS + v) * L::WIDTH);
        if let Start::Bias(bias) = start {
            for (m, bias) in bias.into_iter().enumerate() {
                (0..VECTORS).for_each(|v| lanes.store(place(m, v), lanes.splat(bias)));
            }
        }
        if lanes.add_products_by_hand::<LATENTS, VECTORS>(depth, weights, next, panel, sums) {
            return;
        }
        let mut tile = [[lanes.splat(0.0); VECTORS]; LATENTS];
        for (m, sums) in tile.iter_mut().enumerate() {
            for (v, sum) in sums.iter_mut().enumerate() {
                *sum = lanes.load(place(m, v));
            }
        }
        let whole_lines = depth / LINE * LINE;
        for line in (0..whole_lines).step_by(LINE) {
            for row in next {
                lanes.prefetch_to_l2(row.wrapping_add(line));
            }
            for k in (line..line + LINE).step_by(inputs_of_turn::<L>()) {
                for i in 0..inputs_of_turn::<L>() {
                    add_input(lanes, k + i, weights, panel, &mut tile);
                }
            }
        }
        for k in whole_lines..depth {
            add_input(lanes, k, weights, panel, &mut tile);
        }
        for (m, sums) in tile.into_iter().enumerate() {
            for (v, sum) in sums.into_iter().enumerate() {
                lanes.store(place(m, v), sum);
            }
        }
    }
}

/// The products of one input.
///
/// # Safety
/// As for [`multiply_tile`], with k < depth.
#[inline(always)]
unsafe fn add_input<L: Lanes, const LATENTS: usize, const VECTORS: usize>(
    lanes: L,
    k: usize,
    weights: [*const f32; LATENTS],
    panel: *const f32,
    tile: &mut [[L::Vector; VECTORS]; LATENTS],
) {
    // SAFETY: m < LATENTS, v < VECTORS, k < depth.
    unsafe {
        let mut x = [lanes.splat(0.0); VECTORS];
        for (v, x) in x.iter_mut().enumerate() {
            *x = lanes.load(panel.add((k * VECTORS + v) * L::WIDTH));
        }
        for (weights, sums) in weights.iter().zip(tile) {
            let weight = lanes.splat(*weights.add(k));
            for (sum, x) in sums.iter_mut().zip(x) {
                *sum = lanes.multiply_add(weight, x, *sum);
            }
        }
    }
}
