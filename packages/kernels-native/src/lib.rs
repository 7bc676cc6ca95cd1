//! The kernels, bound to Node.
//!
//! Arrays come in as views of JavaScript's memory, without a copy; a call holds a reference to each until it ends.
//! The contract forbids the caller to write to an array that a pending call reads, and to touch one that it mutates:
//! that is what makes the slices below sound. Results go out as typed arrays over memory that Rust allocated, without
//! a copy either. A call occupies one of libuv's threads, which waits for the engine's own pool.

mod call;
mod co_activation;
mod gradients;
mod machine;
pub mod memory;
mod primitives;
pub mod subnormal;

use call::{Call, to_js};
use monoseme_kernels::{Engine, InstructionSet};
use napi::{Result, bindgen_prelude::AsyncTask};
use napi_derive::napi;
use std::sync::Arc;

/// A panic becomes the error of its call; the default hook would print it to stderr as well.
#[napi_derive::module_init]
fn silence_panics() {
    std::panic::set_hook(Box::new(|_| {}));
}

/// Instruction sets of this CPU, fastest first.
#[napi]
pub fn instruction_sets() -> Vec<&'static str> {
    InstructionSet::available().into_iter().map(InstructionSet::name).collect()
}

/// The primitives on one instruction set and one pool of threads.
#[napi]
pub struct Kernels {
    engine: Arc<Engine>,
}

#[napi]
impl Kernels {
    #[napi(constructor)]
    pub fn new(threads: u32, instruction_set: Option<String>) -> Result<Self> {
        let engine = Engine::new(threads as usize, instruction_set.as_deref()).map_err(to_js)?;
        Ok(Self { engine: Arc::new(engine) })
    }

    #[napi(getter)]
    pub fn instruction_set(&self) -> &'static str {
        self.engine.instruction_set.name()
    }

    /// Latents from which on screening is faster here than f32, where few of them are active; nothing where it never is.
    #[napi(getter)]
    pub fn screening_pays_from(&self) -> Option<u32> {
        self.engine.instruction_set.screening_pays_from()
    }

    /// Pre-activations that screening left to be worked out in fp32 one by one, in all calls so far.
    #[napi(getter)]
    pub fn candidates(&self) -> f64 {
        self.engine.candidates() as f64
    }

    /// Panic in the threads of the pool. The tests prove with it that a panic becomes an error.
    #[napi]
    pub fn panic(&self, message: String) -> AsyncTask<Call<()>> {
        Call::start(&self.engine, move |engine| {
            engine.panic(&message);
            Ok(())
        })
    }
}
