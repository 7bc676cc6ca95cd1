use super::dots::{DotKernel, Dots};
use super::{DITHER_STEP, Kernel, Lanes, MAX_WIDTH};
use std::arch::x86_64::*;

/// AVX2 with FMA: 8 lanes, 16 registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2(());

impl Avx2 {
    pub fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("bmi1");
        found.then_some(Self(()))
    }

    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma,popcnt,bmi1")]
        fn with_features<K: Kernel>(lanes: Avx2, kernel: K) -> K::Output {
            kernel.run(lanes)
        }
        // SAFETY: `self` exists only where `detect` found the features.
        unsafe { with_features(self, kernel) }
    }

    /// With AVX-VNNI where the CPU has it.
    pub fn run_dots<K: DotKernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma,popcnt,bmi1,avxvnni")]
        fn with_vnni<K: DotKernel>(dots: Avx2Vnni, kernel: K) -> K::Output {
            kernel.run(dots)
        }
        #[target_feature(enable = "avx2,fma,popcnt,bmi1")]
        fn without_vnni<K: DotKernel>(dots: Avx2, kernel: K) -> K::Output {
            kernel.run(dots)
        }
        if is_x86_feature_detected!("avxvnni") {
            // SAFETY: AVX-VNNI was just found, the other features when `self` was made.
            unsafe { with_vnni(Avx2Vnni(self), kernel) }
        } else {
            // SAFETY: `self` exists only where `detect` found the features.
            unsafe { without_vnni(self, kernel) }
        }
    }
}

/// AVX2 with the dot products of AVX-VNNI.
#[derive(Clone, Copy)]
pub struct Avx2Vnni(Avx2);

/// For each mask the lanes that are set, in order: the permutation that moves them to the front.
static FRONT: [[u32; 8]; 256] = front_lanes();

const fn front_lanes() -> [[u32; 8]; 256] {
    let mut table = [[0; 8]; 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut lane, mut n) = (0, 0);
        while lane < 8 {
            if mask >> lane & 1 == 1 {
                table[mask][n] = lane;
                n += 1;
            }
            lane += 1;
        }
        mask += 1;
    }
    table
}

impl Lanes for Avx2 {
    type Vector = __m256;
    const WIDTH: usize = 8;
    const TILE_LATENTS: usize = 6;
    const TILE_VECTORS: usize = 2;
    const HAS_MANY_REGISTERS: bool = false;

