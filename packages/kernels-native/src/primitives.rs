//! The primitives of the contract; names, shapes and meaning are there.

use crate::Kernels;
use crate::call::Call;
use monoseme_kernels as kernels;
use napi::bindgen_prelude::{AsyncTask, Float32Array, Float64Array, Int8Array, Uint8Array, Uint32Array};
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

impl CodesByLatent {
    pub fn view(&self) -> kernels::CodesByLatentView<'_> {
        kernels::CodesByLatentView {
            n_rows: self.n_rows as usize,
            d_sae: self.d_sae as usize,
            latent_pointers: &self.latent_pointers,
            row_indices: &self.row_indices,
            pair_indices: &self.pair_indices,
        }
    }
}

#[napi(object)]
pub struct ScreenedWeights {
    pub bytes: Int8Array,
    pub facts: Float32Array,
}

impl ScreenedWeights {
    fn view(&self) -> kernels::ScreenedView<'_> {
        kernels::ScreenedView { bytes: &self.bytes, facts: &self.facts }
    }

    pub fn view_mut(&mut self) -> kernels::ScreenedMut<'_> {
        // SAFETY: the contract forbids the caller to touch what a pending call mutates.
        let (bytes, facts) = unsafe { (self.bytes.as_mut(), self.facts.as_mut()) };
        kernels::ScreenedMut { bytes, facts }
    }
}

#[napi(object, object_to_js = false)]
pub struct ScreenInput {
    #[napi(js_name = "W_enc")]
    pub w_enc: Float32Array,
    pub d_in: u32,
    pub d_sae: u32,
    pub screened: ScreenedWeights,
}

#[napi(object, object_to_js = false)]
pub struct Selection {
    pub kind: String,
    pub k: Option<u32>,
    /// Of `batchTopK`.
    pub guess: Option<f64>,
    pub thresholds: Option<Float32Array>,
}

impl Selection {
    fn view(&self) -> Result<kernels::Selection<'_>, kernels::KernelError> {
        let k = self.k.unwrap_or(0) as usize;
        match self.kind.as_str() {
            "threshold" => Ok(kernels::Selection::Threshold(self.thresholds.as_deref())),
            "topK" => Ok(kernels::Selection::TopK(k)),
            "batchTopK" => Ok(kernels::Selection::BatchTopK { k, guess: self.guess.unwrap_or(0.0) as f32 }),
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
    pub screened: Option<ScreenedWeights>,
}

#[napi(object, object_to_js = false)]
pub struct DecodeInput {
    pub codes: Codes,
    pub d_out: u32,
    #[napi(js_name = "W_dec")]
    pub w_dec: Float32Array,
    #[napi(js_name = "b_dec")]
    pub b_dec: Option<Float32Array>,
    /// Of `residuals` and `nestedResiduals`.
    pub target: Option<Float32Array>,
    /// Of the same: where they go.
    pub residuals: Option<Float32Array>,
    /// Of `nestedResiduals`.
    pub groups: Option<Uint8Array>,
    pub weights: Option<Float32Array>,
    pub end: Option<u32>,
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
pub struct Errors {
    pub squared_errors: Float64Array,
    pub products: Float32Array,
}

#[napi(object, object_to_js = false)]
pub struct PairSumsInput {
    pub a: Codes,
    pub b: Codes,
    pub width: u32,
    pub sums: Float64Array,
}

#[napi(object, object_to_js = false)]
pub struct ProductInput {
    pub a: Float32Array,
    pub is_transposed: Option<bool>,
    pub b: Float32Array,
    pub n_rows: u32,
    pub inner: u32,
    pub width: u32,
    pub sum: Float32Array,
}

#[napi(object, object_to_js = false)]
pub struct CenterInput {
    pub rows: Float32Array,
    pub offset: Float32Array,
}

#[napi(object, object_to_js = false)]
pub struct ColumnSumsInput {
    pub rows: Float32Array,
    pub width: u32,
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
                    screened: input.screened.as_ref().map(ScreenedWeights::view),
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

