use crate::adam::{Adam, MeasureAlong, Moment, UpdateRow};
use crate::dense::AddTile;
use crate::engine::Engine;
use crate::error::{KernelError, expect_length};
use crate::instruction_set::InstructionSet;
use crate::lanes::{Kernel, Lanes};
use crate::screen::{ScreenedMut, screen_rows};
use crate::sums::{Rows, Term, add_weighted_sum};
use crate::transpose::CodesByLatentView;
use crate::traversal::{Tile, Traversal, Visitor};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A matrix `[d_sae, width]` that is never stored: row j is Σ over the pairs of latent j of coefficient · rows[b].
#[derive(Clone, Copy)]
pub struct SparseSum<'a> {
    pub by_latent: CodesByLatentView<'a>,
    /// `[nnz]`, in CSR order.
    pub coefficients: &'a [f32],
    /// `[n_rows, width]`
    pub rows: &'a [f32],
}

/// Multiples of the weights: part s of row j is factors[j, s] · weights[j].
#[derive(Clone, Copy)]
pub struct Pull<'a> {
    /// `[d_sae, parts]`
    pub factors: &'a [f32],
    /// Width of each part; they make up the row.
    pub parts: &'a [u32],
}

/// The gradient of a weight matrix: sparse sums, and then a pull.
#[derive(Clone, Copy)]
pub struct GradientInput<'a> {
    /// One or more, for as many latents each.
    pub sums: &'a [SparseSum<'a>],
    pub pull: Option<Pull<'a>>,
    pub width: usize,
    /// The part along the weight row is removed.
    pub unit_norm: bool,
    /// `[d_sae]`: not 0 of the latents whose rows take part; all when absent.
    pub mask: Option<&'a [u8]>,
}

impl GradientInput<'_> {
    fn check(&self) -> Result<(), KernelError> {
        if self.width == 0 {
            return Err(KernelError::option("width is 0."));
        }
        for SparseSum { by_latent, coefficients, rows } in self.sums {
            by_latent.check()?;
            if by_latent.d_sae != self.d_sae() {
                return Err(KernelError::shape(
                    "The sums of a gradient are for different numbers of latents.",
                ));
            }
            expect_length("coefficients", coefficients.len(), &[by_latent.row_indices.len()])?;
            expect_length("rows", rows.len(), &[by_latent.n_rows, self.width])?;
        }
        if let Some(mask) = self.mask {
            expect_length("mask", mask.len(), &[self.d_sae()])?;
        }
        let Some(Pull { factors, parts }) = self.pull else { return Ok(()) };
        if parts.iter().map(|&part| part as usize).sum::<usize>() != self.width {
            return Err(KernelError::shape("The parts of a pull do not make up the width."));
        }
        expect_length("factors", factors.len(), &[self.d_sae(), parts.len()])
    }

    fn d_sae(&self) -> usize {
        self.sums.first().map_or(0, |sum| sum.by_latent.d_sae)
    }

    fn takes_part(&self, latent: usize) -> bool {
        self.mask.is_none_or(|mask| mask[latent] != 0)
    }

    /// `[d_sae, width]`
    fn shape(&self) -> [usize; 2] {
        [self.d_sae(), self.width]
    }
}

/// Adam's moments, `[d_sae, width]` each. A u16 is the bits of a bf16.
pub enum Moments<'a> {
    F32(&'a mut [f32], &'a mut [f32]),
    Bf16(&'a mut [u16], &'a mut [u16]),
}

pub struct UpdateRowsInput<'a> {
    pub gradient: GradientInput<'a>,
    /// `[d_sae, width]`
    pub weights: &'a mut [f32],
    pub moments: Moments<'a>,
    /// The gradient is multiplied by it.
    pub gradient_scale: f32,
    pub adam: Adam,
    /// The weights in bytes: made again of each row while it is in cache.
    pub screened: Option<ScreenedMut<'a>>,
}

/// The weights and moments of a latent, fetched while its gradient is summed.
#[derive(Clone, Copy)]
struct Fetch {
    arrays: [*const f32; 3],
    /// Cache lines of each.
    lines: [usize; 3],
}

impl Fetch {
    fn of<M>(weights: &[f32], first: &[M], second: &[M]) -> Self {
        let lines = |bytes: usize| bytes.div_ceil(64);
        Self {
            arrays: [weights.as_ptr(), first.as_ptr().cast(), second.as_ptr().cast()],
            lines: [size_of_val(weights), size_of_val(first), size_of_val(second)].map(lines),
        }
    }

    /// The share of one of `n` terms.
    #[inline(always)]
    fn share<L: Lanes>(self, lanes: L, term: usize, n: usize) {
        for (array, lines) in self.arrays.into_iter().zip(self.lines) {
            for line in lines * term / n..lines * (term + 1) / n {
                lanes.prefetch(array.wrapping_add(16 * line));
            }
        }
    }
}

/// gradient += Σ coefficient · row, over some pairs of a latent.
struct AddPairs<'a> {
    pairs: Range<usize>,
    sum: SparseSum<'a>,
    gradient: &'a mut [f32],
    fetch: Option<Fetch>,
}

