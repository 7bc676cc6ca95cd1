use super::Lanes;

/// Sums of products of bytes, as many in a vector as `Lanes` has floats. A value of it exists only where the CPU was
/// seen to have what it needs.
pub trait Dots: Copy + Send + Sync + 'static {
    type Lanes: Lanes;
    /// 4 bytes for each lane, whose numbers are `OFFSET` less.
    type Bytes: Copy;
    /// A 32-bit sum for each lane.
    type Sums: Copy;
    /// Latents from which on screening is faster than f32 where few of them are active (`bench -- screening`).
    const PAYS_FROM: Option<u32>;
    /// The largest number of X in bytes: its rows are rounded to as many steps on either side of 0.
    const STEPS: u8;
    /// STEPS + 1 where bytes are multiplied as unsigned ones, 0 as signed ones.
    const OFFSET: u8;

    fn lanes(self) -> Self::Lanes;
    fn splat_sums(self, value: i32) -> Self::Sums;

    /// # Safety
    /// `from` must be readable for 4 · `Lanes::WIDTH` bytes. No alignment is needed.
    unsafe fn load_bytes(self, from: *const u8) -> Self::Bytes;

    /// sums[lane] + Σ_i bytes[lane][i] · weights[i] for the four signed bytes of `weights`, which are not −128, exactly
    /// (mod 2^32).
    fn add_products(self, sums: Self::Sums, bytes: Self::Bytes, weights: i32) -> Self::Sums;

    /// Rounded to the nearest f32.
    fn to_floats(self, sums: Self::Sums) -> <Self::Lanes as Lanes>::Vector;
}

/// A piece of work on bytes written once for all instruction sets, as `Kernel` is.
pub trait DotKernel {
    type Output;
    fn run<D: Dots>(self, dots: D) -> Self::Output;
}
