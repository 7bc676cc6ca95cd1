//! The k largest of each row by screening.
//!
//! A row's bar is what must be known first. A sample of the latents, by bytes alone, shows about where its 4k-th
//! largest pre-activation is; all that the bytes do not put below that bar are listed. Products of bytes are much nearer to
//! the truth than their bounds say: a little below the k-th largest of those listed is a bar that k all but certainly exceed,
//! and what the bounds do not put below it is worked out. Rows of which fewer than k exceed it start again from their
//! first bar; if that is too high as well, the task goes through the fp32 tiles.

use super::best::Cut;
use super::candidates::Candidates;
use super::collector::{MAX_PANEL, row_and_place};
use super::screened::{SCREENED_LATENTS, Screen, Screening, most_candidates};
use super::tile::Scratch;
use super::work_out::WorkOut;
use crate::lanes::Lanes;
use crate::lanes::dots::Dots;
use crate::screen::Facts;
use std::array::from_fn;

/// One in so many latents is in the sample.
pub const SAMPLED: usize = 16;

/// Candidates of a task at most, of all its pre-activations: 4 MB for 240 rows of 16,384 latents.
pub const MOST_LISTED: f32 = 0.125;
/// A task may list as many in any case.
pub const LEAST_LISTED: usize = 1 << 16;
/// How many margins below its upper bound a value is all but never: products of bytes are off by an eighth of their margin
/// at most, unless their errors are made to add up.
const GUESSED: f32 = 1.125;

/// Whether the task was done by screening; false leaves the collector in an undefined state.
#[inline(always)]
pub fn run_top_k<D: Dots, const LATENTS: usize>(
    dots: D,
    screen: Screen<'_>,
    k: usize,
    scratch: &mut Scratch,
) -> bool {
    let Screen { task, shared, .. } = screen;
    let lanes = dots.lanes();
    screen.pack(dots, scratch);
    let mut bars = vec![0.0; scratch.panels.n_lanes()];
    let mut candidates = 0;
    for panel in 0..scratch.panels.vectors.len() {
        let rows = scratch.panels.rows(panel);
        candidates += match scratch.panels.vectors[panel] {
            3 => sample::<D, LATENTS, 3>(dots, screen, k, scratch, panel, &mut bars[rows]),
            2 => sample::<D, LATENTS, 2>(dots, screen, k, scratch, panel, &mut bars[rows]),
            _ => sample::<D, LATENTS, 1>(dots, screen, k, scratch, panel, &mut bars[rows]),
        };
    }
    let n_sampled = task.places.len().div_ceil(SAMPLED * LATENTS) * LATENTS;
    if !shared.top_k_density.accepts(candidates, most_candidates(n_sampled * task.rows.len())) {
        return false;
    }
    let n_rows = task.rows.len();
    scratch.collector.bars[..bars.len()].copy_from_slice(&bars);
    let most = LEAST_LISTED.max((MOST_LISTED * (n_rows * task.places.len()) as f32) as usize);
    scratch.screening.candidates.truncate(0);
    scratch.screening.needs_weights = false;
    let mut ends = vec![0];
    for start in task.places.clone().step_by(SCREENED_LATENTS) {
        let places = start..task.places.end.min(start + SCREENED_LATENTS);
        for panel in 0..scratch.panels.vectors.len() {
            screen.block::<D, LATENTS>(dots, scratch, places.clone(), panel, most);
        }
        ends.push(scratch.screening.candidates.len());
    }
    if scratch.screening.candidates.len() > most {
        return false;
    }
    let Scratch { screening: Screening { bytes, candidates, waiting, .. }, collector, .. } = scratch;
    let margin = |row: usize, Facts { length, residual, .. }: Facts| {
        bytes.lengths[row] * residual + bytes.residuals[row] * length
    };
    let work = screen.work_out(&bytes.rows, &bytes.lengths, collector, waiting);
    work_out_best(lanes, work, candidates, &ends, k, &bars, margin)
}

/// Work out, of the candidates of all blocks, the k largest of each row; false where there are not so many above `bars`. The
/// margin is that between an approximate pre-activation and its upper bound.
#[inline(always)]
pub fn work_out_best<L: Lanes>(
    lanes: L,
    mut work: WorkOut<'_>,
    candidates: &Candidates,
    ends: &[usize],
    k: usize,
    bars: &[f32],
    margin: impl Fn(usize, Facts) -> f32,
) -> bool {
    let (input, shared) = (work.input, work.shared);
    let guesses = guesses(&work, candidates, k, bars, margin);
    work.collector.bars[..guesses.len()].copy_from_slice(&guesses);
    work.blocks(lanes, candidates, ends);
    if work.collector.is_complete(input, shared, k, &guesses) {
        return true;
    }
    work.collector.start_again(k, bars);
    work.blocks(lanes, candidates, ends);
    work.collector.is_complete(input, shared, k, bars)
}

