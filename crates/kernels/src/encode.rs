//! Codes of a batch: a tiled product whose tiles are compared while they are in cache.
//!
//! Lanes are rows of the batch. X is packed once, in panels of a few vectors of rows, `[d_in][rows]`; W_enc is
//! read in place, since a row of it is contiguous and its elements are broadcast. A micro-tile is some latents × one
//! panel; its sums stay in registers over a block of d_in, start with b_enc, and are one chain of multiply-adds each,
//! in the order of the inputs. So a value does not depend on threads, blocks or selection. Rows that are mostly zeros
//! go another way to the same values (`sparse_inputs`).

mod best;
mod byte_panels;
mod candidates;
mod collector;
mod exact;
pub(crate) mod micro_kernel;
pub(crate) mod panels;
mod row_pairs;
mod rows_on_lines;
mod screened;
mod screened_tiles;
mod screened_tiles_top_k;
mod screened_top_k;
mod sparse_inputs;
mod sparse_rows;
mod tile;
mod tile_panels;
mod work_out;

use crate::codes::Codes;
use crate::engine::{CallKind, Engine};
use crate::error::{KernelError, expect_length};
use crate::instruction_set::InstructionSet;
use crate::lanes::dots::{DotKernel, Dots};
use crate::lanes::tiles::{TILE_ROWS, TileKernel, Tiles};
use crate::lanes::{Kernel, Lanes};
use crate::screen::{ScreenedView, can_screen};
use best::Cut;
use collector::{MAX_PLACES, Shared};
use rayon::prelude::*;
use row_pairs::RowPairs;
use screened::Screen;
use sparse_inputs::RunSparse;
use sparse_rows::SparseRows;
use std::cell::RefCell;
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use tile::Scratch;

/// Which pre-activations are kept. The kept value is the pre-activation itself.
#[derive(Clone, Copy, Debug)]
pub enum Selection<'a> {
    /// Those greater than the latent's threshold (`[d_sae]`; 0 for all when absent).
    Threshold(Option<&'a [f32]>),
    /// The k largest of each row, and of them only those > 0. Ties go to the lower latent.
    TopK(usize),
    /// The k · n_rows largest positive ones of the batch. Ties go to the lower row, then to the lower latent.
    BatchTopK {
        k: usize,
        /// A value that a few more than these are thought to reach; 0 for none.
        guess: f32,
    },
}

#[derive(Clone, Copy)]
pub struct EncodeInput<'a> {
    /// `[n_rows, d_in]`
    pub x: &'a [f32],
    pub n_rows: usize,
    pub d_in: usize,
    pub d_sae: usize,
    /// `[d_sae, d_in]`
    pub w_enc: &'a [f32],
    /// `[d_sae]`
    pub b_enc: &'a [f32],
    pub selection: Selection<'a>,
    /// Only these latents take part (ascending, unique); all when absent.
    pub latents: Option<&'a [u32]>,
    /// The first rows of `w_enc` in 8 bits: what they rule out is not worked out.
    pub screened: Option<ScreenedView<'a>>,
}

/// With more latents than these for each that a row keeps screening can pay.
const LEAST_PER_KEPT: usize = 16;