    /// Bytes and facts that `screen` makes of a latent of so many inputs.
    #[napi]
    pub fn screened_sizes(&self, d_in: u32) -> Vec<u32> {
        let bytes = kernels::bytes_of_row(self.engine.instruction_set, d_in as usize);
        vec![bytes as u32, kernels::N_FACTS as u32]
    }

    /// Writes to `screened`.
    #[napi]
    pub fn screen(&self, mut input: ScreenInput) -> AsyncTask<Call<()>> {
        Call::start(&self.engine, move |engine| {
            let (d_sae, d_in) = (input.d_sae as usize, input.d_in as usize);
            kernels::screen(engine, &input.w_enc, d_sae, d_in, input.screened.view_mut())
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
    pub fn residuals(&self, mut input: DecodeInput) -> AsyncTask<Call<Errors>> {
        Call::start(&self.engine, move |engine| {
            let mut residuals = input.residuals.take();
            // SAFETY: the array lives as long as this call, and the contract gives it to this call alone until it ends.
            let out = residuals.as_mut().map_or(&mut [][..], |array| unsafe { array.as_mut() });
            // One array is not passed twice, once to be read and once to be written.
            let target = input.target.take_if(|target| target.as_ptr() != out.as_ptr());
            let target = target.as_deref();
            let result = kernels::residuals(engine, &input.view(), target, out);
            input.residuals = residuals;
            let result = result?;
            Ok(Errors { squared_errors: result.squared_errors.into(), products: result.products.into() })
        })
    }

    #[napi]
    pub fn nested_residuals(&self, mut input: DecodeInput) -> AsyncTask<Call<Errors>> {
        Call::start(&self.engine, move |engine| {
            let mut residuals = input.residuals.take();
            let nested = kernels::NestedInput {
                decode: input.view(),
                target: input.target.as_deref().unwrap_or_default(),
                groups: input.groups.as_deref().unwrap_or_default(),
                weights: input.weights.as_deref().unwrap_or_default(),
                end: input.end.map(|end| end as usize),
            };
            // SAFETY: the array lives as long as this call, and the contract gives it to this call alone until it ends.
            let out = residuals.as_mut().map_or(&mut [][..], |array| unsafe { array.as_mut() });
            let result = kernels::nested_residuals(engine, nested, out);
            input.residuals = residuals;
            let result = result?;
            Ok(Errors { squared_errors: result.squared_errors.into(), products: result.products.into() })
        })
    }

    #[napi]
    pub fn product(&self, mut input: ProductInput) -> AsyncTask<Call<()>> {
        Call::start(&self.engine, move |engine| {
            let product = kernels::ProductInput {
                a: &input.a,
                is_transposed: input.is_transposed.unwrap_or(false),
                b: &input.b,
                n_rows: input.n_rows as usize,
                inner: input.inner as usize,
                width: input.width as usize,
            };
            // SAFETY: the array lives as long as this call, and the contract gives it to this call alone until it ends.
            kernels::product(engine, product, unsafe { input.sum.as_mut() })
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
    pub fn add_pair_sums(&self, mut input: PairSumsInput) -> AsyncTask<Call<()>> {
        Call::start(&self.engine, move |engine| {
            let PairSumsInput { a, b, width, sums } = &mut input;
            // SAFETY: the array lives as long as this call, and the contract gives it to this call alone until it ends.
            let sums = unsafe { sums.as_mut() };
            let input = kernels::PairSumsInput { a: a.view(), b: b.view(), width: *width as usize, sums };
            kernels::add_pair_sums(engine, input)
        })
    }

    #[napi]
    pub fn center(&self, mut input: CenterInput) -> AsyncTask<Call<()>> {
        Call::start(&self.engine, move |engine| {
            let CenterInput { rows, offset } = &mut input;
            // SAFETY: the array lives as long as this call, and the contract gives it to this call alone until it ends.
            let rows = unsafe { rows.as_mut() };
            kernels::center(engine, rows, offset)
        })
    }

    #[napi]
    pub fn column_sums(&self, input: ColumnSumsInput) -> AsyncTask<Call<Float64Array>> {
        Call::start(&self.engine, move |engine| {
            Ok(kernels::column_sums(engine, &input.rows, input.width as usize)?.into())
        })
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
