use crate::Kernels;
use crate::call::Call;
use monoseme_kernels::{bandwidth_bytes_per_second, byte_operations_per_second, fma_flops_per_second};
use napi::bindgen_prelude::AsyncTask;
use napi_derive::napi;
use std::time::Duration;

#[napi]
impl Kernels {
    /// fp32 operations a second of all threads together; a multiply-add counts as two.
    #[napi]
    pub fn fma_flops_per_second(&self, milliseconds: u32) -> AsyncTask<Call<f64>> {
        let duration = Duration::from_millis(milliseconds.into());
        Call::start(&self.engine, move |engine| Ok(fma_flops_per_second(engine, duration)))
    }

    /// Operations on bytes a second of all threads together; a product and its addition count as two.
    #[napi]
    pub fn byte_operations_per_second(&self, milliseconds: u32) -> AsyncTask<Call<f64>> {
        let duration = Duration::from_millis(milliseconds.into());
        Call::start(&self.engine, move |engine| Ok(byte_operations_per_second(engine, duration)))
    }

    /// Bytes a second that all threads together read from an array of so many bytes.
    #[napi]
    pub fn bandwidth_bytes_per_second(&self, bytes: u32, milliseconds: u32) -> AsyncTask<Call<f64>> {
        let duration = Duration::from_millis(milliseconds.into());
        Call::start(&self.engine, move |engine| {
            Ok(bandwidth_bytes_per_second(engine, bytes as usize, duration))
        })
    }
}
