//! Which latents fire beside each other.

use crate::Kernels;
use crate::call::Call;
use monoseme_kernels as kernels;
use napi::bindgen_prelude::{AsyncTask, Either, Int8Array, Uint16Array, Uint32Array};
use napi_derive::napi;

#[napi(object, object_to_js = false)]
pub struct CoActivationInput {
    pub ends: Uint32Array,
    pub latents: Either<Uint16Array, Uint32Array>,
    pub n_fired: Uint32Array,
    pub context_size: u32,
    pub first: u32,
    pub end: u32,
    pub most: u32,
    pub fewest: u32,
}

impl CoActivationInput {
    fn with<'a, N>(&'a self, latents: &'a [N]) -> kernels::CoActivationInput<'a, N> {
        kernels::CoActivationInput {
            ends: &self.ends,
            latents,
            n_fired: &self.n_fired,
            context_size: self.context_size as usize,
            asked: self.first as usize..self.end as usize,
            most: self.most as usize,
            fewest: self.fewest,
        }
    }
}

#[napi(object, object_from_js = false)]
pub struct CoActivations {
    pub pointers: Uint32Array,
    pub others: Uint32Array,
    pub lags: Int8Array,
    pub counts: Uint32Array,
}

#[napi]
impl Kernels {
    #[napi]
    pub fn co_activations(&self, input: CoActivationInput) -> AsyncTask<Call<CoActivations>> {
        Call::start(&self.engine, move |engine| {
            let found = match &input.latents {
                Either::A(latents) => kernels::co_activations(engine, &input.with(latents)),
                Either::B(latents) => kernels::co_activations(engine, &input.with(latents)),
            }?;
            Ok(CoActivations {
                pointers: found.pointers.into(),
                others: found.others.into(),
                lags: found.lags.into(),
                counts: found.counts.into(),
            })
        })
    }
}
