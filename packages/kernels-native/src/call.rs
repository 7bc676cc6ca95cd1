use monoseme_kernels::{Engine, KernelError};
use napi::bindgen_prelude::{AsyncTask, ToNapiValue, TypeName};
use napi::{Env, Error, Result, Status, Task};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

type Work<T> = Box<dyn FnMut(&Engine) -> std::result::Result<T, KernelError> + Send>;

/// One call of a primitive, run off the main thread. The closure owns the references to its arrays; they are dropped
/// with the call, on the main thread.
pub struct Call<T> {
    engine: Arc<Engine>,
    work: Work<T>,
}

impl<T: Send + 'static + ToNapiValue + TypeName> Call<T> {
    pub fn start(
        engine: &Arc<Engine>,
        work: impl FnMut(&Engine) -> std::result::Result<T, KernelError> + Send + 'static,
    ) -> AsyncTask<Self> {
        AsyncTask::new(Self { engine: engine.clone(), work: Box::new(work) })
    }
}

impl<T: Send + 'static + ToNapiValue + TypeName> Task for Call<T> {
    type Output = T;
    type JsValue = T;

    fn compute(&mut self) -> Result<T> {
        let Self { engine, work } = self;
        // A panic leaves no broken state behind: the result is dropped, and what a call mutates is documented as
        // undefined after an error.
        match catch_unwind(AssertUnwindSafe(|| work(engine))) {
            Ok(result) => result.map_err(to_js),
            Err(panic) => Err(Error::from_reason(format!("ERR_KERNEL\n{}", panic_message(panic.as_ref())))),
        }
    }

    fn resolve(&mut self, _env: Env, output: T) -> Result<T> {
        Ok(output)
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown panic")
}

/// An error crosses as `code \n message`.
pub fn to_js(error: KernelError) -> Error {
    Error::new(Status::GenericFailure, format!("{}\n{}", error.code, error.message))
}
