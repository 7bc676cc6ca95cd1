use super::panels::Panels;
use super::rows_on_lines::RowsOnLines;
use crate::lanes::dots::Dots;
use crate::lanes::{Kernel, Lanes};
use crate::screen::{Facts, Quantise, padded_inputs};

/// The rows of [`Panels`] in bytes (q + `OFFSET`): panel by panel, in it `[k / 4][lane][4]`, and the facts of each.
#[derive(Default)]
pub struct BytePanels {
    bytes: Vec<u8>,
    /// Facts of all lanes, by kind. Those of lanes past the last row are 0.
    pub scales: Vec<f32>,
    pub lengths: Vec<f32>,
    pub residuals: Vec<f32>,
    pub rows: RowsOnLines,
    rotated: Vec<f32>,
    row: Vec<u8>,
    padded: usize,
}

impl BytePanels {
    #[inline(always)]
    pub fn pack<D: Dots>(&mut self, dots: D, x: &[f32], d_in: usize, panels: &Panels) {
        let padded = padded_inputs(d_in);
        self.padded = padded;
        self.bytes.resize(panels.n_lanes() * padded, 0);
        self.rotated.resize(padded, 0.0);
        self.row.resize(padded, 0);
        self.rows.fill(x, d_in);
        for facts in [&mut self.scales, &mut self.lengths, &mut self.residuals] {
            facts.clear();
            facts.resize(panels.n_lanes(), 0.0);
        }
        for panel in 0..panels.vectors.len() {
            let rows = panels.rows(panel);
            let bytes = &mut self.bytes[rows.start * padded..rows.end * padded];
            for (lane, row) in rows.clone().enumerate().take_while(|&(_, row)| (row + 1) * d_in <= x.len()) {
                let quantise = Quantise {
                    row: self.rows.row(row),
                    rotated: &mut self.rotated,
                    bytes: &mut self.row,
                    steps: D::STEPS,
                    offset: D::OFFSET,
                };
                let Facts { scale, length, residual, .. } = quantise.run(dots.lanes());
                self.scales[row] = scale;
                self.lengths[row] = length + residual;
                self.residuals[row] = residual;
                for (four, out) in
                    self.row.as_chunks::<4>().0.iter().zip(bytes.chunks_exact_mut(4 * rows.len()))
                {
                    out[4 * lane..][..4].copy_from_slice(four);
                }
            }
        }
    }

    #[inline(always)]
    pub fn panel(&self, panels: &Panels, panel: usize) -> &[u8] {
        let rows = panels.rows(panel);
        &self.bytes[rows.start * self.padded..rows.end * self.padded]
    }
}

/// sums[m][lane] = start[m] + Σ_k weights[m][k] · panel[k][lane] over bytes, exactly, as f32.
///
/// # Safety
/// Each of `weights` must be readable for `depth` bytes (a multiple of 4), `panel` for `depth · VECTORS · WIDTH`;
/// `sums` must be writable for `LATENTS · VECTORS · WIDTH` floats.
#[inline(always)]
pub unsafe fn multiply_bytes<D: Dots, const LATENTS: usize, const VECTORS: usize>(
    dots: D,
    depth: usize,
    weights: [*const i8; LATENTS],
    start: [i32; LATENTS],
    panel: *const u8,
    sums: *mut f32,
) {
    let width = D::Lanes::WIDTH;
    // SAFETY: m < LATENTS, v < VECTORS and k + 4 <= depth, so every address is within what the caller vouches for.
    unsafe {
        let mut tile = [[dots.splat_sums(0); VECTORS]; LATENTS];
        for (sums, start) in tile.iter_mut().zip(start) {
            sums.fill(dots.splat_sums(start));
        }
        for k in (0..depth).step_by(4) {
            let mut x = [dots.load_bytes(panel.add(k * VECTORS * width)); VECTORS];
            for (v, x) in x.iter_mut().enumerate().skip(1) {
                *x = dots.load_bytes(panel.add((k * VECTORS + 4 * v) * width));
            }
            for (weights, sums) in weights.iter().zip(&mut tile) {
                let four = weights.add(k).cast::<i32>().read_unaligned();
                for (sum, &x) in sums.iter_mut().zip(&x) {
                    *sum = dots.add_products(*sum, x, four);
                }
            }
        }
        for (m, row) in tile.into_iter().enumerate() {
            for (v, sum) in row.into_iter().enumerate() {
                dots.lanes().store(sums.add((m * VECTORS + v) * width), dots.to_floats(sum));
            }
        }
    }
}