impl EncodeInput<'_> {
    fn check(&self, set: InstructionSet) -> Result<(), KernelError> {
        if self.d_in == 0 || self.d_sae == 0 {
            return Err(KernelError::option("dIn and dSae must be at least 1."));
        }
        expect_length("x", self.x.len(), &[self.n_rows, self.d_in])?;
        expect_length("W_enc", self.w_enc.len(), &[self.d_sae, self.d_in])?;
        expect_length("b_enc", self.b_enc.len(), &[self.d_sae])?;
        if let Some(screened) = self.screened {
            screened.check(set, self.d_sae, self.d_in)?;
        }
        match self.selection {
            Selection::Threshold(Some(thresholds)) => {
                expect_length("thresholds", thresholds.len(), &[self.d_sae])?;
            }
            Selection::TopK(k) | Selection::BatchTopK { k, .. } if k == 0 || k > self.d_sae => {
                return Err(KernelError::option(format!("k is {k}, but the dictionary has {}.", self.d_sae)));
            }
            _ => {}
        }
        let Some(latents) = self.latents else { return Ok(()) };
        let ascending = latents.is_sorted_by(|a, b| a < b);
        if ascending && latents.last().is_none_or(|&last| (last as usize) < self.d_sae) {
            return Ok(());
        }
        Err(KernelError::option("latents must be ascending, unique and below dSae."))
    }

    /// Whether so many are kept that bytes cannot rule out enough of the others.
    fn keeps_many(&self) -> bool {
        LEAST_PER_KEPT * self.k() >= self.n_latents()
    }

    /// How many a row keeps, in the mean of the batch or each; 0 where thresholds decide.
    fn k(&self) -> usize {
        match self.selection {
            Selection::Threshold(_) => 0,
            Selection::TopK(k) | Selection::BatchTopK { k, .. } => k,
        }
    }

    fn kind(&self) -> CallKind {
        CallKind::new(self.w_enc, self.k(), self.n_rows)
    }

    fn n_latents(&self) -> usize {
        self.latents.map_or(self.d_sae, <[u32]>::len)
    }

    /// How many of the latents that take part are screened: the first ones.
    fn n_screened(&self) -> usize {
        let n = self.screened.map_or(0, |screened| screened.n_latents());
        self.latents.map_or(n, |latents| latents.partition_point(|&latent| (latent as usize) < n))
    }

    /// The latent at a place of those that take part.
    #[inline(always)]
    fn latent(&self, place: usize) -> usize {
        self.latents.map_or(place, |latents| latents[place] as usize)
    }
}

/// One task: some rows × some of the latents that take part.
#[derive(Clone, Debug)]
struct Task {
    rows: Range<usize>,
    places: Range<usize>,
}

/// Bytes of packed X that one task works on: with a block of W they fill most of a 1 MiB L2 cache. Half of them took as long with
/// 512 KiB of L2, and an eighth longer where bytes screen.
const PACKED_BYTES: usize = 480 << 10;

/// Rows of one task at most.
const MAX_TASK_ROWS: usize = 256;

/// The same where tiles multiply bytes: machines that have them have 2 MiB of L2. The more rows a task has, the less often
/// W_enc streams from memory.
const TILED_BYTES: usize = 1536 << 10;
const MAX_TILED_ROWS: usize = 1024;

/// Bytes of a row in pairs of bytes and in fp32, a number.
const TILED_BYTES_OF_NUMBER: usize = 6;

/// Cut 0..n into `parts` ranges that are multiples of `unit`, as even as can be.
fn even_ranges(n: usize, unit: usize, parts: usize) -> Vec<Range<usize>> {
    let units = n.div_ceil(unit);
    let parts = parts.clamp(1, units.max(1));
    (0..parts)
        .map(|i| (units * i / parts * unit).min(n)..(units * (i + 1) / parts * unit).min(n))
        .filter(|range| !range.is_empty())
        .collect()
}

/// Rows are cut so that a task's packed X fits in L2, and latents only where that leaves threads without work, and
/// where those end that are screened.
fn plan(input: &EncodeInput<'_>, threads: usize, set: InstructionSet) -> Vec<Vec<Task>> {
    let (panel_rows, task_rows) = if input.screened.is_some() && set.has_tiles() {
        let rows = TILED_BYTES / (TILED_BYTES_OF_NUMBER * input.d_in);
        (TILE_ROWS, rows.clamp(TILE_ROWS, MAX_TILED_ROWS) / TILE_ROWS * TILE_ROWS)
    } else {
        let panel_rows = set.run(PanelRows);
        let panel_bytes = 4 * panel_rows * input.d_in.min(panels::BLOCK);
        (panel_rows, panel_rows * (PACKED_BYTES / panel_bytes).clamp(1, MAX_TASK_ROWS / panel_rows))
    };
    let row_parts = input.n_rows.div_ceil(task_rows).next_multiple_of(threads);
    let row_ranges = even_ranges(input.n_rows, panel_rows, row_parts);
    let idle = if row_ranges.len() < threads { threads.div_ceil(row_ranges.len().max(1)) } else { 1 };
    let latent_parts = idle.max(input.n_latents().div_ceil(MAX_PLACES));
    let place_ranges: Vec<_> = [0..input.n_screened(), input.n_screened()..input.n_latents()]
        .into_iter()
        .flat_map(|Range { start, end }| {
            let ranges = even_ranges(end - start, 64, latent_parts);
            ranges.into_iter().map(move |range| start + range.start..start + range.end)
        })
        .collect();
    let tasks_of = |rows: Range<usize>| {
        place_ranges.iter().map(|places| Task { rows: rows.clone(), places: places.clone() }).collect()
    };
    row_ranges.into_iter().map(tasks_of).collect()
}

