use crate::engine::Engine;
use crate::error::{KernelError, expect_length};
use crate::lanes::{Kernel, Lanes};
use crate::sums::{Rows, Term, add_weighted_sum};
use crate::transpose::CodesByLatentView;
use crate::traversal::Traversal;
use rayon::prelude::*;
use std::ops::Range;

/// Adam's options, with the factors that depend on the step already worked out.
#[derive(Debug, Clone, Copy)]
pub struct Adam {
    pub beta1: f32,
    pub beta2: f32,
    pub epsilon: f32,
    /// lr / (1 − β₁^t)
    step_size: f32,
    /// 1 / (1 − β₂^t)
    correction2: f32,
    one_minus_beta1: f32,
    one_minus_beta2: f32,
}

impl Adam {
    /// `step` is 1 for the first update.
    pub fn new(learning_rate: f64, beta1: f64, beta2: f64, epsilon: f64, step: f64) -> Self {
        Self {
            beta1: beta1 as f32,
            beta2: beta2 as f32,
            epsilon: epsilon as f32,
            step_size: (learning_rate / (1.0 - beta1.powf(step))) as f32,
            correction2: (1.0 / (1.0 - beta2.powf(step))) as f32,
            one_minus_beta1: (1.0 - beta1) as f32,
            one_minus_beta2: (1.0 - beta2) as f32,
        }
    }
}

pub struct UpdateRowsInput<'a> {
    pub by_latent: CodesByLatentView<'a>,
    pub width: usize,
    /// `[nnz]`, in CSR order.
    pub coefficients: &'a [f32],
    /// `[n_rows, width]`
    pub rows: &'a [f32],
    /// `[d_sae, width]`, as are both moments.
    pub weights: &'a mut [f32],
    pub first_moments: &'a mut [f32],
    pub second_moments: &'a mut [f32],
    pub unit_norm: bool,
    pub adam: Adam,
}

impl UpdateRowsInput<'_> {
    fn check(&self) -> Result<(), KernelError> {
        if self.width == 0 {
            return Err(KernelError::option("width is 0."));
        }
        self.by_latent.check()?;
        let shape = [self.by_latent.d_sae, self.width];
        expect_length("coefficients", self.coefficients.len(), &[self.by_latent.row_indices.len()])?;
        expect_length("rows", self.rows.len(), &[self.by_latent.n_rows, self.width])?;
        expect_length("weights", self.weights.len(), &shape)?;
        expect_length("firstMoments", self.first_moments.len(), &shape)?;
        expect_length("secondMoments", self.second_moments.len(), &shape)
    }
}

/// The weight row of one latent, with its moments and its gradient.
struct UpdateRow<'a> {
    gradient: &'a [f32],
    weights: &'a mut [f32],
    first_moments: &'a mut [f32],
    second_moments: &'a mut [f32],
    unit_norm: bool,
    adam: Adam,
}

/// ⟨a, b⟩ and ‖b‖².
#[inline(always)]
fn product_and_square<L: Lanes>(lanes: L, a: &[f32], b: &[f32]) -> (f32, f32) {
    let mut products = lanes.splat(0.0);
    let mut squares = lanes.splat(0.0);
    for (a, b) in a.chunks(L::WIDTH).zip(b.chunks(L::WIDTH)) {
        let (a, b) = (load(lanes, a), load(lanes, b));
        products = lanes.multiply_add(a, b, products);
        squares = lanes.multiply_add(b, b, squares);
    }
    (lanes.sum(products), lanes.sum(squares))
}

#[inline(always)]
fn load<L: Lanes>(lanes: L, from: &[f32]) -> L::Vector {
    if from.len() >= L::WIDTH { lanes.load_slice(from) } else { lanes.load_part(from) }
}

#[inline(always)]
fn store<L: Lanes>(lanes: L, to: &mut [f32], vector: L::Vector) {
    if to.len() >= L::WIDTH { lanes.store_slice(to, vector) } else { lanes.store_part(to, vector) }
}

