use super::avx512_tile::{TURN, add_8_by_3};
use super::dots::{DotKernel, Dots};
use super::{DITHER_STEP, Kernel, Lanes, MAX_WIDTH};
use std::arch::x86_64::*;
use std::array::from_fn;

/// AVX-512 F: 16 lanes, 32 registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512(());

impl Avx512 {
    pub fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("bmi1");
        found.then_some(Self(()))
    }

    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx512f,fma,popcnt,bmi1")]
        fn with_features<K: Kernel>(lanes: Avx512, kernel: K) -> K::Output {
            kernel.run(lanes)
        }
        // SAFETY: `self` exists only where `detect` found the features.
        unsafe { with_features(self, kernel) }
    }

    /// Needs AVX-512 VNNI; without it there is nothing to run on, and the kernel comes back.
    pub fn run_dots<K: DotKernel>(self, kernel: K) -> Result<K::Output, K> {
        #[target_feature(enable = "avx512f,fma,popcnt,bmi1,avx512vnni")]
        fn with_vnni<K: DotKernel>(dots: Avx512Vnni, kernel: K) -> K::Output {
            kernel.run(dots)
        }
        if !is_x86_feature_detected!("avx512vnni") {
            return Err(kernel);
        }
        // SAFETY: AVX-512 VNNI was just found, the other features when `self` was made.
        Ok(unsafe { with_vnni(Avx512Vnni(self), kernel) })
    }
}

static DITHER_STEPS: [u32; 16] = {
    let mut steps = [0; 16];
    let mut lane = 1;
    while lane < 16 {
        steps[lane] = DITHER_STEP.wrapping_add(steps[lane - 1]);
        lane += 1;
    }
    steps
};

/// AVX-512 with the dot products of VNNI.
#[derive(Clone, Copy)]
pub struct Avx512Vnni(Avx512);

impl Lanes for Avx512 {
    type Vector = __m512;
    const WIDTH: usize = 16;
    const TILE_LATENTS: usize = 8;
    const TILE_VECTORS: usize = 3;
    const HAS_MANY_REGISTERS: bool = true;