    // SAFETY of all calls below: `self` exists only where `detect` found AVX2 and FMA; loads and stores are unaligned
    // ones within what the caller vouches for.

    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_set1_ps(value) }
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, vector: __m256) {
        // SAFETY: see above.
        unsafe { _mm256_storeu_ps(to, vector) }
    }
    #[inline(always)]
    unsafe fn load_ints(self, from: *const i32) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_cvtepi32_ps(_mm256_loadu_si256(from.cast())) }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, from: *const u16) -> __m256 {
        // SAFETY: see above.
        unsafe {
            let bits = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(bits))
        }
    }
    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u16, vector: __m256, dither: u32) {
        // SAFETY: see above.
        unsafe {
            let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            let steps = _mm256_mullo_epi32(lanes, _mm256_set1_epi32(DITHER_STEP as i32));
            let dither = _mm256_add_epi32(_mm256_set1_epi32(dither as i32), steps);
            let bits = _mm256_add_epi32(_mm256_castps_si256(vector), _mm256_srli_epi32::<16>(dither));
            let upper = _mm256_srli_epi32::<16>(bits);
            let packed = _mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi32(upper, upper));
            _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(packed));
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
    fn multiply_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    fn subtract(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    fn multiply(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    fn divide(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_div_ps(a, b) }
    }
    #[inline(always)]
    fn square_root(self, a: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_sqrt_ps(a) }
    }
    #[inline(always)]
    fn greater(self, a: __m256, b: __m256) -> u32 {
        // SAFETY: see above.
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(a, b)) as u32 }
    }
    #[inline(always)]
    fn compress(self, mask: u32, a: __m256) -> __m256 {
        let front = &FRONT[(mask & 0xff) as usize];
        // SAFETY: see above; an entry of the table is 8 integers.
        unsafe { _mm256_permutevar8x32_ps(a, _mm256_loadu_si256(front.as_ptr().cast())) }
    }
    #[inline(always)]
    fn not_zero(self, a: __m256) -> u32 {
        // SAFETY: see above.
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NEQ_UQ>(a, _mm256_setzero_ps())) as u32 }
    }
    #[inline(always)]
    fn count<const STEP: u32>(self, start: u32) -> __m256 {
        // SAFETY: see above.
        unsafe {
            let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            let lanes = _mm256_mullo_epi32(lanes, _mm256_set1_epi32(STEP as i32));
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_set1_epi32(start as i32), lanes))
        }
    }
    #[inline(always)]
    fn sum(self, a: __m256) -> f32 {
        // Half upon half: the lanes stay in registers.
        // SAFETY: see above.
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }
    #[inline(always)]
    unsafe fn columns(self, rows: &[*const f32; MAX_WIDTH]) -> [__m256; MAX_WIDTH] {
        let mut columns = [self.splat(0.0); MAX_WIDTH];
        // SAFETY: see above; the caller vouches for 8 floats in each of the first 8 rows.
        unsafe {
            let mut r = [self.splat(0.0); 8];
            for (vector, &row) in r.iter_mut().zip(rows) {
                *vector = self.load(row);
            }
            let mut t = r;
            for i in (0..8).step_by(4) {
                let (low01, high01) =
                    (_mm256_unpacklo_ps(r[i], r[i + 1]), _mm256_unpackhi_ps(r[i], r[i + 1]));
                let (low23, high23) =
                    (_mm256_unpacklo_ps(r[i + 2], r[i + 3]), _mm256_unpackhi_ps(r[i + 2], r[i + 3]));
                t[i] = _mm256_shuffle_ps::<0x44>(low01, low23);
                t[i + 1] = _mm256_shuffle_ps::<0xee>(low01, low23);
                t[i + 2] = _mm256_shuffle_ps::<0x44>(high01, high23);
                t[i + 3] = _mm256_shuffle_ps::<0xee>(high01, high23);
            }
            for k in 0..4 {
                columns[k] = _mm256_permute2f128_ps::<0x20>(t[k], t[k + 4]);
                columns[k + 4] = _mm256_permute2f128_ps::<0x31>(t[k], t[k + 4]);
            }
        }
        columns
    }
}

impl Dots for Avx2 {
    type Lanes = Self;
    type Bytes = __m256i;
    type Sums = __m256i;
    const PAYS_FROM: Option<u32> = Some(16384);
    const STEPS: u8 = 63;
    const OFFSET: u8 = 64;

    #[inline(always)]
    fn lanes(self) -> Self {
        self
    }
    #[inline(always)]
    fn splat_sums(self, value: i32) -> __m256i {
        // SAFETY: see above.
        unsafe { _mm256_set1_epi32(value) }
    }
    #[inline(always)]
    unsafe fn load_bytes(self, from: *const u8) -> __m256i {
        // SAFETY: see above.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }
    #[inline(always)]
    fn add_products(self, sums: __m256i, bytes: __m256i, weights: i32) -> __m256i {
        // Sums of two products are at most 2 · 127 · 127 and fit in 16 bits, since bytes of X are below 128.
        // SAFETY: see above.
        unsafe {
            let pairs = _mm256_maddubs_epi16(bytes, _mm256_set1_epi32(weights));
            _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }
    #[inline(always)]
    fn to_floats(self, sums: __m256i) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_cvtepi32_ps(sums) }
    }
}

impl Dots for Avx2Vnni {
    type Lanes = Avx2;
    type Bytes = __m256i;
    type Sums = __m256i;
    const PAYS_FROM: Option<u32> = Some(4096);
    const STEPS: u8 = 127;
    const OFFSET: u8 = 128;

    #[inline(always)]
    fn lanes(self) -> Avx2 {
        self.0
    }
    #[inline(always)]
    fn splat_sums(self, value: i32) -> __m256i {
        self.0.splat_sums(value)
    }
    #[inline(always)]
    unsafe fn load_bytes(self, from: *const u8) -> __m256i {
        // SAFETY: the caller vouches for it.
        unsafe { self.0.load_bytes(from) }
    }
    #[inline(always)]
    fn add_products(self, sums: __m256i, bytes: __m256i, weights: i32) -> __m256i {
        // SAFETY: `self` exists only where AVX-VNNI was found.
        unsafe { _mm256_dpbusd_avx_epi32(sums, bytes, _mm256_set1_epi32(weights)) }
    }
    #[inline(always)]
    fn to_floats(self, sums: __m256i) -> __m256 {
        self.0.to_floats(sums)
    }
}
