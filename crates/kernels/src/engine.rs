use crate::error::KernelError;
use crate::instruction_set::InstructionSet;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a primitive runs on: an instruction set and a pool of threads of its own.
pub struct Engine {
    pub instruction_set: InstructionSet,
    pool: rayon::ThreadPool,
    /// Pre-activations that screening did not rule out, of all calls so far.
    pub(crate) candidates: AtomicUsize,
}

impl Engine {
    pub fn new(threads: usize, instruction_set: Option<&str>) -> Result<Self, KernelError> {
        let instruction_set = InstructionSet::choose(instruction_set)?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(|i| format!("kernels-{i}"))
            .build()
            .map_err(|error| KernelError::backend(format!("The threads could not be started: {error}.")))?;
        Ok(Self { instruction_set, pool, candidates: AtomicUsize::new(0) })
    }

    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Pre-activations that screening left to be worked out in fp32 one by one, in all calls so far.
    pub fn candidates(&self) -> usize {
        self.candidates.load(Ordering::Relaxed)
    }

    /// Panic on every thread, to see that callers survive it.
    pub fn panic(&self, message: &str) {
        self.on_every_thread(|| -> () { panic!("{message}") });
    }

    /// Run work whose parallel iterators shall use this engine's threads.
    pub(crate) fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }

    /// Run the same work once on every thread.
    pub(crate) fn on_every_thread<R: Send>(&self, work: impl Fn() -> R + Sync) -> Vec<R> {
        self.pool.broadcast(|_| work())
    }
}
