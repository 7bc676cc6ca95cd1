//! The primitives of the contract; names, shapes and meaning are there.

use crate::Kernels;
use crate::call::Call;
use monoseme_kernels as kernels;
use napi::bindgen_prelude::{AsyncTask, Float32Array, Float64Array, Uint32Array};
use napi_derive::napi;

#[napi(object)]
pub struct Codes {
    pub n_rows: u32,
    pub d_sae: u32,
    pub row_pointers: Uint32Array,
    pub latent_indices: Uint32Array,
    pub values: Float32Array,
}

impl Codes {
    fn view(&self) -> kernels::CodesView<'_> {
        kernels::CodesView {
            n_rows: self.n_rows as usize,
            d_sae: self.d_sae as usize,
            row_pointers: &self.row_pointers,
            latent_indices: &self.latent_indices,
            values: &self.values,
        }
    }
}

#[napi(object)]
pub struct CodesByLatent {
    pub n_rows: u32,
    pub d_sae: u32,
    pub latent_pointers: Uint32Array,
    pub row_indices: Uint32Array,
    pub pair_indices: Uint32Array,
}

#[napi(object, object_to_js = false)]
pub struct Selection {
    pub kind: String,
    pub k: Option<u32>,
    pub thresholds: Option<Float32Array>,
}

impl Selection {
    fn view(&self) -> Result<kernels::Selection<'_>, kernels::KernelError> {
        let k = self.k.unwrap_or(0) as usize;
        match self.kind.as_str() {
            "threshold" => Ok(kernels::Selection::Threshold(self.thresholds.as_deref())),
            "topK" => Ok(kernels::Selection::TopK(k)),
            "batchTopK" => Ok(kernels::Selection::BatchTopK(k)),
            kind => Err(kernels::KernelError::option(format!("There is no selection {kind}."))),
        }
    }
}

#[napi(object, object_to_js = false)]
pub struct EncodeInput {
    pub x: Float32Array,
    pub n_rows: u32,
    pub d_in: u32,
    pub d_sae: u32,
    #[napi(js_name = "W_enc")]
    pub w_enc: Float32Array,
    #[napi(js_name = "b_enc")]
    pub b_enc: Float32Array,
    pub selection: Selection,
    pub latents: Option<Uint32Array>,
}

#[napi(object, object_to_js = false)]
pub struct DecodeInput {
    pub codes: Codes,
    pub d_out: u32,
    #[napi(js_name = "W_dec")]
    pub w_dec: Float32Array,
    #[napi(js_name = "b_dec")]
    pub b_dec: Option<Float32Array>,
    /// Of `residuals`.
    pub target: Option<Float32Array>,
    /// Of `sampledProducts`.
    pub rows: Option<Float32Array>,
}

