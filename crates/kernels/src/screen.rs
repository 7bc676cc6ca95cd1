//! Weight rows and batch rows in bytes, one or two for each element, with what bounds the error of their products.
//!
//! # The bound
//!
//! A row y (of X or of W_enc) is first rotated: H is a Hadamard matrix with random signs, H Hᵀ = m, so that
//! ⟨x, w⟩ = ⟨Hx, Hw⟩ / m. That spreads a large coordinate over many and makes every row's coordinates nearly Gaussian,
//! for which 8 bits with one scale a row are good. Then Hy = s·q + Δ with whole q in −127..127 (of X in −63..63 where
//! sums of products have 16 bits, `lanes/avx2.rs`: Δ is measured, so the bound holds with any number of steps), and
//!
//!   m⟨x, w⟩ = s_x s_w⟨q_x, q_w⟩ + ⟨s_x q_x, Δ_w⟩ + ⟨Δ_x, Hw⟩,
//!   |m⟨x, w⟩ − s_x s_w⟨q_x, q_w⟩| ≤ ‖s_x q_x‖ ‖Δ_w‖ + ‖Δ_x‖ ‖Hw‖   (Cauchy–Schwarz).
//!
//! Where tiles multiply bytes (`lanes/tiles.rs`) a second byte holds most of what the first leaves: Hy = s·(q + r/254) + Δ with
//! whole r in −127..127, so that Δ is 254 times as short. With ℓ = s·r/254 three products of bytes are worked out, and
//!
//!   |m⟨x, w⟩ − s_x s_w(⟨q_x, q_w⟩ + (⟨q_x, r_w⟩ + ⟨r_x, q_w⟩)/254)| ≤ ‖ℓ_x‖ ‖ℓ_w‖ + ‖s_x q_x + ℓ_x‖ ‖Δ_w‖ + ‖Δ_x‖ ‖Hw‖.
//!
//! Around that lies rounding, with u = 2⁻²⁴ and n inputs:
//!   - the fp32 path's own: its chain of n multiply-adds is within (n + 2)u (|b| + ‖x‖‖w‖) of the exact
//!     pre-activation, and at most n·2⁻¹⁴⁸ more where products underflow;
//!   - the rotation: each of its at most 16 stages adds u of the row's length, so 32u for both rows;
//!   - Δ and the lengths, worked out in f32: 4u of the row, and (n/16 + 10)u of themselves;
//!   - the test, in f32: at most 24u of the sum of its terms' sizes, which is at most 2‖Hx‖‖Hw‖/m + |b|.
//!
//! All of it together is below ε (‖x‖‖w‖ + |b|) with ε = 2(n + 128)u, twice the sum of the first orders. [`Facts`]
//! hold lengths with ε added, and rows outside 2⁻⁵⁰..2⁵⁰ are bounded without their bytes, so that neither squares
//! nor products leave the range of f32. Underflow is covered by adding 2⁻⁶⁰ to both factors of ‖Δ_x‖ ‖Hw‖.

use crate::engine::Engine;
use crate::error::{KernelError, expect_length};
use crate::instruction_set::InstructionSet;
use crate::lanes::{Kernel, Lanes};
use rayon::prelude::*;

/// Elements of a line: the rotation mixes equal places of different lines, so that it needs no shuffles.
const LINE: usize = 16;

/// Rows are padded with zeros to a multiple of this.
const PAD: usize = 64;

/// Sums of 255 · 127 · inputs stay below 2^31, and so do those of 2 · 127 · 127 · inputs.
const MAX_INPUTS: usize = 1 << 16;

/// Elements of a row beyond these bounds, after the rotation, are not quantised.
const LEAST: f32 = f32::from_bits((127 - 50) << 23);
const MOST: f32 = f32::from_bits((127 + 50) << 23);
const TINY: f32 = f32::from_bits((127 - 60) << 23);

/// Numbers that belong to a row in 8 bits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
    /// s; of a weight row, s/m.
    pub scale: f32,
    /// ‖Hy‖ at most; of a weight row, by m.
    pub length: f32,
    /// ‖Δ‖ at most; of a weight row, by m.
    pub residual: f32,
    /// Σ q, exact; of two bytes it is not needed.
    pub sum: f32,
    /// ‖ℓ‖ at most; of a weight row, by m. 0 with one byte.
    pub second: f32,
}

