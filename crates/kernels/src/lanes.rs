//! Vectors of f32 lanes, one type for each instruction set, and the way a kernel is run on one of them.

#[cfg(target_arch = "x86_64")]
pub mod amx;
#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_tile;
pub mod dots;
#[cfg(target_arch = "aarch64")]
pub mod neon;
pub mod portable;
pub mod tiles;

/// An instruction set as a value. It exists only where the CPU was seen to have it, which is what makes its methods safe.
pub trait Lanes: Copy + Send + Sync + 'static {
    /// A vector of `WIDTH` f32 lanes.
    type Vector: Copy;
    const WIDTH: usize;
    /// Latents of a micro-tile of `encode`, and vectors of rows in it: its sums fill most of the registers.
    const TILE_LATENTS: usize;
    const TILE_VECTORS: usize;
    /// Whether 16 sums fit in the registers beside what is added to them.
    const HAS_MANY_REGISTERS: bool;

    fn splat(self, value: f32) -> Self::Vector;

    /// # Safety
    /// `from` must be readable for `WIDTH` floats. No alignment is needed.
    unsafe fn load(self, from: *const f32) -> Self::Vector;

    /// # Safety
    /// `to` must be writable for `WIDTH` floats. No alignment is needed.
    unsafe fn store(self, to: *mut f32, vector: Self::Vector);

    /// `WIDTH` whole numbers, rounded to the nearest f32.
    ///
    /// # Safety
    /// `from` must be readable for `WIDTH` numbers. No alignment is needed.
    unsafe fn load_ints(self, from: *const i32) -> Self::Vector;

    /// `WIDTH` bf16 numbers, given as their bits.
    ///
    /// # Safety
    /// `from` must be readable for `WIDTH` numbers. No alignment is needed.
    unsafe fn load_bf16(self, from: *const u16) -> Self::Vector;

    /// Store as bf16, rounded up or down by dither: lane i adds the upper half of `dither + i · DITHER_STEP` to the
    /// bits before they are cut.
    ///
    /// # Safety
    /// `to` must be writable for `WIDTH` numbers. No alignment is needed.
    unsafe fn store_bf16(self, to: *mut u16, vector: Self::Vector, dither: u32);

    /// Bring the cache line at an address near. The address need not be readable.
    fn prefetch(self, address: *const f32);

    /// The same, not nearer than L2: for more than L1 holds.
    fn prefetch_to_l2(self, address: *const f32);

    /// a·b + c, rounded once where the instruction set can.
    fn multiply_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn subtract(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn multiply(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn divide(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn square_root(self, a: Self::Vector) -> Self::Vector;

    /// Bit i is set where a[i] > b[i]; never for NaN.
    fn greater(self, a: Self::Vector, b: Self::Vector) -> u32;

    /// The lanes whose bit is set, in their order, moved to the front; the others are undefined.
    fn compress(self, mask: u32, a: Self::Vector) -> Self::Vector;

    /// Bit i is set where a[i] is another number than 0; also for NaN.
    fn not_zero(self, a: Self::Vector) -> u32;

    /// Lane i holds the bits of the integer `start + i · STEP`.
    fn count<const STEP: u32>(self, start: u32) -> Self::Vector;

    /// The sum of all lanes, in a fixed order.
    fn sum(self, a: Self::Vector) -> f32;

    /// The first `WIDTH` columns of `WIDTH` rows: lane i of vector k is element k of row i.
    ///
    /// # Safety
    /// Each of the first `WIDTH` pointers must be readable for `WIDTH` floats.
    unsafe fn columns(self, rows: &[*const f32; MAX_WIDTH]) -> [Self::Vector; MAX_WIDTH];

    #[inline(always)]
    fn load_slice(self, from: &[f32]) -> Self::Vector {
        assert!(from.len() >= Self::WIDTH);
        // SAFETY: the slice holds at least WIDTH floats.
        unsafe { self.load(from.as_ptr()) }
    }

    #[inline(always)]
    fn load_ints_of(self, from: &[i32]) -> Self::Vector {
        assert!(from.len() >= Self::WIDTH);
        // SAFETY: the slice holds at least WIDTH numbers.
        unsafe { self.load_ints(from.as_ptr()) }
    }

    #[inline(always)]
    fn store_slice(self, to: &mut [f32], vector: Self::Vector) {
        assert!(to.len() >= Self::WIDTH);
        // SAFETY: the slice holds at least WIDTH floats.
        unsafe { self.store(to.as_mut_ptr(), vector) }
    }

    /// sums[m][lane] += Σ_k weights[m][k] · panel[k][lane], as `multiply_tile` of `encode` does it, where a tile of this size is
    /// written by hand; gives whether it is.
    ///
    /// # Safety
    /// As for `multiply_tile`.
    #[inline(always)]
    unsafe fn add_products_by_hand<const LATENTS: usize, const VECTORS: usize>(
        self,
        _depth: usize,
        _weights: [*const f32; LATENTS],
        _next: &[*const f32],
        _panel: *const f32,
        _sums: *mut f32,
    ) -> bool {
        false
    }

    /// Load a slice of fewer than `WIDTH` floats; the other lanes are 0.
    #[inline(always)]
    fn load_part(self, from: &[f32]) -> Self::Vector {
        let mut whole = [0.0; MAX_WIDTH];
        whole[..from.len()].copy_from_slice(from);
        self.load_slice(&whole)
    }

    /// Load up to `WIDTH` floats; lanes past the slice are 0.
    #[inline(always)]
    fn load_some(self, from: &[f32]) -> Self::Vector {
        if from.len() >= Self::WIDTH { self.load_slice(from) } else { self.load_part(from) }
    }

    /// Store the first lanes, as many as the slice is long.
    #[inline(always)]
    fn store_some(self, to: &mut [f32], vector: Self::Vector) {
        if to.len() >= Self::WIDTH { self.store_slice(to, vector) } else { self.store_part(to, vector) }
    }

    /// Store the first lanes to a slice of fewer than `WIDTH` floats.
    #[inline(always)]
    fn store_part(self, to: &mut [f32], vector: Self::Vector) {
        let mut whole = [0.0; MAX_WIDTH];
        self.store_slice(&mut whole, vector);
        to.copy_from_slice(&whole[..to.len()]);
    }
}

/// 2³² over the golden ratio: its multiples are spread as evenly as can be (Weyl's sequence).
pub const DITHER_STEP: u32 = 0x9e37_79b9;

/// The widest vector of any instruction set.
pub const MAX_WIDTH: usize = 16;

/// A piece of work written once for all instruction sets. `run` must be `#[inline(always)]`, so that it is compiled
/// with the instructions of the set that it is given.
pub trait Kernel {
    type Output;
    fn run<L: Lanes>(self, lanes: L) -> Self::Output;
}
