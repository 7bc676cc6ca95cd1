//! Errors of nested reconstructions, each of which adds a group of pairs to the one before.

use crate::decode::DecodeInput;
use crate::engine::Engine;
use crate::error::{KernelError, expect_length};
use crate::lanes::{Kernel, Lanes};
use crate::sums::{Rows, Term, add_weighted_sum, products_with_rows};
use rayon::prelude::*;
use std::ops::Range;

#[derive(Clone, Copy)]
pub struct NestedInput<'a> {
    pub decode: DecodeInput<'a>,
    /// `[n_rows, d_out]`
    pub target: &'a [f32],
    /// `[nnz]`: the group of each pair.
    pub groups: &'a [u8],
    /// Of every group.
    pub weights: &'a [f32],
}

/// What `nested_residuals` gives beside the residuals themselves.
#[derive(Debug)]
pub struct NestedErrors {
    /// `[n_rows, groups]`
    pub squared_errors: Vec<f64>,
    /// `[nnz]`
    pub products: Vec<f32>,
}

impl NestedInput<'_> {
    fn check(&self, residuals: &[f32]) -> Result<(), KernelError> {
        self.decode.check()?;
        let (n_rows, d_out, n_groups) = (self.decode.codes.n_rows, self.decode.d_out, self.weights.len());
        expect_length("target", self.target.len(), &[n_rows, d_out])?;
        expect_length("residuals", residuals.len(), &[n_groups, n_rows, d_out])?;
        expect_length("groups", self.groups.len(), &[self.decode.codes.values.len()])?;
        match self.groups.iter().max() {
            _ if n_groups == 0 => Err(KernelError::option("There is no group.")),
            Some(&largest) if largest as usize >= n_groups => {
                Err(KernelError::option(format!("groups holds {largest}, but there are {n_groups} weights.")))
            }
            _ => Ok(()),
        }
    }
}

/// Buffers of one task: the pairs of a row, group by group.
#[derive(Default)]
struct Scratch {
    /// Where each group starts, and the end of the last.
    starts: Vec<usize>,
    /// Places in the row.
    order: Vec<usize>,
    latents: Vec<u32>,
    products: Vec<f32>,
    sum: Vec<f32>,
}

impl Scratch {
    fn sort(&mut self, groups: &[u8], latents: &[u32], n_groups: usize) {
        self.starts.clear();
        self.starts.resize(n_groups + 1, 0);
        for &group in groups {
            self.starts[usize::from(group) + 1] += 1;
        }
        for group in 0..n_groups {
            self.starts[group + 1] += self.starts[group];
        }
        self.order.clear();
        for group in 0..n_groups {
            // Of few groups: a row has a handful of them, as a rule ascending.
            let range = self.starts[group]..self.starts[group + 1];
            let places = groups.iter().enumerate().filter(|(_, of_pair)| usize::from(**of_pair) == group);
            self.order.extend(places.map(|(place, _)| place).take(range.len()));
        }
        self.latents.clear();
        self.latents.extend(self.order.iter().map(|&place| latents[place]));
        self.products.clear();
        self.products.resize(self.order.len(), 0.0);
    }

    fn group(&self, group: usize) -> Range<usize> {
        self.starts[group]..self.starts[group + 1]
    }
}

/// One row of a batch.
struct NestedRow<'a, 'b> {
    input: NestedInput<'a>,
    row: usize,
    scratch: &'b mut Scratch,
    /// Of each group.
    residuals: &'b mut [&'a mut [f32]],
    squared_errors: &'b mut [f64],
    products: &'b mut [f32],
}

impl Kernel for NestedRow<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { input, row, scratch, residuals, squared_errors, products } = self;
        let NestedInput { decode: DecodeInput { codes, d_out, w_dec, b_dec }, .. } = input;
        let pairs = codes.pairs_of(row);
        scratch.sort(&input.groups[pairs.clone()], &codes.latent_indices[pairs.clone()], residuals.len());
        let (values, matrix) = (&codes.values[pairs], Rows::new(w_dec, d_out));
        let target = &input.target[row * d_out..][..d_out];
        let mut sum = std::mem::take(&mut scratch.sum);
        sum.clear();
        sum.resize(d_out, 0.0);
        if let Some(bias) = b_dec {
            sum.copy_from_slice(bias);
        }
        for (group, (out, square)) in residuals.iter_mut().zip(squared_errors).enumerate() {
            let range = scratch.group(group);
            let (latents, order) = (&scratch.latents[range.clone()], &scratch.order[range]);
            let term = |i: usize| Term { index: latents[i] as usize, factor: values[order[i]] };
            add_weighted_sum(lanes, latents.len(), term, matrix, &mut sum, |_| {});
            *square = difference(&sum, target, out);
        }
        scratch.sum = sum;
        weigh(residuals, input.weights);
        for (group, vector) in residuals.iter().enumerate() {
            let range = scratch.group(group);
            let latents = &scratch.latents[range.clone()];
            products_with_rows(lanes, vector, latents, matrix, &mut scratch.products[range]);
        }
        for (&place, &product) in scratch.order.iter().zip(&scratch.products) {
            products[place] = product;
        }
    }
}

