//! The primitives that make gradients of pairs and step along them.

use crate::Kernels;
use crate::call::Call;
use crate::primitives::{CodesByLatent, ScreenedWeights};
use monoseme_kernels as kernels;
use napi::bindgen_prelude::{AsyncTask, Either, Float32Array, Uint8Array, Uint16Array, Uint32Array};
use napi_derive::napi;

#[napi(object, object_to_js = false)]
pub struct AdamOptions {
    pub learning_rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub step: f64,
}

#[napi(object, object_to_js = false)]
pub struct SparseSum {
    pub by_latent: CodesByLatent,
    pub coefficients: Float32Array,
    pub rows: Float32Array,
}

#[napi(object, object_to_js = false)]
pub struct Pull {
    pub factors: Float32Array,
    pub parts: Uint32Array,
}

#[napi(object, object_to_js = false)]
pub struct GradientInput {
    pub by_latent: CodesByLatent,
    pub width: u32,
    pub coefficients: Float32Array,
    pub rows: Float32Array,
    pub also: Option<Vec<SparseSum>>,
    pub pull: Option<Pull>,
    pub weights: Float32Array,
    pub constraint: String,
    pub mask: Option<Uint8Array>,
    /// Of `updateRows`, as are the following.
    pub first_moments: Moments,
    pub second_moments: Moments,
    pub gradient_scale: Option<f64>,
    pub adam: Option<AdamOptions>,
    pub screened: Option<ScreenedWeights>,
}

impl GradientInput {
    /// What the gradient is the sum of, the weights, and what `updateRows` mutates beside them.
    fn parts(&mut self) -> Parts<'_> {
        let own = kernels::SparseSum {
            by_latent: self.by_latent.view(),
            coefficients: &self.coefficients,
            rows: &self.rows,
        };
        let also = self.also.iter().flatten().map(|sum| kernels::SparseSum {
            by_latent: sum.by_latent.view(),
            coefficients: &sum.coefficients,
            rows: &sum.rows,
        });
        Parts {
            sums: std::iter::once(own).chain(also).collect(),
            pull: self.pull.as_ref().map(|Pull { factors, parts }| kernels::Pull { factors, parts }),
            width: self.width as usize,
            unit_norm: self.constraint == "unitNorm",
            mask: self.mask.as_deref(),
            weights: &mut self.weights,
            first: &mut self.first_moments,
            second: &mut self.second_moments,
            screened: &mut self.screened,
        }
    }

    fn update(&mut self, engine: &kernels::Engine) -> Result<(), kernels::KernelError> {
        let absent = || kernels::KernelError::option("updateRows takes adam and two moments of one type.");
        let adam = self.adam.as_ref().ok_or_else(absent)?;
        let adam = kernels::Adam::new(adam.learning_rate, adam.beta1, adam.beta2, adam.epsilon, adam.step);
        let gradient_scale = self.gradient_scale.unwrap_or(1.0) as f32;
        let Parts { sums, pull, width, unit_norm, mask, weights, first, second, screened } = self.parts();
        let gradient = kernels::GradientInput { sums: &sums, pull, width, unit_norm, mask };
        // SAFETY: the arrays live as long as `self`, and the contract gives them to this call alone until it ends.
        let (weights, moments) = unsafe {
            let moments = match (first, second) {
                (Some(Either::A(first)), Some(Either::A(second))) => {
                    kernels::Moments::F32(first.as_mut(), second.as_mut())
                }
                (Some(Either::B(first)), Some(Either::B(second))) => {
                    kernels::Moments::Bf16(first.as_mut(), second.as_mut())
                }
                _ => return Err(absent()),
            };
            (weights.as_mut(), moments)
        };
        let screened = screened.as_mut().map(ScreenedWeights::view_mut);
        kernels::update_rows(
            engine,
            kernels::UpdateRowsInput { gradient, weights, moments, gradient_scale, adam, screened },
        )
    }
}

type Moments = Option<Either<Float32Array, Uint16Array>>;

struct Parts<'a> {
    sums: Vec<kernels::SparseSum<'a>>,
    pull: Option<kernels::Pull<'a>>,
    width: usize,
    unit_norm: bool,
    mask: Option<&'a [u8]>,
    weights: &'a mut Float32Array,
    first: &'a mut Moments,
    second: &'a mut Moments,
    screened: &'a mut Option<ScreenedWeights>,
}

#[napi]
impl Kernels {
    #[napi]
    pub fn update_rows(&self, mut input: GradientInput) -> AsyncTask<Call<()>> {
        Call::start(&self.engine, move |engine| input.update(engine))
    }

    #[napi]
    pub fn squared_gradient_norm(&self, mut input: GradientInput) -> AsyncTask<Call<f64>> {
        Call::start(&self.engine, move |engine| {
            let Parts { sums, pull, width, unit_norm, mask, weights, .. } = input.parts();
            let gradient = kernels::GradientInput { sums: &sums, pull, width, unit_norm, mask };
            kernels::squared_gradient_norm(engine, gradient, weights)
        })
    }
}
