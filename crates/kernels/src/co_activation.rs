//! Which latents fire beside a latent more often than chance has it.

use crate::codes::check_pointers;
use crate::engine::Engine;
use crate::error::KernelError;
use crate::lanes::{Kernel, Lanes};
use rayon::prelude::*;
use std::ops::Range;

/// Tokens on either side of a firing that are looked at, and how many distances that makes.
const REACH: usize = 2;
const LAGS: usize = 2 * REACH + 1;
/// Firings of which one lag is counted after the other: their surroundings stay in L2, and the counters of a lag in L1.
const BLOCK: usize = 256;
/// Firings whose surroundings are fetched ahead: they lie far from each other, and none is in cache.
const AHEAD: usize = 8;
/// Bytes of a cache line.
const LINE: usize = 64;

/// The number of a latent as it is kept: two bytes for most dictionaries, four for the largest.
pub trait LatentNumber: Copy + Ord + Send + Sync + TryFrom<usize> {
    fn index(self) -> usize;

    /// How many of some are below a limit: without a branch for each, faster than to search.
    fn below(latents: &[Self], limit: usize) -> usize {
        let Ok(limit) = Self::try_from(limit) else { return latents.len() };
        latents.iter().map(|&latent| u32::from(latent < limit)).sum::<u32>() as usize
    }
}

impl LatentNumber for u16 {
    fn index(self) -> usize {
        usize::from(self)
    }
}

impl LatentNumber for u32 {
    fn index(self) -> usize {
        self as usize
    }
}

/// Which latents fire on each token of a text.
pub struct CoActivationInput<'a, N> {
    /// `[n_tokens + 1]`: the latents of token t are `latents[ends[t]..ends[t + 1]]`, ascending.
    pub ends: &'a [u32],
    pub latents: &'a [N],
    /// `[d_sae]`: how often each occurs.
    pub n_fired: &'a [u32],
    pub context_size: usize,
    /// Those that are asked about.
    pub asked: Range<usize>,
    /// How many others of each are wanted, and how often they have to be seen.
    pub most: usize,
    pub fewest: u32,
}

/// The others of each latent asked about, the most telling first.
#[derive(Debug, Default, PartialEq)]
pub struct CoActivations {
    pub pointers: Vec<u32>,
    pub others: Vec<u32>,
    pub lags: Vec<i8>,
    pub counts: Vec<u32>,
}

/// Another latent at the distance at which it fires most often.
struct Company {
    other: usize,
    lag: usize,
    count: u32,
    score: f64,
}

impl<N: LatentNumber> CoActivationInput<'_, N> {
    fn check(&self) -> Result<(), KernelError> {
        let Self { ends, latents, n_fired, context_size, ref asked, .. } = *self;
        let n_tokens = ends.len().saturating_sub(1);
        if context_size == 0 || !n_tokens.is_multiple_of(context_size) {
            return Err(KernelError::shape(format!("{n_tokens} tokens are not contexts of {context_size}.")));
        }
        if asked.start > asked.end || asked.end > n_fired.len() {
            return Err(KernelError::shape(format!("Of {} latents, {asked:?} are asked.", n_fired.len())));
        }
        let n_asked: usize = n_fired[asked.clone()].iter().map(|&n| n as usize).sum();
        if n_asked > latents.len() {
            return Err(KernelError::shape(format!(
                "nFired counts {n_asked} firings of the latents {asked:?}, but there are {} in all.",
                latents.len()
            )));
        }
        check_pointers("ends", ends, n_tokens, latents.len())?;
        match latents.iter().max() {
            Some(largest) if largest.index() >= n_fired.len() => Err(KernelError::shape(format!(
                "latents holds {}, where there are {}.",
                largest.index(),
                n_fired.len()
            ))),
            _ => Ok(()),
        }
    }

    fn n_tokens(&self) -> usize {
        self.ends.len() - 1
    }

    /// The tokens of a context that lie around one of it.
    fn around(&self, token: usize) -> Range<usize> {
        let place = token % self.context_size;
        let first = token - place.min(REACH);
        let last = token + (self.context_size - 1 - place).min(REACH);
        first..last + 1
    }

    /// What fires on some tokens.
    fn firing(&self, tokens: Range<usize>) -> &[N] {
        &self.latents[self.ends[tokens.start] as usize..self.ends[tokens.end] as usize]
    }

    /// The tokens on which some latents fire, latent by latent.
    fn positions(&self, latents: &Range<usize>) -> Result<Vec<u32>, KernelError> {
        let mut firsts = vec![0];
        firsts.extend(self.n_fired[latents.clone()].iter().scan(0, |total, &n| {
            *total += n as usize;
            Some(*total)
        }));
        let mut next = firsts.clone();
        let mut positions = vec![0; firsts[latents.len()]];
        for token in 0..self.n_tokens() {
            let firing = self.firing(token..token + 1);
            for latent in &firing[N::below(firing, latents.start)..N::below(firing, latents.end)] {
                // Of latents that do not ascend others are met too, and those asked about are missed.
                let Some(place) = next.get_mut(latent.index().wrapping_sub(latents.start)) else { continue };
                if let Some(position) = positions.get_mut(*place) {
                    *position = token as u32;
                }
                *place += 1;
            }
        }
        if next[..latents.len()] == firsts[1..] {
            return Ok(positions);
        }
        Err(KernelError::shape(format!(
            "nFired is not how often the latents {latents:?} occur, or those of a token do not ascend."
        )))
    }
}

