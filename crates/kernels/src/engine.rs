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
    in_vain: Mutex<[InVain; KINDS_IN_VAIN]>,
}

/// A kind of call that was screened in vain, and how many more of it are not to try.
#[derive(Clone, Copy, Default)]
struct InVain {
    kind: CallKind,
    calls: usize,
}

/// What calls of a kind have in common: a step of training makes a few kinds, the same in every step.
#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) struct CallKind {
    /// The encoder, by where it lies.
    w_enc: usize,
    /// For the k largest, or 0 for thresholds.
    k: usize,
    n_rows: usize,
}

impl CallKind {
    pub(crate) fn new(w_enc: &[f32], k: usize, n_rows: usize) -> Self {
        Self { w_enc: w_enc.as_ptr().addr(), k, n_rows }
    }
}

/// So many kinds of calls in vain are remembered.
const KINDS_IN_VAIN: usize = 4;

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

    /// Whether a call may try to screen.
    pub(crate) fn may_screen(&self, kind: CallKind) -> bool {
        let mut in_vain = self.in_vain.lock().expect("no thread panics while it holds the lock");
        match in_vain.iter_mut().find(|known| known.kind == kind && known.calls > 0) {
            Some(known) => {
                known.calls -= 1;
                false
            }
            None => true,
        }
    }

    /// Such a call was screened in vain.
    pub(crate) fn note_in_vain(&self, kind: CallKind) {
        let mut in_vain = self.in_vain.lock().expect("no thread panics while it holds the lock");
        let known = in_vain.iter().position(|known| known.kind == kind).unwrap_or(KINDS_IN_VAIN - 1);
        in_vain[..=known].rotate_right(1);
        in_vain[0] = InVain { kind, calls: CALLS_WITHOUT };
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