impl Kernel for AddPairs<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { pairs, sum: SparseSum { by_latent, coefficients, rows: matrix }, gradient, fetch } = self;
        let n = pairs.len();
        let rows = &by_latent.row_indices[pairs.start..];
        let pairs = &by_latent.pair_indices[pairs.start..];
        let term = |i: usize| Term { index: rows[i] as usize, factor: coefficients[pairs[i] as usize] };
        let matrix = Rows::new(matrix, gradient.len());
        match fetch {
            Some(fetch) => {
                let beside = |i: usize| fetch.share(lanes, i, n);
                add_weighted_sum(lanes, n, pairs.len(), term, matrix, gradient, beside);
            }
            None => add_weighted_sum(lanes, n, pairs.len(), term, matrix, gradient, |_| {}),
        }
    }
}

/// gradient += factors · weights, part by part.
struct AddPull<'a> {
    factors: &'a [f32],
    parts: &'a [u32],
    weights: &'a [f32],
    gradient: &'a mut [f32],
}

impl Kernel for AddPull<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { factors, parts, mut weights, mut gradient } = self;
        for (&factor, &part) in factors.iter().zip(parts) {
            let (row, rest) = weights.split_at(part as usize);
            let (out, out_rest) = gradient.split_at_mut(part as usize);
            for (out, row) in out.chunks_mut(L::WIDTH).zip(row.chunks(L::WIDTH)) {
                let sum = lanes.multiply_add(lanes.splat(factor), lanes.load_some(row), lanes.load_some(out));
                lanes.store_some(out, sum);
            }
            (weights, gradient) = (rest, out_rest);
        }
    }
}

/// How the gradients of a matrix are made: block after block of its rows.
struct Blocks<'a> {
    set: InstructionSet,
    input: GradientInput<'a>,
    /// Of each sum.
    traversals: Vec<Traversal>,
    /// Rows of a block.
    n_latents: usize,
}

impl<'a> Blocks<'a> {
    fn of(engine: &Engine, input: GradientInput<'a>) -> Self {
        let traversal = |sum: &SparseSum<'_>| {
            let CodesByLatentView { n_rows, d_sae, row_indices, .. } = sum.by_latent;
            Traversal::of(d_sae, n_rows, row_indices.len(), 4 * input.width)
        };
        let traversals: Vec<_> = input.sums.iter().map(traversal).collect();
        let n_latents = traversals.iter().map(|traversal| traversal.block).max().unwrap_or(1);
        Self { set: engine.instruction_set, input, traversals, n_latents }
    }

    /// Elements of a block.
    fn size(&self) -> usize {
        self.n_latents * self.input.width
    }

    /// The gradients of some latents, into a buffer that stays in cache; those of latents that take no part are undefined.
    fn sum(
        &self,
        latents: Range<usize>,
        weights: &[f32],
        gradients: &mut Vec<f32>,
        mut fetch: Option<Fetch>,
    ) {
        let GradientInput { sums, pull, width, .. } = self.input;
        gradients.clear();
        gradients.resize(latents.len() * width, 0.0);
        for (&sum, traversal) in sums.iter().zip(&self.traversals) {
            let CodesByLatentView { latent_pointers, row_indices, .. } = sum.by_latent;
            let first = latents.start;
            let mut summing = Summing { blocks: self, sum, first, gradients, fetch: fetch.take() };
            traversal.walk(latents.clone(), latent_pointers, row_indices, &mut summing);
        }
        let Some(Pull { factors, parts }) = pull else { return };
        let rows = gradients.chunks_exact_mut(width).zip(weights.chunks_exact(width));
        for ((gradient, weights), factors) in
            rows.zip(factors[latents.start * parts.len()..].chunks(parts.len()))
        {
            self.set.run(AddPull { factors, parts, weights, gradient });
        }
    }
}

/// Adds the pairs of a block to its gradients.
struct Summing<'a> {
    blocks: &'a Blocks<'a>,
    sum: SparseSum<'a>,
    /// First latent of the block.
    first: usize,
    gradients: &'a mut [f32],
    fetch: Option<Fetch>,
}

impl Visitor for Summing<'_> {
    fn line(&mut self, latent: usize, pairs: Range<usize>) {
        let Blocks { set, input, .. } = self.blocks;
        if !input.takes_part(latent) {
            return;
        }
        let gradient = &mut self.gradients[(latent - self.first) * input.width..][..input.width];
        set.run(AddPairs { pairs, sum: self.sum, gradient, fetch: self.fetch });
    }

    fn tile(&mut self, tile: &Tile<'_>) {
        let SparseSum { by_latent, coefficients, rows } = self.sum;
        let factor = |pair: usize| coefficients[by_latent.pair_indices[pair] as usize];
        AddTile { tile, factor, matrix: rows, out: self.gradients }.run_on(self.blocks.set);
    }
}

