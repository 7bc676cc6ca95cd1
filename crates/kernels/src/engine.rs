use crate::error::KernelError;
use crate::instruction_set::InstructionSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a primitive runs on: an instruction set and a pool of threads of its own.
pub struct Engine {
    pub instruction_set: InstructionSet,
    pool: rayon::ThreadPool,
    /// Pre-activations that screening did not rule out, of all calls so far.
    pub(crate) candidates: AtomicUsize,
    in_vain: Mutex<InVain>,
}

/// What was screened in vain last: the encoder, by where it lies, and what its k largest were, 0 for thresholds. And how many
/// calls with it are not to try.
#[derive(Default)]
struct InVain {
    what: (usize, usize),
    calls: usize,
}

/// Calls after screening in vain that do without: a call in vain takes up to 5 % longer.
const CALLS_WITHOUT: usize = 16;

impl Engine {
    pub fn new(threads: usize, instruction_set: Option<&str>) -> Result<Self, KernelError> {
        let instruction_set = InstructionSet::choose(instruction_set)?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(|i| format!("kernels-{i}"))
            .build()
            .map_err(|error| KernelError::backend(format!("The threads could not be started: {error}.")))?;
        Ok(Self { instruction_set, pool, candidates: AtomicUsize::new(0), in_vain: Mutex::default() })
    }

    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Pre-activations that screening left to be worked out in fp32 one by one, in all calls so far.
    pub fn candidates(&self) -> usize {
        self.candidates.load(Ordering::Relaxed)
    }

    /// Whether a call with this encoder may try to screen, for the k largest or 0.
    pub(crate) fn may_screen(&self, w_enc: &[f32], k: usize) -> bool {
        let mut in_vain = self.in_vain.lock().expect("no thread panics while it holds the lock");
        if in_vain.what != (w_enc.as_ptr().addr(), k) || in_vain.calls == 0 {
            return true;
        }
        in_vain.calls -= 1;
        false
    }

    /// Such a call was screened in vain.
    pub(crate) fn note_in_vain(&self, w_enc: &[f32], k: usize) {
        let mut in_vain = self.in_vain.lock().expect("no thread panics while it holds the lock");
        *in_vain = InVain { what: (w_enc.as_ptr().addr(), k), calls: CALLS_WITHOUT };
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