impl Kernel for UpdateRow<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let adam = self.adam;
        // What is removed of the gradient is `along · w`.
        let along = if self.unit_norm {
            let (product, square) = product_and_square(lanes, self.gradient, self.weights);
            if square > 0.0 { product / square } else { 0.0 }
        } else {
            0.0
        };
        let mut squares = lanes.splat(0.0);
        let pieces = self
            .gradient
            .chunks(L::WIDTH)
            .zip(self.weights.chunks_mut(L::WIDTH))
            .zip(self.first_moments.chunks_mut(L::WIDTH).zip(self.second_moments.chunks_mut(L::WIDTH)));
        for ((gradient, weights), (first, second)) in pieces {
            let weight = load(lanes, weights);
            let g = lanes.multiply_add(lanes.splat(-along), weight, load(lanes, gradient));
            let m = lanes.multiply_add(
                lanes.splat(adam.beta1),
                load(lanes, first),
                lanes.multiply(lanes.splat(adam.one_minus_beta1), g),
            );
            let v = lanes.multiply_add(
                lanes.splat(adam.beta2),
                load(lanes, second),
                lanes.multiply(lanes.multiply(lanes.splat(adam.one_minus_beta2), g), g),
            );
            let root = lanes.square_root(lanes.multiply(v, lanes.splat(adam.correction2)));
            let denominator = lanes.add(root, lanes.splat(adam.epsilon));
            let change = lanes.divide(lanes.multiply(m, lanes.splat(adam.step_size)), denominator);
            let weight = lanes.subtract(weight, change);
            // Lanes past the row's end hold 0 in every array; with ε 0 they would be 0/0, and only full ones count.
            if weights.len() >= L::WIDTH {
                squares = lanes.multiply_add(weight, weight, squares);
            }
            store(lanes, first, m);
            store(lanes, second, v);
            store(lanes, weights, weight);
        }
        if self.unit_norm {
            let tail = self.weights.chunks_exact(L::WIDTH).remainder();
            let square = lanes.sum(squares) + tail.iter().map(|w| w * w).sum::<f32>();
            if square > 0.0 {
                scale(lanes, self.weights, 1.0 / square.sqrt());
            }
        }
    }
}

#[inline(always)]
fn scale<L: Lanes>(lanes: L, row: &mut [f32], factor: f32) {
    for piece in row.chunks_mut(L::WIDTH) {
        let scaled = lanes.multiply(load(lanes, piece), lanes.splat(factor));
        store(lanes, piece, scaled);
    }
}

/// gradient += Σ coefficient · row, over some pairs of a latent.
struct AddPairs<'a> {
    pairs: Range<usize>,
    by_latent: CodesByLatentView<'a>,
    coefficients: &'a [f32],
    rows: &'a [f32],
    gradient: &'a mut [f32],
}

impl Kernel for AddPairs<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let rows = &self.by_latent.row_indices[self.pairs.clone()];
        let pairs = &self.by_latent.pair_indices[self.pairs];
        let term = |i: usize| Term { index: rows[i] as usize, factor: self.coefficients[pairs[i] as usize] };
        let width = self.gradient.len();
        add_weighted_sum(lanes, rows.len(), term, Rows::new(self.rows, width), self.gradient);
    }
}

/// One Adam step on every row of a weight matrix, each weight and moment read and written once.
///
/// A task is a block of latents: their gradients are summed into a buffer that stays in cache, then each row is
/// stepped. Tasks go to whichever thread is free, so a latent with many pairs holds up no other.
pub fn update_rows(engine: &Engine, input: UpdateRowsInput<'_>) -> Result<(), KernelError> {
    input.check()?;
    let UpdateRowsInput { by_latent, width, coefficients, rows, unit_norm, adam, .. } = input;
    let CodesByLatentView { n_rows, d_sae, latent_pointers, row_indices, .. } = by_latent;
    let traversal = Traversal::of(d_sae, n_rows, row_indices.len(), 4 * width);
    let set = engine.instruction_set;
    let size = traversal.block * width;
    let step = |gradients: &mut Vec<f32>, first: usize, weights: &mut [f32], m: &mut [f32], v: &mut [f32]| {
        gradients.clear();
        gradients.resize(weights.len(), 0.0);
        let latents = first..first + weights.len() / width;
        traversal.walk(latents, latent_pointers, row_indices, |latent, pairs| {
            let gradient = &mut gradients[(latent - first) * width..][..width];
            set.run(AddPairs { pairs, by_latent, coefficients, rows, gradient });
        });
        let moments = m.chunks_exact_mut(width).zip(v.chunks_exact_mut(width));
        let updates = gradients.chunks_exact(width).zip(weights.chunks_exact_mut(width)).zip(moments);
        for ((gradient, weights), (first_moments, second_moments)) in updates {
            set.run(UpdateRow { gradient, weights, first_moments, second_moments, unit_norm, adam });
        }
    };
    engine.install(|| {
        let weights = input.weights.par_chunks_mut(size);
        let moments = input.first_moments.par_chunks_mut(size).zip(input.second_moments.par_chunks_mut(size));
        weights.zip(moments).enumerate().for_each_init(Vec::new, |gradients, (block, (weights, (m, v)))| {
            step(gradients, block * traversal.block, weights, m, v);
        });
    });
    Ok(())
}