/// The company of one latent.
struct BesideLatent<'a, N> {
    input: &'a CoActivationInput<'a, N>,
    latent: usize,
    /// Where it fires, ascending.
    positions: &'a [u32],
    /// `[LAGS, d_sae]`, all 0 between two latents.
    counts: &'a mut [u32],
}

impl<N: LatentNumber> Kernel for BesideLatent<'_, N> {
    type Output = Vec<Company>;
    #[inline(always)]
    fn run<L: Lanes>(mut self, lanes: L) -> Vec<Company> {
        self.count(lanes);
        let best = self.ranked();
        self.counts.fill(0);
        best
    }
}

impl<N: LatentNumber> BesideLatent<'_, N> {
    #[inline(always)]
    fn count<L: Lanes>(&mut self, lanes: L) {
        let Self { input, positions, .. } = *self;
        for (block, own) in positions.chunks(BLOCK).enumerate() {
            for (lag, counts) in self.counts.chunks_exact_mut(input.n_fired.len()).enumerate() {
                for (k, &position) in own.iter().enumerate() {
                    if lag == 0 {
                        fetch_ahead(lanes, input, &positions[block * BLOCK + k..]);
                    }
                    let (position, token) =
                        (position as usize, (position as usize + lag).wrapping_sub(REACH));
                    if input.around(position).contains(&token) {
                        for latent in input.firing(token..token + 1) {
                            counts[latent.index()] += 1;
                        }
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn ranked(&self) -> Vec<Company> {
        let (input, counts, d_sae) = (self.input, &*self.counts, self.input.n_fired.len());
        let own = f64::from(input.n_fired[self.latent]);
        // Of two lags the one with the larger count has the larger score, where it is above chance.
        let mut largest = counts[..d_sae].to_vec();
        for counts in counts.chunks_exact(d_sae).skip(1) {
            largest.iter_mut().zip(counts).for_each(|(largest, &count)| *largest = count.max(*largest));
        }
        let mut best: Vec<Company> = Vec::new();
        for (other, &count) in largest.iter().enumerate() {
            if count < input.fewest || other == self.latent {
                continue;
            }
            let share = f64::from(count) / own;
            let ratio = share * input.n_tokens() as f64 / f64::from(input.n_fired[other]);
            let least = if best.len() < input.most { 0.0 } else { best[input.most - 1].score };
            // As ln x ≤ x − 1, most need no logarithm.
            if share * (ratio - 1.0) <= least {
                continue;
            }
            let score = share * ratio.ln();
            let place = best.partition_point(|known| known.score >= score);
            if score > 0.0 && place < input.most {
                let lag = (0..LAGS).find(|lag| counts[lag * d_sae + other] == count).unwrap_or(REACH);
                best.insert(place, Company { other, lag, count, score });
                best.truncate(input.most);
            }
        }
        best
    }
}

/// Bring near what will be counted around the firings that follow the first of some.
#[inline(always)]
fn fetch_ahead<L: Lanes, N: LatentNumber>(lanes: L, input: &CoActivationInput<'_, N>, positions: &[u32]) {
    if let Some(&further) = positions.get(2 * AHEAD) {
        lanes.prefetch(input.ends.as_ptr().wrapping_add(further as usize).cast());
    }
    if let Some(&ahead) = positions.get(AHEAD) {
        let firing = input.firing(input.around(ahead as usize));
        for line in firing.chunks(LINE / size_of::<N>()) {
            lanes.prefetch(line.as_ptr().cast());
        }
    }
}

/// For each latent asked about, the others that fire beside it more often than chance has it, at the lag with the most.
pub fn co_activations<N: LatentNumber>(
    engine: &Engine,
    input: &CoActivationInput<'_, N>,
) -> Result<CoActivations, KernelError> {
    input.check()?;
    let d_sae = input.n_fired.len();
    let positions = input.positions(&input.asked)?;
    let mut rest = &positions[..];
    let runs: Vec<(usize, &[u32])> = input
        .asked
        .clone()
        .map(|latent| (latent, rest.split_off(..input.n_fired[latent] as usize).unwrap_or_default()))
        .collect();
    let found: Vec<Vec<Company>> = engine.install(|| {
        let counters = || vec![0; LAGS * d_sae];
        runs.into_par_iter()
            .map_init(counters, |counts, (latent, positions)| {
                engine.instruction_set.run(BesideLatent { input, latent, positions, counts })
            })
            .collect()
    });
    let mut result = CoActivations { pointers: vec![0], ..Default::default() };
    for best in found {
        for Company { other, lag, count, .. } in best {
            result.others.push(other as u32);
            result.lags.push(lag as i8 - REACH as i8);
            result.counts.push(count);
        }
        result.pointers.push(result.others.len() as u32);
    }
    Ok(result)
}
