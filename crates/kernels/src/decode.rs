use crate::codes::CodesView;
use crate::dense::{AddTile, TileProducts};
use crate::engine::Engine;
use crate::error::{KernelError, expect_length};
use crate::instruction_set::InstructionSet;
use crate::lanes::{Kernel, Lanes};
use crate::sums::{Rows, Term, add_weighted_sum, products_with_rows, squared_length};
use crate::traversal::{Tile, Traversal, Visitor};
use rayon::prelude::*;
use std::ops::Range;

#[derive(Clone, Copy)]
pub struct DecodeInput<'a> {
    pub codes: CodesView<'a>,
    pub d_out: usize,
    /// `[d_sae, d_out]`
    pub w_dec: &'a [f32],
    /// `[d_out]`; zero when absent.
    pub b_dec: Option<&'a [f32]>,
}

impl DecodeInput<'_> {
    pub(crate) fn check(&self) -> Result<(), KernelError> {
        if self.d_out == 0 {
            return Err(KernelError::option("dOut is 0."));
        }
        self.codes.check()?;
        expect_length("W_dec", self.w_dec.len(), &[self.codes.d_sae, self.d_out])?;
        self.b_dec.map_or(Ok(()), |bias| expect_length("b_dec", bias.len(), &[self.d_out]))
    }

    fn traversal(&self) -> Traversal {
        let CodesView { n_rows, d_sae, values, .. } = self.codes;
        Traversal::of(n_rows, d_sae, values.len(), 4 * self.d_out)
    }
}

/// What `residuals` gives beside the residuals themselves.
#[derive(Debug)]
pub struct Errors {
    /// `[n_rows]`
    pub squared_errors: Vec<f64>,
    /// `[nnz]`
    pub products: Vec<f32>,
}

/// out += Σ codes[b, j] · W_dec[j], over some pairs of a row.
struct AddPairs<'a> {
    input: &'a DecodeInput<'a>,
    pairs: Range<usize>,
    out: &'a mut [f32],
}

impl Kernel for AddPairs<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { input, pairs, out } = self;
        let n = pairs.len();
        let (latents, values) =
            (&input.codes.latent_indices[pairs.start..], &input.codes.values[pairs.start..]);
        let term = |i: usize| Term { index: latents[i] as usize, factor: values[i] };
        let rows = Rows::new(input.w_dec, input.d_out);
        add_weighted_sum(lanes, n, values.len(), term, rows, out, |_| {});
    }
}

/// ⟨vector, W_dec[j]⟩ for some pairs of a row.
struct Products<'a> {
    vector: &'a [f32],
    latents: &'a [u32],
    w_dec: &'a [f32],
    products: &'a mut [f32],
}

impl Kernel for Products<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let rows = Rows::new(self.w_dec, self.vector.len());
        products_with_rows(lanes, |_| self.vector, self.latents, rows, self.products);
    }
}

/// x̂[b] − target[b] in place of x̂[b]; gives its squared length.
struct SubtractTarget<'a> {
    target: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for SubtractTarget<'_> {
    type Output = f64;
    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) -> f64 {
        self.out.iter_mut().zip(self.target).for_each(|(x, target)| *x -= target);
        squared_length(self.out)
    }
}

/// Some consecutive rows of a batch, the work of one task.
struct Block<'a> {
    set: InstructionSet,
    input: &'a DecodeInput<'a>,
    traversal: Traversal,
    rows: Range<usize>,
}

impl Block<'_> {
    /// Where a row of the block is in an array `[rows, d_out]`.
    fn place(&self, row: usize) -> Range<usize> {
        let start = (row - self.rows.start) * self.input.d_out;
        start..start + self.input.d_out
    }

    fn decode(&self, out: &mut [f32]) {
        match self.input.b_dec {
            Some(bias) => out.chunks_exact_mut(bias.len()).for_each(|row| row.copy_from_slice(bias)),
            None => out.fill(0.0),
        }
        self.walk(&mut Decoding { block: self, out });
    }

    fn products(&self, vectors: &[f32], products: &mut [f32]) {
        self.walk(&mut Multiplying { block: self, vectors, products });
    }

    fn walk(&self, visitor: &mut impl Visitor) {
        let CodesView { row_pointers, latent_indices, .. } = self.input.codes;
        self.traversal.walk(self.rows.clone(), row_pointers, latent_indices, visitor);
    }
}

/// Adds the pairs of a block to its part of x̂.
struct Decoding<'a> {
    block: &'a Block<'a>,
    out: &'a mut [f32],
}

impl Visitor for Decoding<'_> {
    fn line(&mut self, row: usize, pairs: Range<usize>) {
        let Block { set, input, .. } = *self.block;
        set.run(AddPairs { input, pairs, out: &mut self.out[self.block.place(row)] });
    }

    fn tile(&mut self, tile: &Tile<'_>) {
        let Block { set, input, .. } = *self.block;
        let factor = |pair: usize| input.codes.values[pair];
        AddTile { tile, factor, matrix: input.w_dec, out: self.out }.run_on(set);
    }
}