thread_local! {
    /// A thread of the pool keeps its buffers from call to call.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

struct RunTask<'a> {
    input: &'a EncodeInput<'a>,
    task: &'a Task,
    shared: &'a Shared,
    scratch: &'a mut Scratch,
}

impl Kernel for RunTask<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { input, task, shared, scratch } = self;
        match L::TILE_LATENTS {
            8 => tile::run_task::<L, 8>(lanes, input, task, scratch, shared),
            6 => tile::run_task::<L, 6>(lanes, input, task, scratch, shared),
            _ => tile::run_task::<L, 4>(lanes, input, task, scratch, shared),
        }
    }
}

struct RunScreened<'a> {
    screen: Screen<'a>,
    scratch: &'a mut Scratch,
}

impl DotKernel for RunScreened<'_> {
    type Output = ();
    #[inline(always)]
    fn run<D: Dots>(self, dots: D) {
        let Self { screen, scratch } = self;
        match D::Lanes::TILE_LATENTS {
            8 => screened::run_screened::<D, 8>(dots, screen, scratch),
            6 => screened::run_screened::<D, 6>(dots, screen, scratch),
            _ => screened::run_screened::<D, 4>(dots, screen, scratch),
        }
    }
}

impl TileKernel for RunScreened<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes, T: Tiles>(self, lanes: L, tiles: &T) {
        let Self { screen, scratch } = self;
        match L::TILE_LATENTS {
            8 => screened_tiles::run_screened_tiles::<L, T, 8>(lanes, tiles, screen, scratch),
            _ => screened_tiles::run_screened_tiles::<L, T, 4>(lanes, tiles, screen, scratch),
        }
    }
}

fn run_task(input: &EncodeInput<'_>, sparse: Option<&SparseRows>, task: &Task, shared: &Shared) -> RowPairs {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.collector.start(input, task, shared);
        let set = shared.set;
        let screened = input.screened.filter(|_| task.places.end <= input.n_screened());
        match (sparse, screened) {
            (Some(rows), _) => {
                set.run(RunSparse { rows, task: RunTask { input, task, shared, scratch: &mut *scratch } })
            }
            (None, Some(screened)) => {
                let screen = Screen { input, screened, task, shared };
                let run = RunScreened { screen, scratch: &mut *scratch };
                if set.has_tiles() { set.run_tiles(run) } else { set.run_dots(run) }
            }
            (None, None) => set.run(RunTask { input, task, shared, scratch: &mut *scratch }),
        }
        scratch.collector.finish(input, task, shared)
    })
}