/// out = a − b; gives its squared length.
#[inline(always)]
fn difference(a: &[f32], b: &[f32], out: &mut [f32]) -> f64 {
    let mut sums = [0.0f64; 8];
    for ((a, b), out) in a.chunks(8).zip(b.chunks(8)).zip(out.chunks_mut(8)) {
        for (((a, b), out), sum) in a.iter().zip(b).zip(out).zip(&mut sums) {
            *out = a - b;
            *sum += f64::from(*out) * f64::from(*out);
        }
    }
    sums.iter().sum()
}

/// E_g = w_g e_g + E_{g+1} in place of e_g, from the last group backwards.
#[inline(always)]
fn weigh(errors: &mut [&mut [f32]], weights: &[f32]) {
    for group in (0..errors.len()).rev() {
        let (before, after) = errors.split_at_mut(group + 1);
        let (error, weight) = (&mut *before[group], weights[group]);
        match after.first() {
            Some(next) => error.iter_mut().zip(next.iter()).for_each(|(e, next)| *e = weight * *e + next),
            None => error.iter_mut().for_each(|e| *e *= weight),
        }
    }
}

/// Rows of a task.
const BLOCK: usize = 16;

/// A task's part of all results.
struct Block<'a> {
    residuals: Vec<&'a mut [f32]>,
    squared_errors: &'a mut [f64],
    products: &'a mut [f32],
}

/// See `KernelBackend.nestedResiduals` in the contract.
pub fn nested_residuals(
    engine: &Engine,
    input: NestedInput<'_>,
    residuals: &mut [f32],
) -> Result<NestedErrors, KernelError> {
    input.check(residuals)?;
    let DecodeInput { codes, d_out, .. } = input.decode;
    let (n_rows, n_groups) = (codes.n_rows, input.weights.len());
    let mut errors = NestedErrors {
        squared_errors: vec![0.0; n_rows * n_groups],
        products: vec![0.0; codes.values.len()],
    };
    if n_rows == 0 {
        return Ok(errors);
    }
    let mut rest = &mut errors.products[..];
    let mut blocks: Vec<_> = (errors.squared_errors.chunks_mut(BLOCK * n_groups).enumerate())
        .map(|(block, squared_errors)| {
            let rows = block * BLOCK..n_rows.min((block + 1) * BLOCK);
            let n = codes.row_pointers[rows.end] - codes.row_pointers[rows.start];
            let (products, after) = std::mem::take(&mut rest).split_at_mut(n as usize);
            rest = after;
            Block { residuals: Vec::with_capacity(n_groups), squared_errors, products }
        })
        .collect();
    for of_group in residuals.chunks_exact_mut(n_rows * d_out) {
        for (block, piece) in blocks.iter_mut().zip(of_group.chunks_mut(BLOCK * d_out)) {
            block.residuals.push(piece);
        }
    }
    engine.install(|| {
        blocks.into_par_iter().enumerate().for_each_init(Scratch::default, |scratch, (i, block)| {
            let Block { residuals, squared_errors, mut products } = block;
            let mut residuals: Vec<_> =
                residuals.into_iter().map(|piece| piece.chunks_exact_mut(d_out)).collect();
            for (row, squared_errors) in (i * BLOCK..).zip(squared_errors.chunks_exact_mut(n_groups)) {
                let (of_row, after) = products.split_at_mut(codes.pairs_of(row).len());
                products = after;
                let mut residuals: Vec<_> = residuals.iter_mut().filter_map(Iterator::next).collect();
                let residuals = &mut residuals[..];
                engine.instruction_set.run(NestedRow {
                    input,
                    row,
                    scratch,
                    residuals,
                    squared_errors,
                    products: of_row,
                });
            }
        });
    });
    Ok(errors)
}