impl DecodeInput {
    fn view(&self) -> kernels::DecodeInput<'_> {
        kernels::DecodeInput {
            codes: self.codes.view(),
            d_out: self.d_out as usize,
            w_dec: &self.w_dec,
            b_dec: self.b_dec.as_deref(),
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct Residuals {
    pub residuals: Float32Array,
    pub squared_errors: Float64Array,
    pub products: Float32Array,
}

#[napi(object, object_to_js = false)]
pub struct AdamOptions {
    pub learning_rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub step: f64,
}

#[napi(object, object_to_js = false)]
pub struct UpdateRowsInput {
    pub by_latent: CodesByLatent,
    pub width: u32,
    pub coefficients: Float32Array,
    pub rows: Float32Array,
    pub weights: Float32Array,
    pub first_moments: Float32Array,
    pub second_moments: Float32Array,
    pub constraint: String,
    pub adam: AdamOptions,
}

impl UpdateRowsInput {
    fn run(&mut self, engine: &kernels::Engine) -> Result<(), kernels::KernelError> {
        let adam = &self.adam;
        let by_latent = kernels::CodesByLatentView {
            n_rows: self.by_latent.n_rows as usize,
            d_sae: self.by_latent.d_sae as usize,
            latent_pointers: &self.by_latent.latent_pointers,
            row_indices: &self.by_latent.row_indices,
            pair_indices: &self.by_latent.pair_indices,
        };
        // SAFETY: the arrays live as long as `self`, and the contract gives them to this call alone until it ends.
        let (weights, first_moments, second_moments) =
            unsafe { (self.weights.as_mut(), self.first_moments.as_mut(), self.second_moments.as_mut()) };
        kernels::update_rows(
            engine,
            kernels::UpdateRowsInput {
                gradient: kernels::GradientInput {
                    by_latent,
                    width: self.width as usize,
                    coefficients: &self.coefficients,
                    rows: &self.rows,
                    unit_norm: self.constraint == "unitNorm",
                },
                weights,
                moments: kernels::Moments::F32(first_moments, second_moments),
                gradient_scale: 1.0,
                adam: kernels::Adam::new(adam.learning_rate, adam.beta1, adam.beta2, adam.epsilon, adam.step),
            },
        )
    }
}

#[napi(object, object_to_js = false)]
pub struct GeometricMedianInput {
    pub points: Float32Array,
    pub n_rows: u32,
    pub width: u32,
    pub max_iterations: u32,
    pub tolerance: f64,
}

#[napi]
impl Kernels {
    #[napi]
    pub fn encode(&self, input: EncodeInput) -> AsyncTask<Call<Codes>> {
        Call::start(&self.engine, move |engine| {
            let codes = kernels::encode(
                engine,
                &kernels::EncodeInput {
                    x: &input.x,
                    n_rows: input.n_rows as usize,
                    d_in: input.d_in as usize,
                    d_sae: input.d_sae as usize,
                    w_enc: &input.w_enc,
                    b_enc: &input.b_enc,
                    selection: input.selection.view()?,
                    latents: input.latents.as_deref(),
                },
            )?;
            Ok(Codes {
                n_rows: input.n_rows,
                d_sae: input.d_sae,
                row_pointers: codes.row_pointers.into(),
                latent_indices: codes.latent_indices.into(),
                values: codes.values.into(),
            })
        })
    }

    #[napi]
    pub fn decode(&self, input: DecodeInput) -> AsyncTask<Call<Float32Array>> {
        Call::start(&self.engine, move |engine| Ok(kernels::decode(engine, &input.view())?.into()))
    }

    #[napi]
    pub fn sampled_products(&self, input: DecodeInput) -> AsyncTask<Call<Float32Array>> {
        Call::start(&self.engine, move |engine| {
            let rows = input.rows.as_deref().unwrap_or_default();
            Ok(kernels::sampled_products(engine, &input.view(), rows)?.into())
        })
    }

    #[napi]
    pub fn residuals(&self, input: DecodeInput) -> AsyncTask<Call<Residuals>> {
        Call::start(&self.engine, move |engine| {
            let target = input.target.as_deref().unwrap_or_default();
            let result = kernels::residuals(engine, &input.view(), target)?;
            Ok(Residuals {
                residuals: result.residuals.into(),
                squared_errors: result.squared_errors.into(),
                products: result.products.into(),
            })
        })
    }

    #[napi]
    pub fn transpose(&self, codes: Codes) -> AsyncTask<Call<CodesByLatent>> {
        Call::start(&self.engine, move |engine| {
            let result = kernels::transpose(engine, &codes.view())?;
            Ok(CodesByLatent {
                n_rows: codes.n_rows,
                d_sae: codes.d_sae,
                latent_pointers: result.latent_pointers.into(),
                row_indices: result.row_indices.into(),
                pair_indices: result.pair_indices.into(),
            })
        })
    }

    #[napi]
    pub fn update_rows(&self, mut input: UpdateRowsInput) -> AsyncTask<Call<()>> {
        Call::start(&self.engine, move |engine| input.run(engine))
    }

    #[napi]
    pub fn geometric_median(&self, input: GeometricMedianInput) -> AsyncTask<Call<Float32Array>> {
        Call::start(&self.engine, move |engine| {
            let median = kernels::geometric_median(
                engine,
                &kernels::GeometricMedianInput {
                    points: &input.points,
                    n_rows: input.n_rows as usize,
                    width: input.width as usize,
                    max_iterations: input.max_iterations as usize,
                    tolerance: input.tolerance,
                },
            )?;
            Ok(median.into())
        })
    }
}