/// What the k-th largest value of each row is thought to exceed by a little, or its bar where that is higher.
fn guesses(
    work: &WorkOut<'_>,
    candidates: &Candidates,
    k: usize,
    bars: &[f32],
    margin: impl Fn(usize, Facts) -> f32,
) -> Vec<f32> {
    let &WorkOut { input, screened, task, shared, .. } = work;
    let n_rows = task.rows.len();
    let mut starts = vec![0usize; n_rows + 2];
    for i in 0..candidates.len() {
        starts[row_and_place(candidates.get(i).0).0 + 2] += 1;
    }
    for row in 0..n_rows {
        starts[row + 2] += starts[row + 1];
    }
    let mut values = vec![0.0; candidates.len()];
    for i in 0..candidates.len() {
        let (key, upper) = candidates.get(i);
        let (row, place) = row_and_place(key);
        let facts = screened.facts_of(input.latent(task.places.start + place));
        values[starts[row + 1]] = upper - GUESSED * margin(row, facts);
        starts[row + 1] += 1;
    }
    let guess = |row: usize| {
        let values = &values[starts[row]..starts[row + 1]];
        if values.len() <= k { bars[row] } else { Cut::of(shared.set, values, k).bar.max(bars[row]) }
    };
    (0..n_rows).map(guess).collect()
}

/// Bars of a panel's rows, 0 where the sample knows none; gives about how many candidates of the sample there will be.
#[inline(always)]
fn sample<D: Dots, const LATENTS: usize, const VECTORS: usize>(
    dots: D,
    screen: Screen<'_>,
    k: usize,
    scratch: &mut Scratch,
    panel: usize,
    bars: &mut [f32],
) -> usize {
    let Screen { input, screened, task, .. } = screen;
    let width = VECTORS * D::Lanes::WIDTH;
    let rows = scratch.panels.rows(panel);
    let n_rows = rows.end.min(task.rows.len()) - rows.start;
    let n_places = task.places.len();
    let n_groups = n_places.div_ceil(SAMPLED * LATENTS);
    let n_sampled = n_groups * LATENTS;
    let Screening { bytes, sample, .. } = &mut scratch.screening;
    sample.resize(sample.len().max(n_sampled * width), 0.0);
    let sample = &mut sample[..n_sampled * width];
    let (mut length, mut residual) = (0.0, 0.0);
    for (group, sums) in sample.chunks_exact_mut(LATENTS * width).enumerate() {
        let place = |m: usize| task.places.start + (group * LATENTS + m) * n_places / n_sampled;
        let latents: [usize; LATENTS] = from_fn(|m| input.latent(place(m)));
        let facts = latents.map(|latent| screened.facts_of(latent));
        let bytes_of_panel = bytes.panel(&scratch.panels, panel);
        screen.products::<D, LATENTS, VECTORS>(dots, &latents, &facts, bytes_of_panel, sums);
        for ((sums, facts), latent) in sums.chunks_exact_mut(width).zip(&facts).zip(latents) {
            for (sum, scale) in sums.iter_mut().zip(&bytes.scales[rows.clone()]) {
                *sum = *sum * facts.scale * scale + input.b_enc[latent];
            }
            length += facts.length;
            residual += facts.residual;
        }
    }
    let (mean, rank) = ranks(k, n_sampled, n_places);
    quantiles::<D::Lanes, VECTORS>(sample, rank, bars);
    let mut least = [0.0; MAX_PANEL];
    quantiles::<D::Lanes, VECTORS>(sample, mean.ceil() as u32, &mut least[..width]);
    for (lane, least) in least[..width].iter_mut().enumerate() {
        let row = rows.start + lane;
        *least -= (bytes.lengths[row] * residual + bytes.residuals[row] * length) / n_sampled as f32;
    }
    let reached = counts_above::<D::Lanes, VECTORS>(sample, &least);
    reached[..n_rows].iter().sum::<u32>() as usize
}

/// How many of a sample are among the k largest, in the mean, and all but never more: of a Poisson distribution.
pub fn ranks(k: usize, n_sampled: usize, n: usize) -> (f32, u32) {
    let mean = (k * n_sampled) as f32 / n as f32;
    (mean, (mean + 5.0 * mean.sqrt() + 2.0) as u32)
}

/// Steps of a bisection: more would move a bar by less than a 256th of the largest value.
const BISECTIONS: usize = 8;

/// Of each lane of `[n][lanes]` a value that at least `rank` exceed, and few more; 0 where as many are not positive.
#[inline(always)]
pub fn quantiles<L: Lanes, const VECTORS: usize>(values: &[f32], rank: u32, quantiles: &mut [f32]) {
    let width = VECTORS * L::WIDTH;
    let (mut low, mut high) = ([0.0f32; MAX_PANEL], [0.0f32; MAX_PANEL]);
    for values in values.chunks_exact(width) {
        for (high, &value) in high.iter_mut().zip(values) {
            *high = if value > *high { value } else { *high };
        }
    }
    for _ in 0..BISECTIONS {
        let middle: [f32; MAX_PANEL] = from_fn(|lane| low[lane] / 2.0 + high[lane] / 2.0);
        let counts = counts_above::<L, VECTORS>(values, &middle);
        for (lane, middle) in middle.into_iter().enumerate().take(width) {
            *(if counts[lane] >= rank { &mut low[lane] } else { &mut high[lane] }) = middle;
        }
    }
    quantiles.copy_from_slice(&low[..width]);
}

/// How many values of each lane exceed its bar.
#[inline(always)]
fn counts_above<L: Lanes, const VECTORS: usize>(values: &[f32], bars: &[f32; MAX_PANEL]) -> [u32; MAX_PANEL] {
    let width = VECTORS * L::WIDTH;
    let mut counts = [0; MAX_PANEL];
    for values in values.chunks_exact(width) {
        for ((count, &value), &bar) in counts[..width].iter_mut().zip(values).zip(bars) {
            *count += u32::from(value > bar);
        }
    }
    counts
}
