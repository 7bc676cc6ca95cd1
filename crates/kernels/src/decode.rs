use crate::codes::CodesView;
use crate::engine::Engine;
use crate::error::{KernelError, expect_length};
use crate::lanes::{Kernel, Lanes};
use crate::sums::{Rows, Term, add_weighted_sum, products_with_rows};
use rayon::prelude::*;

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
    fn check(&self) -> Result<(), KernelError> {
        if self.d_out == 0 {
            return Err(KernelError::option("dOut is 0."));
        }
        self.codes.check()?;
        expect_length("W_dec", self.w_dec.len(), &[self.codes.d_sae, self.d_out])?;
        self.b_dec.map_or(Ok(()), |bias| expect_length("b_dec", bias.len(), &[self.d_out]))
    }
}

#[derive(Debug)]
pub struct Residuals {
    /// `[n_rows, d_out]`
    pub residuals: Vec<f32>,
    /// `[n_rows]`
    pub squared_errors: Vec<f64>,
    /// `[nnz]`
    pub products: Vec<f32>,
}

/// x̂[b] = Σ codes[b, j] · W_dec[j] + b_dec, one row.
struct DecodeRow<'a> {
    input: DecodeInput<'a>,
    row: usize,
    out: &'a mut [f32],
}

impl Kernel for DecodeRow<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { input, row, out } = self;
        match input.b_dec {
            Some(bias) => out.copy_from_slice(bias),
            None => out.fill(0.0),
        }
        let pairs = input.codes.pairs_of(row);
        let latents = &input.codes.latent_indices[pairs.clone()];
        let values = &input.codes.values[pairs];
        let term = |i: usize| Term { index: latents[i] as usize, factor: values[i] };
        add_weighted_sum(lanes, latents.len(), term, Rows::new(input.w_dec, input.d_out), out);
    }
}

/// ⟨vector, W_dec[j]⟩ for the pairs of one row.
struct ProductsOfRow<'a> {
    vector: &'a [f32],
    latents: &'a [u32],
    w_dec: &'a [f32],
    products: &'a mut [f32],
}

impl Kernel for ProductsOfRow<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let rows = Rows::new(self.w_dec, self.vector.len());
        products_with_rows(lanes, self.vector, self.latents, rows, self.products);
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
        let mut sums = [0.0f64; 8];
        let (outs, targets) = (self.out.chunks_mut(8), self.target.chunks(8));
        for (out, target) in outs.zip(targets) {
            for ((x, t), sum) in out.iter_mut().zip(target).zip(&mut sums) {
                *x -= t;
                *sum += f64::from(*x) * f64::from(*x);
            }
        }
        sums.iter().sum()
    }
}

/// Split an array of pairs where the rows end.
fn split_by_row<'a, T>(mut array: &'a mut [T], codes: &CodesView<'_>) -> Vec<&'a mut [T]> {
    (0..codes.n_rows)
        .map(|row| {
            let (head, rest) = std::mem::take(&mut array).split_at_mut(codes.pairs_of(row).len());
            array = rest;
            head
        })
        .collect()
}

pub fn decode(engine: &Engine, input: &DecodeInput<'_>) -> Result<Vec<f32>, KernelError> {
    input.check()?;
    let mut out = vec![0.0; input.codes.n_rows * input.d_out];
    engine.install(|| {
        out.par_chunks_mut(input.d_out).enumerate().for_each(|(row, out)| {
            engine.instruction_set.run(DecodeRow { input: *input, row, out });
        });
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
    let pieces = split_by_row(&mut products, &input.codes);
    engine.install(|| {
        let vectors = rows.par_chunks(input.d_out);
        pieces.into_par_iter().zip(vectors).enumerate().for_each(|(row, (products, vector))| {
            let latents = &input.codes.latent_indices[input.codes.pairs_of(row)];
            engine.instruction_set.run(ProductsOfRow { vector, latents, w_dec: input.w_dec, products });
        });
    });
    Ok(products)
}

/// `decode`, the difference from `target` and its `sampled_products`, row by row: the decoder rows of a row are still
/// in cache when the products need them.
pub fn residuals(
    engine: &Engine,
    input: &DecodeInput<'_>,
    target: &[f32],
) -> Result<Residuals, KernelError> {
    input.check()?;
    let n_rows = input.codes.n_rows;
    expect_length("target", target.len(), &[n_rows, input.d_out])?;
    let mut residuals = vec![0.0; n_rows * input.d_out];
    let mut squared_errors = vec![0.0; n_rows];
    let mut products = vec![0.0; input.codes.values.len()];
    let pieces = split_by_row(&mut products, &input.codes);
    engine.install(|| {
        (residuals.par_chunks_mut(input.d_out), target.par_chunks(input.d_out), &mut squared_errors, pieces)
            .into_par_iter()
            .enumerate()
            .for_each(|(row, (out, target, squared_error, products))| {
                let set = engine.instruction_set;
                set.run(DecodeRow { input: *input, row, out: &mut *out });
                *squared_error = set.run(SubtractTarget { target, out: &mut *out });
                let latents = &input.codes.latent_indices[input.codes.pairs_of(row)];
                set.run(ProductsOfRow { vector: out, latents, w_dec: input.w_dec, products });
            });
    });
    Ok(Residuals { residuals, squared_errors, products })
}