/// See `KernelBackend.encode` in the contract. Cost 2 · n_rows · d_in · d_sae.
pub fn encode(engine: &Engine, input: &EncodeInput<'_>) -> Result<Codes, KernelError> {
    input.check(engine.instruction_set)?;
    let pays = |_: &ScreenedView<'_>| {
        can_screen(input.d_in) && !input.keeps_many() && engine.may_screen(input.kind())
    };
    let screened = input.screened.filter(pays);
    let input = &EncodeInput { screened, ..*input };
    if let Selection::BatchTopK { k, guess } = input.selection {
        let all_above = |bar: f32| -> Result<Option<Codes>, KernelError> {
            let codes = (bar > 0.0).then(|| encode_above(engine, input, bar)).transpose()?;
            Ok(codes.filter(|codes| codes.values.len() == k * input.n_rows))
        };
        if let Some(codes) = all_above(guess)? {
            return Ok(codes);
        }
        if let Some(codes) = all_above(batch_bar(engine, input, k)?)? {
            return Ok(codes);
        }
    }
    encode_above(engine, input, 0.0)
}

/// The share of X that may be other than 0 where zeros are skipped: somewhat less than where that takes as long as the
/// tiles, and as screening.
const MOST_ENTRIES: f64 = 0.33;
const MOST_ENTRIES_SCREENED: f64 = 0.18;

/// What only pre-activations that reach a bar are looked at for; it holds for the k largest of the batch alone.
fn encode_above(engine: &Engine, input: &EncodeInput<'_>, bar: f32) -> Result<Codes, KernelError> {
    let set = engine.instruction_set;
    let shared = Shared::new(set, input, bar);
    let most = if input.screened.is_some() { MOST_ENTRIES_SCREENED } else { MOST_ENTRIES };
    let sparse = SparseRows::of(engine, input, most);
    let tasks = match sparse {
        Some(_) => sparse_inputs::plan(input, engine.threads()),
        None => plan(input, engine.threads(), set),
    };
    engine.install(|| {
        let rows_of = |tasks: &Vec<Task>| {
            let parts =
                tasks.par_iter().map(|task| run_task(input, sparse.as_ref(), task, &shared)).collect();
            row_pairs::join_latents(set, input, parts)
        };
        let parts = tasks.par_iter().with_max_len(1).map(rows_of).collect();
        engine.candidates.fetch_add(shared.candidates.load(Relaxed), Relaxed);
        if shared.tries.were_in_vain() {
            engine.note_in_vain(input.kind());
        }
        row_pairs::join_rows(set, input, parts)
    })
}

/// One in so many rows and latents is looked at to guess the bar of a batch, where it has as many rows.
const SAMPLED: usize = 16;
const LEAST_ROWS: usize = 512;

/// A bar that a few more than k · n_rows of the batch's pre-activations reach, by a sample of rows and latents; 0 where
/// nothing is known. Without it the first rows would be sorted by bars far too low.
fn batch_bar(engine: &Engine, input: &EncodeInput<'_>, k: usize) -> Result<f32, KernelError> {
    let &EncodeInput { d_in, n_rows, .. } = input;
    let latents: Vec<u32> =
        (0..input.n_latents()).step_by(SAMPLED).map(|place| input.latent(place) as u32).collect();
    if n_rows < LEAST_ROWS || 2 * k > input.n_latents() {
        return Ok(0.0);
    }
    let x: Vec<f32> = input.x.chunks_exact(d_in).step_by(SAMPLED).flatten().copied().collect();
    let n_rows = x.len() / d_in;
    // Rows differ more than by chance; 5 deviations of a Poisson distribution with the mean of the sample come on top.
    let mean = (k * n_rows) as f32 * latents.len() as f32 / input.n_latents() as f32;
    let rank = (1.1 * mean + 5.0 * mean.sqrt()).ceil() as usize;
    let selection = Selection::BatchTopK { k: rank.div_ceil(n_rows).min(input.d_sae), guess: 0.0 };
    let sample = EncodeInput { x: &x, n_rows, latents: Some(&latents), selection, screened: None, ..*input };
    let values = encode_above(engine, &sample, 0.0)?.values;
    Ok(if values.len() >= rank { Cut::of(engine.instruction_set, &values, rank).bar } else { 0.0 })
}

struct PanelRows;

impl Kernel for PanelRows {
    type Output = usize;
    #[inline(always)]
    fn run<L: Lanes>(self, _lanes: L) -> usize {
        L::WIDTH * L::TILE_VECTORS
    }
}
