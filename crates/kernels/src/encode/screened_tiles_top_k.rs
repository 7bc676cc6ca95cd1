//! The k largest of each row by screening with pairs of bytes: as in `screened_top_k`, and since bounds are close, what is
//! worked out is hardly more than is kept.

use super::screened::{SCREENED_LATENTS, Screening};
use super::screened_tiles::{Group, OnTiles};
use super::screened_top_k::{LEAST_LISTED, MOST_LISTED, SAMPLED, quantiles, ranks, work_out_best};
use super::tile::Scratch;
use super::tile_panels::TilePanels;
use crate::lanes::Lanes;
use crate::lanes::tiles::{Products, TILE_LATENTS, TILE_ROWS, Tiles};
use crate::screen::Facts;

/// Panels whose samples are held at a time.
const PANELS_HELD: usize = 4;

impl<L: Lanes, T: Tiles> OnTiles<'_, L, T> {
    /// Whether the task was done by screening; false leaves the collector in an undefined state.
    #[inline(always)]
    pub fn run_top_k(&self, k: usize, scratch: &mut Scratch) -> bool {
        let task = self.screen.task;
        self.pack(scratch);
        let n_rows = task.rows.len();
        let mut bars = vec![0.0; scratch.screening.tiles.scales.len()];
        self.sample(k, &mut scratch.screening, &mut bars);
        scratch.collector.bars[..n_rows].copy_from_slice(&bars[..n_rows]);
        let most = LEAST_LISTED.max((MOST_LISTED * (n_rows * task.places.len()) as f32) as usize);
        let mut ends = vec![0];
        for start in task.places.clone().step_by(SCREENED_LATENTS) {
            self.block(start..task.places.end.min(start + SCREENED_LATENTS), scratch, most);
            ends.push(scratch.screening.candidates.len());
        }
        if scratch.screening.candidates.len() > most {
            self.screen.shared.top_k_density.refuse();
            return false;
        }
        let Scratch { screening: Screening { tiles: x, candidates, waiting, .. }, collector, .. } = scratch;
        let margin = |row: usize, Facts { length, residual, second, .. }: Facts| {
            x.lengths[row] * residual + x.residuals[row] * length + x.seconds[row] * second
        };
        let work = self.screen.work_out(&x.rows, &x.lengths, collector, waiting);
        work_out_best(self.lanes, work, candidates, &ends, k, &bars, margin)
    }

    /// Bars of all rows by a sample of the latents, 0 where it knows none.
    #[inline(always)]
    fn sample(&self, k: usize, screening: &mut Screening, bars: &mut [f32]) {
        let Screening { tiles: x, sample, gathered, .. } = screening;
        let places = self.screen.task.places.clone();
        let n_groups = places.len().div_ceil(SAMPLED * TILE_LATENTS);
        let n_sampled = n_groups * TILE_LATENTS;
        sample.resize(sample.len().max(PANELS_HELD * n_sampled * TILE_ROWS), 0.0);
        let (_, rank) = ranks(k, n_sampled, places.len());
        let mut products = Products::ZERO;
        for first in (0..x.n_panels()).step_by(PANELS_HELD) {
            let panels = first..x.n_panels().min(first + PANELS_HELD);
            for group in 0..n_groups {
                // The last latent stands in for those past it: bars are guesses.
                let start = places.start + group * places.len() / n_groups;
                let of_group = Group::new(self.screen, start..places.end, gathered);
                for panel in panels.clone() {
                    let out = &mut sample[(panel - first) * n_sampled * TILE_ROWS..];
                    let out = &mut out[group * TILE_LATENTS * TILE_ROWS..][..TILE_LATENTS * TILE_ROWS];
                    self.tiles.multiply(of_group.bytes, x.panel(panel), &mut products);
                    of_group.approximate(self.lanes, x, panel, &products, out);
                }
            }
            for (panel, values) in panels.zip(sample.chunks_exact(n_sampled * TILE_ROWS)) {
                let bars = &mut bars[TilePanels::lanes(panel)];
                match L::WIDTH {
                    16 => quantiles::<L, 1>(values, rank, bars),
                    _ => quantiles::<L, 4>(values, rank, bars),
                }
            }
        }
    }
}
