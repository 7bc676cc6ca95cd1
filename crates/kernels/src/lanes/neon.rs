use super::dots::{DotKernel, Dots};
use super::{DITHER_STEP, Kernel, Lanes, MAX_WIDTH};
use std::arch::{aarch64::*, asm, is_aarch64_feature_detected};

/// NEON of 64-bit ARM: 4 lanes, 32 registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neon(());

impl Neon {
    pub fn detect() -> Option<Self> {
        is_aarch64_feature_detected!("neon").then_some(Self(()))
    }

    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "neon")]
        fn with_features<K: Kernel>(lanes: Neon, kernel: K) -> K::Output {
            kernel.run(lanes)
        }
        // SAFETY: `self` exists only where `detect` found NEON.
        unsafe { with_features(self, kernel) }
    }

    /// With the dot products of Armv8.2 where the CPU has them.
    pub fn run_dots<K: DotKernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "neon")]
        fn without_sdot<K: DotKernel>(dots: Neon, kernel: K) -> K::Output {
            kernel.run(dots)
        }
        #[target_feature(enable = "neon,dotprod")]
        fn with_sdot<K: DotKernel>(dots: NeonSdot, kernel: K) -> K::Output {
            kernel.run(dots)
        }
        if is_aarch64_feature_detected!("dotprod") {
            // SAFETY: the dot products were just found, NEON when `self` was made.
            unsafe { with_sdot(NeonSdot(self), kernel) }
        } else {
            // SAFETY: `self` exists only where `detect` found NEON.
            unsafe { without_sdot(self, kernel) }
        }
    }
}

/// NEON with dot products of bytes.
#[derive(Clone, Copy)]
pub struct NeonSdot(Neon);

/// For each mask the bytes of the lanes that are set, in order: the permutation that moves them to the front.
static FRONT: [[u8; 16]; 16] = front_bytes();

const fn front_bytes() -> [[u8; 16]; 16] {
    let mut table = [[0; 16]; 16];
    let mut mask = 0;
    while mask < 16 {
        let (mut byte, mut n) = (0, 0);
        while byte < 16 {
            if mask >> (byte / 4) & 1 == 1 {
                table[mask][n] = byte as u8;
                n += 1;
            }
            byte += 1;
        }
        mask += 1;
    }
    table
}

static COUNT: [u32; 4] = [0, 1, 2, 3];
static LANE_BITS: [u32; 4] = [1, 2, 4, 8];

#[inline(always)]
fn load_integers(from: &[u32; 4]) -> uint32x4_t {
    // SAFETY: the array holds 4 integers; called only where there is NEON.
    unsafe { vld1q_u32(from.as_ptr()) }
}

impl Lanes for Neon {
    type Vector = float32x4_t;
    const WIDTH: usize = 4;
    const TILE_LATENTS: usize = 8;
    const TILE_VECTORS: usize = 3;
    const HAS_MANY_REGISTERS: bool = true;

    // SAFETY of all calls below: `self` exists only where `detect` found NEON; loads and stores need no alignment and
    // stay within what the caller vouches for.

