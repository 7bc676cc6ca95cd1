use std::arch::asm;

/// Inputs of a turn of the loop.
pub const TURN: usize = 8;

/// sums[m][lane] += Σ_k weights[m][k] · panel[k][lane] for 8 rows of weights and 3 vectors of 16 lanes; of each row in `next`
/// as much is fetched to L2.
///
/// By hand: where a turn has several inputs, a compiler moves the loads of one before the multiply-adds of the one before it,
/// and has no registers left for the sums. A turn of one needs 37 instructions an input instead of 35.5, which shows
/// when another thread of the core takes half of its slots for them.
///
/// # Safety
/// `depth` must be a multiple of [`TURN`], and not 0. Each of `weights` must be readable for `depth` floats, `panel` for
/// `depth · 48`; `sums` must be readable and writable for `8 · 48`. `next` may point anywhere.
#[target_feature(enable = "avx512f")]
pub unsafe fn add_8_by_3(
    depth: usize,
    weights: &[*const f32; 8],
    next: [*const f32; 2],
    panel: *const f32,
    sums: *mut f32,
) {
    // Where rows end: r12, the place in them, counts up to 0.
    let [w0, w1, w2, w3, w4, w5, w6, w7] = weights.map(|row| row.wrapping_add(depth));
    let [next0, next1] = next.map(|row| row.wrapping_add(depth));
    // SAFETY: all addresses are within what the caller vouches for; only `sums` and the registers named are written.
    unsafe {
        asm!(
            ".macro add_latent row:req, at:req, weight:req, a:req, b:req, c:req",
            "vbroadcastss zmm\\weight, dword ptr [\\row + 4 * r12 + \\at]",
            "vfmadd231ps zmm\\a, zmm\\weight, zmm24",
            "vfmadd231ps zmm\\b, zmm\\weight, zmm25",
            "vfmadd231ps zmm\\c, zmm\\weight, zmm26",
            ".endm",
            ".irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23",
            "vmovups zmm\\i, [{sums} + 64 * \\i]",
            ".endr",
            ".p2align 6",
            "2:",
            "prefetcht1 [{next0} + 4 * r12]",
            "prefetcht1 [{next1} + 4 * r12]",
            ".irp i, 0,1,2,3,4,5,6,7",
            "vmovups zmm24, [r13 + 192 * \\i]",
            "vmovups zmm25, [r13 + 192 * \\i + 64]",
            "vmovups zmm26, [r13 + 192 * \\i + 128]",
            "add_latent {w0}, 4*\\i, 27, 0, 1, 2",
            "add_latent {w1}, 4*\\i, 28, 3, 4, 5",
            "add_latent {w2}, 4*\\i, 27, 6, 7, 8",
            "add_latent {w3}, 4*\\i, 28, 9, 10, 11",
            "add_latent {w4}, 4*\\i, 27, 12, 13, 14",
            "add_latent {w5}, 4*\\i, 28, 15, 16, 17",
            "add_latent {w6}, 4*\\i, 27, 18, 19, 20",
            "add_latent {w7}, 4*\\i, 28, 21, 22, 23",
            ".endr",
            "add r13, 192 * 8",
            "add r12, 8",
            "jnz 2b",
            ".irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23",
            "vmovups [{sums} + 64 * \\i], zmm\\i",
            ".endr",
            // Else a second copy of this code would define it again.
            ".purgem add_latent",
            inout("r12") depth.wrapping_neg() => _,
            inout("r13") panel => _,
            sums = in(reg) sums,
            w0 = in(reg) w0,
            w1 = in(reg) w1,
            w2 = in(reg) w2,
            w3 = in(reg) w3,
            w4 = in(reg) w4,
            w5 = in(reg) w5,
            w6 = in(reg) w6,
            w7 = in(reg) w7,
            next0 = in(reg) next0,
            next1 = in(reg) next1,
            clobber_abi("sysv64"),
            options(nostack),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{TURN, add_8_by_3};

    #[test]
    fn each_sum_is_one_chain_of_multiply_adds() {
        if !is_x86_feature_detected!("avx512f") {
            return;
        }
        let number = |i: usize| (i * 37 % 101) as f32 / 50.0 - 1.0;
        for depth in [TURN, 7 * TURN] {
            let weights: Vec<_> = (0..8 * depth).map(number).collect();
            let panel: Vec<_> = (0..48 * depth).map(|i| number(7 * i + 3)).collect();
            let mut sums: Vec<_> = (0..8 * 48).map(number).collect();
            let before = sums.clone();
            let rows = std::array::from_fn(|m| weights[m * depth..].as_ptr());
            // SAFETY: AVX-512 was just found, and the arrays have the sizes asked for.
            unsafe { add_8_by_3(depth, &rows, [rows[0], rows[7]], panel.as_ptr(), sums.as_mut_ptr()) };
            for (i, (&sum, &start)) in sums.iter().zip(&before).enumerate() {
                let (m, lane) = (i / 48, i % 48);
                let chain = |sum: f32, k: usize| weights[m * depth + k].mul_add(panel[k * 48 + lane], sum);
                assert_eq!(sum.to_bits(), (0..depth).fold(start, chain).to_bits());
            }
        }
    }
}