/// Facts of a weight row as they are stored.
pub const N_FACTS: usize = 5;

/// What the second byte divides a step into.
pub(crate) const PARTS: f32 = 254.0;

/// The first rows of W_enc in bytes, all or some, as their owner keeps them for one instruction set.
#[derive(Clone, Copy)]
pub struct ScreenedView<'a> {
    /// `[n, bytes_of_row]`
    pub bytes: &'a [i8],
    /// `[n, 5]`
    pub facts: &'a [f32],
}

/// The same, to be written.
#[derive(Default)]
pub struct ScreenedMut<'a> {
    pub bytes: &'a mut [i8],
    pub facts: &'a mut [f32],
}

impl ScreenedView<'_> {
    /// Latents of which it knows.
    pub(crate) fn n_latents(&self) -> usize {
        self.facts.len() / N_FACTS
    }

    pub(crate) fn check(&self, set: InstructionSet, d_sae: usize, d_in: usize) -> Result<(), KernelError> {
        let n = self.n_latents().min(d_sae);
        expect_length("screened.bytes", self.bytes.len(), &[n, bytes_of_row(set, d_in)])?;
        expect_length("screened.facts", self.facts.len(), &[n, N_FACTS])
    }

    #[inline(always)]
    pub(crate) fn facts_of(&self, latent: usize) -> Facts {
        let facts = &self.facts[latent * N_FACTS..][..N_FACTS];
        let &[scale, length, residual, sum, second] = facts else { unreachable!("a row has N_FACTS") };
        Facts { scale, length, residual, sum, second }
    }
}

impl<'a> ScreenedMut<'a> {
    pub(crate) fn check(&self, set: InstructionSet, d_sae: usize, d_in: usize) -> Result<(), KernelError> {
        ScreenedView { bytes: self.bytes, facts: self.facts }.check(set, d_sae, d_in)
    }

    /// Bytes and facts of so many rows at a time.
    pub(crate) fn par_chunks(
        self,
        set: InstructionSet,
        n_rows: usize,
        d_in: usize,
    ) -> impl IndexedParallelIterator<Item = (&'a mut [i8], &'a mut [f32])> {
        let bytes = self.bytes.par_chunks_mut(n_rows * bytes_of_row(set, d_in));
        bytes.zip(self.facts.par_chunks_mut(n_rows * N_FACTS))
    }
}

/// Elements of a row of so many inputs.
pub(crate) fn padded_inputs(d_in: usize) -> usize {
    d_in.next_multiple_of(PAD)
}

/// Bytes of a row of so many inputs: the first one of all elements, then the second where there are two.
pub fn bytes_of_row(set: InstructionSet, d_in: usize) -> usize {
    set.screened_bytes() * padded_inputs(d_in)
}

/// Whether rows of so many inputs can be screened.
pub(crate) fn can_screen(d_in: usize) -> bool {
    d_in <= MAX_INPUTS
}

/// ε of the module's comment.
pub(crate) fn slack(d_in: usize) -> f32 {
    (padded_inputs(d_in) + 128) as f32 * f32::EPSILON
}

/// Random signs, repeated along a row: a row of equal elements must not become one large coordinate.
static SIGNS: [f32; 1024] = random_signs();

const fn random_signs() -> [f32; 1024] {
    let mut signs = [1.0; 1024];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut i = 0;
    while i < signs.len() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if state >> 63 == 1 {
            signs[i] = -1.0;
        }
        i += 1;
    }
    signs
}

/// A row of f32 to bytes: q in −steps..steps, plus `offset`, 0 for signed bytes.
pub(crate) struct Quantise<'a> {
    pub row: &'a [f32],
    /// Of the padded length.
    pub rotated: &'a mut [f32],
    /// Of the padded length, or twice that, where `r` follows.
    pub bytes: &'a mut [u8],
    pub steps: u8,
    pub offset: u8,
}