    #[inline(always)]
    fn splat(self, value: f32) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vdupq_n_f32(value) }
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, vector: float32x4_t) {
        // SAFETY: see above.
        unsafe { vst1q_f32(to, vector) }
    }
    #[inline(always)]
    unsafe fn load_ints(self, from: *const i32) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vcvtq_f32_s32(vld1q_s32(from)) }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, from: *const u16) -> float32x4_t {
        // SAFETY: see above.
        unsafe {
            let bits = vld1_u16(from);
            vreinterpretq_f32_u32(vshll_n_u16::<16>(bits))
        }
    }
    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u16, vector: float32x4_t, dither: u32) {
        // SAFETY: see above.
        unsafe {
            let dither = vmlaq_n_u32(vdupq_n_u32(dither), load_integers(&COUNT), DITHER_STEP);
            let bits = vaddq_u32(vreinterpretq_u32_f32(vector), vshrq_n_u32::<16>(dither));
            vst1_u16(to, vshrn_n_u32::<16>(bits))
        }
    }
    #[inline(always)]
    fn prefetch(self, address: *const f32) {
        // SAFETY: a prefetch never faults and changes nothing.
        unsafe { asm!("prfm pldl1keep, [{}]", in(reg) address, options(nostack, preserves_flags, readonly)) }
    }
    #[inline(always)]
    fn prefetch_to_l2(self, address: *const f32) {
        // SAFETY: as above.
        unsafe { asm!("prfm pldl2keep, [{}]", in(reg) address, options(nostack, preserves_flags, readonly)) }
    }
    #[inline(always)]
    fn multiply_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    fn subtract(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vsubq_f32(a, b) }
    }
    #[inline(always)]
    fn multiply(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    fn divide(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vdivq_f32(a, b) }
    }
    #[inline(always)]
    fn square_root(self, a: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vsqrtq_f32(a) }
    }
    #[inline(always)]
    fn greater(self, a: float32x4_t, b: float32x4_t) -> u32 {
        // SAFETY: see above.
        unsafe { vaddvq_u32(vandq_u32(vcgtq_f32(a, b), load_integers(&LANE_BITS))) }
    }
    #[inline(always)]
    fn compress(self, mask: u32, a: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe {
            let front = &FRONT[(mask & 0xf) as usize];
            let front = vld1q_u8(front.as_ptr());
            vreinterpretq_f32_u8(vqtbl1q_u8(vreinterpretq_u8_f32(a), front))
        }
    }
    #[inline(always)]
    fn not_zero(self, a: float32x4_t) -> u32 {
        // SAFETY: see above.
        unsafe { vaddvq_u32(vandq_u32(vmvnq_u32(vceqzq_f32(a)), load_integers(&LANE_BITS))) }
    }
    #[inline(always)]
    fn count<const STEP: u32>(self, start: u32) -> float32x4_t {
        // SAFETY: see above.
        unsafe {
            let steps = vmulq_u32(load_integers(&COUNT), vdupq_n_u32(STEP));
            vreinterpretq_f32_u32(vaddq_u32(vdupq_n_u32(start), steps))
        }
    }
    #[inline(always)]
    fn sum(self, a: float32x4_t) -> f32 {
        // SAFETY: see above.
        unsafe {
            let pairs = vadd_f32(vget_low_f32(a), vget_high_f32(a));
            vget_lane_f32::<0>(pairs) + vget_lane_f32::<1>(pairs)
        }
    }
    #[inline(always)]
    unsafe fn columns(self, rows: &[*const f32; MAX_WIDTH]) -> [float32x4_t; MAX_WIDTH] {
        let mut columns = [self.splat(0.0); MAX_WIDTH];
        // SAFETY: see above; the caller vouches for 4 floats in each of the first 4 rows.
        unsafe {
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| vld1q_f32(rows[i]));
            let even = [vtrn1q_f32(a, b), vtrn1q_f32(c, d)].map(|pair| vreinterpretq_f64_f32(pair));
            let odd = [vtrn2q_f32(a, b), vtrn2q_f32(c, d)].map(|pair| vreinterpretq_f64_f32(pair));
            columns[0] = vreinterpretq_f32_f64(vtrn1q_f64(even[0], even[1]));
            columns[1] = vreinterpretq_f32_f64(vtrn1q_f64(odd[0], odd[1]));
            columns[2] = vreinterpretq_f32_f64(vtrn2q_f64(even[0], even[1]));
            columns[3] = vreinterpretq_f32_f64(vtrn2q_f64(odd[0], odd[1]));
        }
        columns
    }
}

impl Dots for Neon {
    type Lanes = Self;
    type Bytes = int8x16_t;
    type Sums = int32x4_t;
    const PAYS_FROM: Option<u32> = None;
    const STEPS: u8 = 127;
    const OFFSET: u8 = 0;

    #[inline(always)]
    fn lanes(self) -> Self {
        self
    }
    #[inline(always)]
    fn splat_sums(self, value: i32) -> int32x4_t {
        // SAFETY: see above.
        unsafe { vdupq_n_s32(value) }
    }
    #[inline(always)]
    unsafe fn load_bytes(self, from: *const u8) -> int8x16_t {
        // SAFETY: see above.
        unsafe { vld1q_s8(from.cast()) }
    }
    #[inline(always)]
    fn add_products(self, sums: int32x4_t, bytes: int8x16_t, weights: i32) -> int32x4_t {
        // SAFETY: see above.
        unsafe {
            // Sums of two products of numbers in −127..127 fit in 16 bits.
            let weights = vreinterpretq_s8_s32(vdupq_n_s32(weights));
            let low = vmull_s8(vget_low_s8(bytes), vget_low_s8(weights));
            vpadalq_s16(sums, vpaddq_s16(low, vmull_high_s8(bytes, weights)))
        }
    }
    #[inline(always)]
    fn to_floats(self, sums: int32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vcvtq_f32_s32(sums) }
    }
}

impl Dots for NeonSdot {
    type Lanes = Neon;
    type Bytes = int8x16_t;
    type Sums = int32x4_t;
    const PAYS_FROM: Option<u32> = Some(4096);
    const STEPS: u8 = 127;
    const OFFSET: u8 = 0;

    #[inline(always)]
    fn lanes(self) -> Neon {
        self.0
    }
    #[inline(always)]
    fn splat_sums(self, value: i32) -> int32x4_t {
        self.0.splat_sums(value)
    }
    #[inline(always)]
    unsafe fn load_bytes(self, from: *const u8) -> int8x16_t {
        // SAFETY: the caller vouches for it.
        unsafe { self.0.load_bytes(from) }
    }
    #[inline(always)]
    fn add_products(self, mut sums: int32x4_t, bytes: int8x16_t, weights: i32) -> int32x4_t {
        // The intrinsic is not stable yet.
        // SAFETY: `self` exists only where the dot products were found; only registers are touched.
        unsafe {
            let weights = vreinterpretq_s8_s32(vdupq_n_s32(weights));
            asm!(
                "sdot {sums:v}.4s, {bytes:v}.16b, {weights:v}.16b",
                sums = inout(vreg) sums, bytes = in(vreg) bytes, weights = in(vreg) weights,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        sums
    }
    #[inline(always)]
    fn to_floats(self, sums: int32x4_t) -> float32x4_t {
        self.0.to_floats(sums)
    }
}