/// Products of the pairs of a block.
struct Multiplying<'a> {
    block: &'a Block<'a>,
    vectors: &'a [f32],
    products: &'a mut [f32],
}

impl Multiplying<'_> {
    fn first_pair(&self) -> usize {
        self.block.input.codes.row_pointers[self.block.rows.start] as usize
    }
}

impl Visitor for Multiplying<'_> {
    fn line(&mut self, row: usize, pairs: Range<usize>) {
        let Block { set, input, .. } = *self.block;
        let first = self.first_pair();
        set.run(Products {
            vector: &self.vectors[self.block.place(row)],
            latents: &input.codes.latent_indices[pairs.clone()],
            w_dec: input.w_dec,
            products: &mut self.products[pairs.start - first..pairs.end - first],
        });
    }

    fn tile(&mut self, tile: &Tile<'_>) {
        let Block { set, input, .. } = *self.block;
        let task = TileProducts {
            tile,
            vectors: self.vectors,
            matrix: input.w_dec,
            first_pair: self.first_pair(),
            products: self.products,
        };
        task.run_on(set);
    }
}

/// All blocks of a batch, with the pieces of an array `[nnz]` that belong to them.
fn blocks<'a, 'b>(
    engine: &Engine,
    input: &'a DecodeInput<'a>,
    mut of_pairs: &'b mut [f32],
) -> Vec<(Block<'a>, &'b mut [f32])> {
    let traversal = input.traversal();
    let n_rows = input.codes.n_rows;
    (0..n_rows)
        .step_by(traversal.block)
        .map(|start| {
            let rows = start..n_rows.min(start + traversal.block);
            let n_pairs = (input.codes.row_pointers[rows.end] - input.codes.row_pointers[start]) as usize;
            let n_pairs = n_pairs.min(of_pairs.len());
            let (piece, rest) = std::mem::take(&mut of_pairs).split_at_mut(n_pairs);
            of_pairs = rest;
            (Block { set: engine.instruction_set, input, traversal, rows }, piece)
        })
        .collect()
}

pub fn decode(engine: &Engine, input: &DecodeInput<'_>) -> Result<Vec<f32>, KernelError> {
    input.check()?;
    let mut out = vec![0.0; input.codes.n_rows * input.d_out];
    engine.install(|| {
        let blocks = blocks(engine, input, &mut []);
        let outs = out.par_chunks_mut(input.traversal().block * input.d_out);
        blocks.into_par_iter().zip(outs).for_each(|((block, _), out)| block.decode(out));
    });
    Ok(out)
}

/// ⟨rows[b], W_dec[j]⟩ of every kept pair.
pub fn sampled_products(
    engine: &Engine,
    input: &DecodeInput<'_>,
    rows: &[f32],
) -> Result<Vec<f32>, KernelError> {
    input.check()?;
    expect_length("rows", rows.len(), &[input.codes.n_rows, input.d_out])?;
    let mut products = vec![0.0; input.codes.values.len()];
    engine.install(|| {
        let blocks = blocks(engine, input, &mut products);
        let vectors = rows.par_chunks(input.traversal().block * input.d_out);
        blocks
            .into_par_iter()
            .zip(vectors)
            .for_each(|((block, products), vectors)| block.products(vectors, products));
    });
    Ok(products)
}

/// `decode`, the difference from `target` and its `sampled_products`, block by block: the decoder rows of a row are
/// still in cache when the products need them. The differences go to `residuals`, `[n_rows, d_out]`, which hold the target
/// where it is absent.
pub fn residuals(
    engine: &Engine,
    input: &DecodeInput<'_>,
    target: Option<&[f32]>,
    residuals: &mut [f32],
) -> Result<Errors, KernelError> {
    input.check()?;
    let n_rows = input.codes.n_rows;
    target.map_or(Ok(()), |target| expect_length("target", target.len(), &[n_rows, input.d_out]))?;
    expect_length("residuals", residuals.len(), &[n_rows, input.d_out])?;
    let mut squared_errors = vec![0.0; n_rows];
    let mut products = vec![0.0; input.codes.values.len()];
    engine.install(|| {
        let block = input.traversal().block;
        let outs = residuals.par_chunks_mut(block * input.d_out).zip(squared_errors.par_chunks_mut(block));
        let blocks = blocks(engine, input, &mut products).into_par_iter();
        blocks.zip(outs).for_each_init(Vec::new, |held, ((block, products), (out, errors))| {
            let target = match target {
                Some(target) => &target[block.rows.start * input.d_out..][..out.len()],
                None => {
                    held.clear();
                    held.extend_from_slice(out);
                    held
                }
            };
            block.decode(out);
            let rows = out.chunks_exact_mut(input.d_out).zip(target.chunks_exact(input.d_out));
            for ((out, target), error) in rows.zip(errors) {
                *error = engine.instruction_set.run(SubtractTarget { target, out });
            }
            block.products(out, products);
        });
    });
    Ok(Errors { squared_errors, products })
}
