//! Errors of nested reconstructions, each of which adds a group of pairs to the one before.

use crate::decode::DecodeInput;
use crate::engine::Engine;
use crate::error::{KernelError, expect_length};
use crate::lanes::{Kernel, Lanes};
use crate::sums::{Rows, Term, add_weighted_sum, products_with_rows, squared_length};
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
    /// The groups from here on have had their turn: only the errors of those before it are made.
    pub end: Option<usize>,
}

/// What `nested_residuals` gives beside the residuals themselves; empty where there is an end.
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
        expect_length("residuals", residuals.len(), &[self.n_held(residuals), n_rows, d_out])?;
        expect_length("groups", self.groups.len(), &[self.decode.codes.values.len()])?;
        match self.groups.iter().max() {
            _ if n_groups == 0 => Err(KernelError::option("There is no group.")),
            _ if !(1..=n_groups).contains(&self.n_groups()) => {
                Err(KernelError::option(format!("The end is group {}.", self.n_groups())))
            }
            Some(&largest) if largest as usize >= n_groups => {
                Err(KernelError::option(format!("groups holds {largest}, but there are {n_groups} weights.")))
            }
            _ => Ok(()),
        }
    }

    /// Groups that take part.
    fn n_groups(&self) -> usize {
        self.end.unwrap_or(self.weights.len())
    }

    /// Groups whose errors are held, group g in place g modulo their number.
    fn n_held(&self, residuals: &[f32]) -> usize {
        let of_group = self.decode.codes.n_rows * self.decode.d_out;
        residuals.len().checked_div(of_group).unwrap_or(1).clamp(1, self.weights.len().max(1))
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
    /// Errors of a row by groups that are not held, and of the group behind the end.
    passing: Vec<f32>,
}

impl Scratch {
    fn sort(&mut self, groups: &[u8], latents: &[u32], n_groups: usize) {
        self.starts.clear();
        self.starts.resize(n_groups + 1, 0);
        for group in groups.iter().map(|&group| usize::from(group)).filter(|&group| group < n_groups) {
            self.starts[group + 1] += 1;
        }
        for group in 0..n_groups {
            self.starts[group + 1] += self.starts[group];
        }
        let mut ends = self.starts.clone();
        self.order.resize(self.starts[n_groups], 0);
        for (place, &group) in groups.iter().enumerate().filter(|&(_, &group)| usize::from(group) < n_groups)
        {
            self.order[ends[usize::from(group)]] = place;
            ends[usize::from(group)] += 1;
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
    /// Of each group that is held, in its place.
    held: &'b mut [&'a mut [f32]],
    /// Empty where there is an end, as the products are.
    squared_errors: &'b mut [f64],
    products: &'b mut [f32],
}

impl Kernel for NestedRow<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { input, row, scratch, held, squared_errors, products } = self;
        let NestedInput { decode: DecodeInput { codes, d_out, w_dec, b_dec }, .. } = input;
        let n_groups = input.n_groups();
        let pairs = codes.pairs_of(row);
        let of_pairs = &input.groups[pairs.clone()];
        scratch.sort(of_pairs, &codes.latent_indices[pairs.clone()], n_groups);
        let (values, matrix) = (&codes.values[pairs], Rows::new(w_dec, d_out));
        let target = &input.target[row * d_out..][..d_out];
        let (mut sum, mut passing) = (std::mem::take(&mut scratch.sum), std::mem::take(&mut scratch.passing));
        sum.clear();
        sum.resize(d_out, 0.0);
        if let Some(bias) = b_dec {
            sum.copy_from_slice(bias);
        }
        let end = input.end.filter(|&end| end < input.weights.len());
        let (after, mut errors) = errors_of_groups(n_groups, end, held, &mut passing, d_out);
        for (group, out) in errors.iter_mut().enumerate() {
            let Range { start, end } = scratch.group(group);
            let (latents, order) = (&scratch.latents[start..], &scratch.order[start..]);
            let term = |i: usize| Term { index: latents[i] as usize, factor: values[order[i]] };
            add_weighted_sum(lanes, end - start, latents.len(), term, matrix, &mut sum, |_| {});
            out.iter_mut().zip(&sum).zip(target).for_each(|((out, sum), target)| *out = sum - target);
            if let Some(squared_error) = squared_errors.get_mut(group) {
                *squared_error = squared_length(out);
            }
        }
        weigh(&mut errors, input.weights, after);
        if input.end.is_none() {
            let Scratch { order, latents, products: in_order, .. } = &mut *scratch;
            let vector = |i: usize| &*errors[usize::from(of_pairs[order[i]])];
            products_with_rows(lanes, vector, latents, matrix, in_order);
            for (&place, &product) in scratch.order.iter().zip(&scratch.products) {
                products[place] = product;
            }
        }
        (scratch.sum, scratch.passing) = (sum, passing);
    }
}