/// Steps of a weight, and of a row of X where nothing asks for fewer.
pub(crate) const STEPS: u8 = 127;

impl Kernel for Quantise<'_> {
    type Output = Facts;
    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) -> Facts {
        let Self { row, rotated, bytes, steps, offset } = self;
        rotate(row, rotated);
        let epsilon = slack(row.len());
        let (largest, square) = largest_and_square(rotated);
        let scale = largest / f32::from(steps);
        let in_range = (LEAST..=MOST).contains(&largest) && square.is_finite();
        if !in_range {
            bytes.fill(offset);
            return outside(largest, square, rotated.len());
        }
        let (firsts, seconds) = bytes.split_at_mut(rotated.len());
        let (sum, second, residual) = if seconds.is_empty() {
            let (sum, left) = to_bytes(rotated, scale, firsts, offset);
            (sum, 0.0, left)
        } else {
            let (held, left) = to_two_bytes(rotated, scale, firsts, seconds);
            (0.0, held.sqrt() * (1.0 + epsilon) + TINY, left)
        };
        let length = square.sqrt() * (1.0 + epsilon);
        let residual = residual.sqrt() * (1.0 + epsilon) + epsilon * length + TINY;
        Facts { scale, length, residual, sum, second }
    }
}

/// A row whose q are all 0: nothing is known but its length, and of a row that is too long or holds NaN not even that.
#[inline(always)]
fn outside(largest: f32, square: f32, n: usize) -> Facts {
    let bound = if largest <= LEAST && square.is_finite() { 2.0 * LEAST * n as f32 } else { f32::INFINITY };
    let bound = if square == 0.0 && largest == 0.0 { 0.0 } else { bound };
    Facts { length: bound, residual: bound, ..Facts::default() }
}

/// out = H · row: signs, then butterflies over lines, in the largest blocks of 2^i lines that cut the padded row evenly.
#[inline(always)]
fn rotate(row: &[f32], out: &mut [f32]) {
    for (out, row) in out.chunks_mut(SIGNS.len()).zip(row.chunks(SIGNS.len())) {
        for ((out, value), sign) in out.iter_mut().zip(row).zip(&SIGNS) {
            *out = value * sign;
        }
    }
    out[row.len()..].fill(0.0);
    let mut half = LINE;
    while half < block(out.len()) {
        for pair in out.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
}

/// Elements that a butterfly spans at most.
fn block(padded: usize) -> usize {
    1 << padded.trailing_zeros()
}

/// m of H Hᵀ = m, a power of two.
fn gain(padded: usize) -> f32 {
    (block(padded) / LINE) as f32
}

/// max |y| and ‖y‖². The square is not finite where an element is not.
#[inline(always)]
fn largest_and_square(row: &[f32]) -> (f32, f32) {
    let (mut largest, mut squares) = ([0.0f32; LINE], [0.0f32; LINE]);
    for line in row.as_chunks::<LINE>().0 {
        for i in 0..LINE {
            largest[i] = if line[i].abs() > largest[i] { line[i].abs() } else { largest[i] };
            squares[i] += line[i] * line[i];
        }
    }
    (largest.into_iter().fold(0.0, f32::max), squares.into_iter().sum())
}

/// Adding it moves the units to the lowest bits of a float.
const ROUND: f32 = (3 << 22) as f32;

/// Bytes of y / scale, rounded to even; gives their sum and ‖y − scale · q‖².
#[inline(always)]
fn to_bytes(row: &[f32], scale: f32, bytes: &mut [u8], offset: u8) -> (f32, f32) {
    let inverse = 1.0 / scale;
    let (mut sums, mut squares) = ([0.0f32; LINE], [0.0f32; LINE]);
    for (line, bytes) in row.as_chunks::<LINE>().0.iter().zip(bytes.as_chunks_mut::<LINE>().0) {
        for i in 0..LINE {
            let shifted = line[i] * inverse + ROUND;
            let q = shifted - ROUND;
            let rest = line[i] - q * scale;
            bytes[i] = (shifted.to_bits() as u8).wrapping_add(offset);
            sums[i] += q;
            squares[i] += rest * rest;
        }
    }
    (sums.into_iter().sum(), squares.into_iter().sum())
}

/// First and second bytes, both signed; gives the squares of what the second ones hold and of what they leave.
#[inline(always)]
fn to_two_bytes(row: &[f32], scale: f32, firsts: &mut [u8], seconds: &mut [u8]) -> (f32, f32) {
    let (inverse, inverse_part, part) = (1.0 / scale, PARTS / scale, scale / PARTS);
    let (mut held, mut left) = ([0.0f32; LINE], [0.0f32; LINE]);
    let bytes = firsts.as_chunks_mut::<LINE>().0.iter_mut().zip(seconds.as_chunks_mut::<LINE>().0);
    for (line, (firsts, seconds)) in row.as_chunks::<LINE>().0.iter().zip(bytes) {
        for i in 0..LINE {
            let first = line[i] * inverse + ROUND;
            let rest = line[i] - (first - ROUND) * scale;
            let second = rest * inverse_part + ROUND;
            let holds = (second - ROUND) * part;
            let leaves = rest - holds;
            (firsts[i], seconds[i]) = (first.to_bits() as u8, second.to_bits() as u8);
            held[i] += holds * holds;
            left[i] += leaves * leaves;
        }
    }
    (held.into_iter().sum(), left.into_iter().sum())
}

/// A weight row to its bytes and facts.
struct ScreenRow<'a> {
    row: &'a [f32],
    rotated: &'a mut Vec<f32>,
    bytes: &'a mut [i8],
    facts: &'a mut [f32],
}

