use super::dots::{DotKernel, Dots};
use super::{DITHER_STEP, Kernel, Lanes, MAX_WIDTH};

/// Plain Rust that compilers turn into the vectors of whatever the target guarantees (SSE2, NEON, SIMD128).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portable;

const WIDTH: usize = 4;

#[derive(Clone, Copy)]
#[repr(align(16))]
pub struct Vector([f32; WIDTH]);

impl Portable {
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }

    pub fn run_dots<K: DotKernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }
}

#[inline(always)]
fn each(a: Vector, b: Vector, operation: impl Fn(f32, f32) -> f32) -> Vector {
    Vector(std::array::from_fn(|i| operation(a.0[i], b.0[i])))
}

impl Lanes for Portable {
    type Vector = Vector;
    const WIDTH: usize = WIDTH;
    const TILE_LATENTS: usize = 4;
    const TILE_VECTORS: usize = 2;
    const HAS_MANY_REGISTERS: bool = true;

    #[inline(always)]
    fn splat(self, value: f32) -> Vector {
        Vector([value; WIDTH])
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Vector {
        // SAFETY: the caller vouches for WIDTH floats; an array of f32 is aligned as its elements are.
        unsafe { Vector(from.cast::<[f32; WIDTH]>().read()) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, vector: Vector) {
        // SAFETY: as for `load`.
        unsafe { to.cast::<[f32; WIDTH]>().write(vector.0) }
    }
    #[inline(always)]
    unsafe fn load_ints(self, from: *const i32) -> Vector {
        // SAFETY: the caller vouches for WIDTH numbers; an array of them needs no more alignment than one.
        Vector(unsafe { from.cast::<[i32; WIDTH]>().read_unaligned() }.map(|value| value as f32))
    }
    #[inline(always)]
    unsafe fn load_bf16(self, from: *const u16) -> Vector {
        // SAFETY: as for `load`.
        let bits = unsafe { from.cast::<[u16; WIDTH]>().read() };
        Vector(bits.map(|bits| f32::from_bits(u32::from(bits) << 16)))
    }
    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u16, vector: Vector, dither: u32) {
        let bits: [u16; WIDTH] = std::array::from_fn(|lane| {
            let dither = DITHER_STEP.wrapping_mul(lane as u32).wrapping_add(dither);
            (vector.0[lane].to_bits().wrapping_add(dither >> 16) >> 16) as u16
        });
        // SAFETY: as for `store`.
        unsafe { to.cast::<[u16; WIDTH]>().write(bits) }
    }
    #[inline(always)]
    fn prefetch(self, _address: *const f32) {}
    #[inline(always)]
    fn prefetch_to_l2(self, _address: *const f32) {}
    #[inline(always)]
    fn multiply_add(self, a: Vector, b: Vector, c: Vector) -> Vector {
        // Two roundings: without the instruction, a fused one is a slow call.
        self.add(self.multiply(a, b), c)
    }
    #[inline(always)]
    fn add(self, a: Vector, b: Vector) -> Vector {
        each(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn subtract(self, a: Vector, b: Vector) -> Vector {
        each(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn multiply(self, a: Vector, b: Vector) -> Vector {
        each(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn divide(self, a: Vector, b: Vector) -> Vector {
        each(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn square_root(self, a: Vector) -> Vector {
        Vector(a.0.map(f32::sqrt))
    }
    #[inline(always)]
    fn greater(self, a: Vector, b: Vector) -> u32 {
        (0..WIDTH).fold(0, |mask, i| mask | u32::from(a.0[i] > b.0[i]) << i)
    }
    #[inline(always)]
    fn compress(self, mask: u32, a: Vector) -> Vector {
        let mut front = [0.0; WIDTH];
        let mut n = 0;
        for (lane, value) in a.0.into_iter().enumerate() {
            front[n & (WIDTH - 1)] = value;
            n += (mask >> lane & 1) as usize;
        }
        Vector(front)
    }
    #[inline(always)]
    fn not_zero(self, a: Vector) -> u32 {
        (0..WIDTH).fold(0, |mask, i| mask | u32::from(a.0[i] != 0.0) << i)
    }
    #[inline(always)]
    fn count<const STEP: u32>(self, start: u32) -> Vector {
        Vector(std::array::from_fn(|lane| f32::from_bits(start.wrapping_add(lane as u32 * STEP))))
    }
    #[inline(always)]
    fn sum(self, a: Vector) -> f32 {
        (a.0[0] + a.0[2]) + (a.0[1] + a.0[3])
    }
    #[inline(always)]
    unsafe fn columns(self, rows: &[*const f32; MAX_WIDTH]) -> [Vector; MAX_WIDTH] {
        let mut columns = [self.splat(0.0); MAX_WIDTH];
        for (k, column) in columns[..WIDTH].iter_mut().enumerate() {
            // SAFETY: the caller vouches for WIDTH floats in each of the first WIDTH rows.
            *column = Vector(std::array::from_fn(|i| unsafe { *rows[i].add(k) }));
        }
        columns
    }
}

impl Dots for Portable {
    type Lanes = Self;
    type Bytes = [[u8; 4]; WIDTH];
    type Sums = [i32; WIDTH];
    const PAYS_FROM: Option<u32> = None;
    const STEPS: u8 = 127;
    const OFFSET: u8 = 128;

    #[inline(always)]
    fn lanes(self) -> Self {
        self
    }
    #[inline(always)]
    fn splat_sums(self, value: i32) -> [i32; WIDTH] {
        [value; WIDTH]
    }
    #[inline(always)]
    unsafe fn load_bytes(self, from: *const u8) -> [[u8; 4]; WIDTH] {
        // SAFETY: the caller vouches for 4 · WIDTH bytes; an array of bytes needs no alignment.
        unsafe { from.cast::<[[u8; 4]; WIDTH]>().read() }
    }
    #[inline(always)]
    fn add_products(self, sums: [i32; WIDTH], bytes: [[u8; 4]; WIDTH], weights: i32) -> [i32; WIDTH] {
        let weights = weights.to_ne_bytes().map(|weight| i32::from(weight as i8));
        std::array::from_fn(|lane| {
            (0..4).fold(sums[lane], |sum, i| sum + i32::from(bytes[lane][i]) * weights[i])
        })
    }
    #[inline(always)]
    fn to_floats(self, sums: [i32; WIDTH]) -> Vector {
        Vector(sums.map(|sum| sum as f32))
    }
}