    // SAFETY of all calls below: `self` exists only where `detect` found AVX-512 F; loads and stores are unaligned
    // ones within what the caller vouches for.

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_set1_ps(value) }
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, vector: __m512) {
        // SAFETY: see above.
        unsafe { _mm512_storeu_ps(to, vector) }
    }
    #[inline(always)]
    unsafe fn load_ints(self, from: *const i32) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_cvtepi32_ps(_mm512_loadu_si512(from.cast())) }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, from: *const u16) -> __m512 {
        // SAFETY: see above.
        unsafe {
            let bits = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(bits))
        }
    }
    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u16, vector: __m512, dither: u32) {
        // SAFETY: see above.
        unsafe {
            let steps = _mm512_loadu_si512(DITHER_STEPS.as_ptr().cast());
            let dither = _mm512_add_epi32(_mm512_set1_epi32(dither as i32), steps);
            let bits = _mm512_add_epi32(_mm512_castps_si512(vector), _mm512_srli_epi32::<16>(dither));
            _mm256_storeu_si256(to.cast(), _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(bits)));
        }
    }
    #[inline(always)]
    fn prefetch(self, address: *const f32) {
        // SAFETY: a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
    }
    #[inline(always)]
    fn prefetch_to_l2(self, address: *const f32) {
        // SAFETY: a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) }
    }
    #[inline(always)]
    fn multiply_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn subtract(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    fn multiply(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    fn divide(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    fn square_root(self, a: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_sqrt_ps(a) }
    }
    #[inline(always)]
    fn greater(self, a: __m512, b: __m512) -> u32 {
        // SAFETY: see above.
        unsafe { u32::from(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b)) }
    }
    #[inline(always)]
    fn compress(self, mask: u32, a: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_maskz_compress_ps(mask as __mmask16, a) }
    }
    #[inline(always)]
    fn not_zero(self, a: __m512) -> u32 {
        // SAFETY: see above.
        unsafe { u32::from(_mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(a, _mm512_setzero_ps())) }
    }
    #[inline(always)]
    fn count<const STEP: u32>(self, start: u32) -> __m512 {
        // SAFETY: see above.
        unsafe {
            let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            let lanes = _mm512_mullo_epi32(lanes, _mm512_set1_epi32(STEP as i32));
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_set1_epi32(start as i32), lanes))
        }
    }
    #[inline(always)]
    fn sum(self, a: __m512) -> f32 {
        // SAFETY: see above.
        unsafe { _mm512_reduce_add_ps(a) }
    }
    #[inline(always)]
    unsafe fn add_products_by_hand<const LATENTS: usize, const VECTORS: usize>(
        self,
        depth: usize,
        weights: [*const f32; LATENTS],
        next: &[*const f32],
        panel: *const f32,
        sums: *mut f32,
    ) -> bool {
        let is_by_hand =
            LATENTS == 8 && VECTORS == 3 && next.len() <= 2 && depth > 0 && depth.is_multiple_of(TURN);
        let Some(weights) = weights.first_chunk::<8>().filter(|_| is_by_hand) else { return false };
        // Where less is to be fetched, what is near is fetched again.
        let next = from_fn(|i| next.get(i).copied().unwrap_or(weights[0]));
        // SAFETY: the sizes are those asked for; the caller vouches for the rest.
        unsafe { add_8_by_3(depth, weights, next, panel, sums) };
        true
    }
    #[inline(always)]
    unsafe fn columns(self, rows: &[*const f32; MAX_WIDTH]) -> [__m512; MAX_WIDTH] {
        // SAFETY: see above; the caller vouches for 16 floats in each row.
        unsafe {
            // A loop and not `map`, whose closure is not inlined into a function with more features than its own.
            let mut r = [self.splat(0.0); 16];
            for (vector, &row) in r.iter_mut().zip(rows) {
                *vector = self.load(row);
            }
            let mut t = r;
            // 4 × 4 blocks in the quarters of each vector.
            for i in (0..16).step_by(4) {
                let (low01, high01) =
                    (_mm512_unpacklo_ps(r[i], r[i + 1]), _mm512_unpackhi_ps(r[i], r[i + 1]));
                let (low23, high23) =
                    (_mm512_unpacklo_ps(r[i + 2], r[i + 3]), _mm512_unpackhi_ps(r[i + 2], r[i + 3]));
                t[i] = _mm512_shuffle_ps::<0x44>(low01, low23);
                t[i + 1] = _mm512_shuffle_ps::<0xee>(low01, low23);
                t[i + 2] = _mm512_shuffle_ps::<0x44>(high01, high23);
                t[i + 3] = _mm512_shuffle_ps::<0xee>(high01, high23);
            }
            // Then the quarters themselves.
            let mut columns = t;
            for k in 0..4 {
                let (a, b) = (t[k], t[k + 4]);
                let (c, d) = (t[k + 8], t[k + 12]);
                let (ab02, ab13) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
                let (cd02, cd13) = (_mm512_shuffle_f32x4::<0x88>(c, d), _mm512_shuffle_f32x4::<0xdd>(c, d));
                columns[k] = _mm512_shuffle_f32x4::<0x88>(ab02, cd02);
                columns[k + 4] = _mm512_shuffle_f32x4::<0x88>(ab13, cd13);
                columns[k + 8] = _mm512_shuffle_f32x4::<0xdd>(ab02, cd02);
                columns[k + 12] = _mm512_shuffle_f32x4::<0xdd>(ab13, cd13);
            }
            columns
        }
    }
}

impl Dots for Avx512Vnni {
    type Lanes = Avx512;
    type Bytes = __m512i;
    type Sums = __m512i;
    const PAYS_FROM: Option<u32> = Some(4096);
    const STEPS: u8 = 127;
    const OFFSET: u8 = 128;

    #[inline(always)]
    fn lanes(self) -> Avx512 {
        self.0
    }
    #[inline(always)]
    fn splat_sums(self, value: i32) -> __m512i {
        // SAFETY: `self` exists only where AVX-512 was found; so below.
        unsafe { _mm512_set1_epi32(value) }
    }
    #[inline(always)]
    unsafe fn load_bytes(self, from: *const u8) -> __m512i {
        // SAFETY: the caller vouches for the bytes.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    fn add_products(self, sums: __m512i, bytes: __m512i, weights: i32) -> __m512i {
        // SAFETY: `self` exists only where VNNI was found.
        unsafe { _mm512_dpbusd_epi32(sums, bytes, _mm512_set1_epi32(weights)) }
    }
    #[inline(always)]
    fn to_floats(self, sums: __m512i) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_cvtepi32_ps(sums) }
    }
}