/// Where the errors of each group of a row go, and the weighted ones of the group behind the end: those of the last groups
/// are held, those of the others pass.
#[inline(always)]
fn errors_of_groups<'b>(
    n_groups: usize,
    end: Option<usize>,
    held: &'b mut [&mut [f32]],
    passing: &'b mut Vec<f32>,
    d_out: usize,
) -> (Option<&'b [f32]>, Vec<&'b mut [f32]>) {
    let n_held = held.len();
    let n_passing = n_groups.saturating_sub(n_held);
    passing.resize((n_passing + 1) * d_out, 0.0);
    let (after, passing) = passing.split_at_mut(d_out);
    // Its place is that of a group whose turn it is.
    let after = end.map(|end| {
        after.copy_from_slice(held[end % n_held]);
        &*after
    });
    let mut errors: Vec<_> = passing.chunks_exact_mut(d_out).take(n_passing).collect();
    let (wrapped, first) = held.split_at_mut(n_passing % n_held);
    let places = first.iter_mut().chain(wrapped).take(n_groups - n_passing);
    errors.extend(places.map(|row| &mut **row));
    (after, errors)
}

/// E_g = w_g e_g + E_{g+1} in place of e_g, from the last group backwards, which `after` comes after.
#[inline(always)]
fn weigh(errors: &mut [&mut [f32]], weights: &[f32], after: Option<&[f32]>) {
    for group in (0..errors.len()).rev() {
        let (before, later) = errors.split_at_mut(group + 1);
        let (error, weight) = (&mut *before[group], weights[group]);
        match later.first().map(|next| &**next).or(after) {
            Some(next) => error.iter_mut().zip(next).for_each(|(e, next)| *e = weight * *e + next),
            None => error.iter_mut().for_each(|e| *e *= weight),
        }
    }
}

/// Rows of a task.
const BLOCK: usize = 16;

/// A task's part of all results.
struct Block<'a> {
    /// Of each group that is held.
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
    let (n_rows, n_held) = (codes.n_rows, input.n_held(residuals));
    let of_row = if input.end.is_none() { input.weights.len() } else { 0 };
    let n_products = if input.end.is_none() { codes.values.len() } else { 0 };
    let mut errors =
        NestedErrors { squared_errors: vec![0.0; n_rows * of_row], products: vec![0.0; n_products] };
    if n_rows == 0 {
        return Ok(errors);
    }
    let (mut squares, mut rest) = (&mut errors.squared_errors[..], &mut errors.products[..]);
    let mut blocks: Vec<_> = (0..n_rows)
        .step_by(BLOCK)
        .map(|start| {
            let rows = start..n_rows.min(start + BLOCK);
            let pairs = codes.row_pointers[rows.end] - codes.row_pointers[rows.start];
            Block {
                residuals: Vec::with_capacity(n_held),
                squared_errors: split_off(&mut squares, rows.len() * of_row),
                products: split_off(&mut rest, (pairs as usize).min(n_products)),
            }
        })
        .collect();
    for of_group in residuals.chunks_exact_mut(n_rows * d_out) {
        for (block, piece) in blocks.iter_mut().zip(of_group.chunks_mut(BLOCK * d_out)) {
            block.residuals.push(piece);
        }
    }
    engine.install(|| {
        blocks.into_par_iter().enumerate().for_each_init(Scratch::default, |scratch, (i, block)| {
            let Block { residuals, mut squared_errors, mut products } = block;
            let mut residuals: Vec<_> =
                residuals.into_iter().map(|piece| piece.chunks_exact_mut(d_out)).collect();
            for row in i * BLOCK..n_rows.min((i + 1) * BLOCK) {
                let mut held: Vec<_> = residuals.iter_mut().filter_map(Iterator::next).collect();
                engine.instruction_set.run(NestedRow {
                    input,
                    row,
                    scratch,
                    held: &mut held,
                    squared_errors: split_off(&mut squared_errors, of_row),
                    products: split_off(&mut products, codes.pairs_of(row).len().min(n_products)),
                });
            }
        });
    });
    Ok(errors)
}

/// The first `n` elements; what is left are the others.
fn split_off<'a, T>(left: &mut &'a mut [T], n: usize) -> &'a mut [T] {
    let (first, others) = std::mem::take(left).split_at_mut(n);
    *left = others;
    first
}