/// One Adam step on every row of a weight matrix, each weight and moment read and written once.
///
/// A task is a block of latents: their gradients are summed into a buffer that stays in cache, then each row is
/// stepped. Tasks go to whichever thread is free, so a latent with many pairs holds up no other.
pub fn update_rows(engine: &Engine, input: UpdateRowsInput<'_>) -> Result<(), KernelError> {
    let UpdateRowsInput { gradient, weights, moments, gradient_scale, adam, screened } = input;
    gradient.check()?;
    expect_length("weights", weights.len(), &gradient.shape())?;
    if let Some(screened) = &screened {
        if gradient.mask.is_some() {
            return Err(KernelError::option("Bytes are made again of all latents, not of some."));
        }
        screened.check(engine.instruction_set, gradient.d_sae(), gradient.width)?;
    }
    let step = Update { blocks: Blocks::of(engine, gradient), weights, gradient_scale, adam, screened };
    match moments {
        Moments::F32(first, second) => step.run(engine, first, second),
        Moments::Bf16(first, second) => step.run(engine, first, second),
    }
}

struct Update<'a> {
    blocks: Blocks<'a>,
    weights: &'a mut [f32],
    gradient_scale: f32,
    adam: Adam,
    screened: Option<ScreenedMut<'a>>,
}

impl Update<'_> {
    fn run<M: Moment>(self, engine: &Engine, first: &mut [M], second: &mut [M]) -> Result<(), KernelError> {
        let Self { blocks, weights, gradient_scale, adam, screened } = self;
        let GradientInput { width, unit_norm, .. } = blocks.input;
        expect_length("firstMoments", first.len(), &blocks.input.shape())?;
        expect_length("secondMoments", second.len(), &blocks.input.shape())?;
        let not_finite = AtomicUsize::new(usize::MAX);
        let step = |gradients: &mut Vec<f32>, start: usize, weights: &mut [f32], m: &mut [M], v: &mut [M]| {
            let latents = start..start + weights.len() / width;
            let fetch = (latents.len() == 1).then(|| Fetch::of(weights, m, v));
            blocks.sum(latents.clone(), weights, gradients, fetch);
            let moments = m.chunks_exact_mut(width).zip(v.chunks_exact_mut(width));
            let rows = gradients.chunks_exact(width).zip(weights.chunks_exact_mut(width)).zip(moments);
            let taking_part = latents.zip(rows).filter(|(latent, _)| blocks.input.takes_part(*latent));
            for (latent, ((gradient, weights), (first_moments, second_moments))) in taking_part {
                let square = blocks.set.run(UpdateRow {
                    latent,
                    gradient,
                    weights,
                    first_moments,
                    second_moments,
                    unit_norm,
                    gradient_scale,
                    adam,
                });
                if !square.is_finite() {
                    not_finite.fetch_min(latent, Relaxed);
                }
            }
        };
        let (size, n_latents) = (blocks.size(), blocks.n_latents);
        let screened = screened.unwrap_or_default().par_chunks(blocks.set, n_latents, width);
        // Past the latents that are screened there are no bytes to be made.
        let unscreened =
            (screened.len()..weights.len().div_ceil(size)).into_par_iter().map(|_| Default::default());
        let screened = screened.chain(unscreened);
        engine.install(|| {
            let moments = first.par_chunks_mut(size).zip(second.par_chunks_mut(size));
            let parts = weights.par_chunks_mut(size).zip(moments).zip(screened).enumerate();
            parts.for_each_init(Vec::new, |buffer, (block, ((weights, (m, v)), (bytes, facts)))| {
                step(buffer, block * n_latents, weights, m, v);
                screen_rows(blocks.set, weights, width, buffer, bytes, facts);
            });
        });
        match not_finite.into_inner() {
            usize::MAX => Ok(()),
            latent => Err(KernelError::not_finite(format!(
                "The weights of latent {latent} are not finite after the update, or too large to have a length."
            ))),
        }
    }
}

/// Σ of the squares of all elements of a gradient, as `update_rows` would use it. The first pass of clipping.
pub fn squared_gradient_norm(
    engine: &Engine,
    input: GradientInput<'_>,
    weights: &[f32],
) -> Result<f64, KernelError> {
    input.check()?;
    expect_length("weights", weights.len(), &input.shape())?;
    let blocks = Blocks::of(engine, input);
    let (width, size) = (input.width, blocks.size());
    let mut squares = vec![0.0f64; input.d_sae()];
    engine.install(|| {
        let parts = weights.par_chunks(size).zip(squares.par_chunks_mut(blocks.n_latents)).enumerate();
        parts.for_each_init(Vec::new, |gradients, (block, (weights, squares))| {
            let start = block * blocks.n_latents;
            let latents = start..start + squares.len();
            blocks.sum(latents.clone(), weights, gradients, None);
            let rows = gradients.chunks_exact(width).zip(weights.chunks_exact(width)).zip(squares);
            for (_, ((gradient, weights), square)) in
                latents.zip(rows).filter(|(latent, _)| input.takes_part(*latent))
            {
                let along = blocks.set.run(MeasureAlong { gradient, weights });
                *square = f64::from(if input.unit_norm { along.across } else { along.gradient });
            }
        });
    });
    // One by one, so that the sum is the same for any number of threads.
    Ok(squares.iter().sum())
}
