use super::rows_on_lines::RowsOnLines;
use crate::lanes::Kernel;
use crate::lanes::Lanes;
use crate::lanes::tiles::{ByteTile, TILE_INPUTS, TILE_ROWS};
use crate::screen::{Facts, Quantise, STEPS, padded_inputs};
use std::ops::Range;

/// Rows of X in pairs of bytes, in panels of 16 rows as tiles read them, and the facts of each.
#[derive(Default)]
pub struct TilePanels {
    /// Panel by panel, in it for each 64 inputs a tile of first bytes and one of second bytes.
    tiles: Vec<ByteTile>,
    tiles_of_panel: usize,
    /// Facts of all lanes, by kind. Those of lanes past the last row are 0.
    pub scales: Vec<f32>,
    pub lengths: Vec<f32>,
    pub residuals: Vec<f32>,
    pub seconds: Vec<f32>,
    pub rows: RowsOnLines,
    rotated: Vec<f32>,
    row: Vec<u8>,
}

impl TilePanels {
    #[inline(always)]
    pub fn pack<L: Lanes>(&mut self, lanes: L, x: &[f32], d_in: usize) {
        let padded = padded_inputs(d_in);
        let n_rows = x.len() / d_in;
        let n_lanes = n_rows.next_multiple_of(TILE_ROWS);
        self.tiles_of_panel = 2 * padded / TILE_INPUTS;
        // Lanes past the last row keep what they held: nothing of them passes.
        self.tiles.resize(n_lanes / TILE_ROWS * self.tiles_of_panel, ByteTile::ZERO);
        self.rotated.resize(padded, 0.0);
        self.row.resize(2 * padded, 0);
        self.rows.fill(x, d_in);
        for facts in [&mut self.scales, &mut self.lengths, &mut self.residuals, &mut self.seconds] {
            facts.clear();
            facts.resize(n_lanes, 0.0);
        }
        for row in 0..n_rows {
            let quantise = Quantise {
                row: self.rows.row(row),
                rotated: &mut self.rotated,
                bytes: &mut self.row,
                steps: STEPS,
                offset: 0,
            };
            let Facts { scale, length, residual, second, .. } = quantise.run(lanes);
            self.scales[row] = scale;
            self.lengths[row] = length + residual;
            self.residuals[row] = residual;
            self.seconds[row] = second;
            self.spread(row);
        }
    }

    /// The bytes of a row to its lane of a panel.
    #[inline(always)]
    fn spread(&mut self, row: usize) {
        let (panel, lane) = (row / TILE_ROWS, row % TILE_ROWS);
        let tiles = &mut self.tiles[panel * self.tiles_of_panel..][..self.tiles_of_panel];
        let (firsts, seconds) = self.row.split_at(self.row.len() / 2);
        let bytes = firsts.chunks_exact(TILE_INPUTS).zip(seconds.chunks_exact(TILE_INPUTS));
        for (pair, (firsts, seconds)) in tiles.chunks_exact_mut(2).zip(bytes) {
            for (tile, bytes) in pair.iter_mut().zip([firsts, seconds]) {
                for (group, four) in tile.0.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    group[lane] = four.map(u8::cast_signed);
                }
            }
        }
    }

    pub fn n_panels(&self) -> usize {
        self.scales.len() / TILE_ROWS
    }

    /// The lanes of a panel.
    pub fn lanes(panel: usize) -> Range<usize> {
        panel * TILE_ROWS..(panel + 1) * TILE_ROWS
    }

    pub fn panel(&self, panel: usize) -> &[ByteTile] {
        &self.tiles[panel * self.tiles_of_panel..][..self.tiles_of_panel]
    }
}