impl Kernel for ScreenRow<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { row, rotated, bytes, facts } = self;
        let padded = padded_inputs(row.len());
        rotated.resize(padded, 0.0);
        // SAFETY: i8 and u8 have the same size, alignment and bits.
        let bytes = unsafe { std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast::<u8>(), bytes.len()) };
        let found = Quantise { row, rotated, bytes, steps: STEPS, offset: 0 }.run(lanes);
        let by = 1.0 / gain(padded);
        // TINY also for a row of zeros: 0 times the infinity of a batch row would not be a bound.
        let [length, residual] = [found.length, found.residual].map(|bound| bound * by + TINY);
        facts.copy_from_slice(&[found.scale * by, length, residual, found.sum, found.second * by]);
    }
}

/// W_enc in bytes, to where its owner keeps them: the bytes best on cache lines. See `KernelBackend.screen` in the contract.
pub fn screen(
    engine: &Engine,
    w_enc: &[f32],
    d_sae: usize,
    d_in: usize,
    out: ScreenedMut<'_>,
) -> Result<(), KernelError> {
    if d_in == 0 || d_sae == 0 {
        return Err(KernelError::option("dIn and dSae must be at least 1."));
    }
    let set = engine.instruction_set;
    expect_length("W_enc", w_enc.len(), &[d_sae, d_in])?;
    expect_length("screened.bytes", out.bytes.len(), &[d_sae, bytes_of_row(set, d_in)])?;
    expect_length("screened.facts", out.facts.len(), &[d_sae, N_FACTS])?;
    engine.install(|| {
        let blocks = w_enc.par_chunks(BLOCK * d_in).zip(out.par_chunks(set, BLOCK, d_in));
        blocks.for_each_init(Vec::new, |rotated, (rows, (bytes, facts))| {
            screen_rows(set, rows, d_in, rotated, bytes, facts);
        });
    });
    Ok(())
}

/// Rows of a task of `screen`.
const BLOCK: usize = 16;

/// Some weight rows to their bytes and facts. The buffer may hold anything.
pub(crate) fn screen_rows(
    set: InstructionSet,
    rows: &[f32],
    d_in: usize,
    rotated: &mut Vec<f32>,
    bytes: &mut [i8],
    facts: &mut [f32],
) {
    let out = bytes.chunks_exact_mut(bytes_of_row(set, d_in)).zip(facts.chunks_exact_mut(N_FACTS));
    for (row, (bytes, facts)) in rows.chunks_exact(d_in).zip(out) {
        set.run(ScreenRow { row, rotated, bytes, facts });
    }
}
