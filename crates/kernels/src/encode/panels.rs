use crate::on_lines::OnLines;
use std::ops::Range;

/// Inputs of a block: sums go to memory and back between blocks of d_in.
pub const BLOCK: usize = 512;

/// Inputs that are packed at a time.
const PIECE: usize = 64;

/// Some rows of X, packed for the micro-kernel: block by block of d_in, in it panel by panel, in it `[k][lane]`.
/// The lanes of rows past the end are 0.
#[derive(Default)]
pub struct Panels {
    packed: OnLines,
    /// Vectors of rows of each panel; the last may have fewer.
    pub vectors: Vec<usize>,
    /// Lanes of all panels before each one, and of all at the end.
    starts: Vec<usize>,
    d_in: usize,
    is_packed: bool,
}

/// A piece of a row past the end.
static ZEROS: [f32; PIECE] = [0.0; PIECE];

/// out[k · stride + i] = rows[i][k]. Four inputs at a time make a 4 × 4 block that stays in registers.
fn transpose_rows(rows: [&[f32]; 4], out: &mut [f32], stride: usize) {
    let n = rows[0].len();
    let whole = n / 4 * 4;
    for k in (0..whole).step_by(4) {
        let block: [[f32; 4]; 4] = rows.map(|row| [row[k], row[k + 1], row[k + 2], row[k + 3]]);
        for i in 0..4 {
            let column = [block[0][i], block[1][i], block[2][i], block[3][i]];
            out[(k + i) * stride..][..4].copy_from_slice(&column);
        }
    }
    for k in whole..n {
        for (i, row) in rows.iter().enumerate() {
            out[k * stride + i] = row[k];
        }
    }
}

impl Panels {
    /// Cut so many rows into panels; nothing is packed yet.
    pub fn lay_out(&mut self, n_rows: usize, d_in: usize, width: usize, most_vectors: usize) {
        self.d_in = d_in;
        self.is_packed = false;
        self.vectors.clear();
        self.starts.clear();
        let mut start = 0;
        while start < n_rows {
            let vectors = (n_rows - start).div_ceil(width).min(most_vectors);
            self.vectors.push(vectors);
            self.starts.push(start);
            start += vectors * width;
        }
        self.starts.push(start);
    }

    /// Pack the rows that were laid out, unless they are packed.
    pub fn pack(&mut self, x: &[f32]) {
        if std::mem::replace(&mut self.is_packed, true) {
            return;
        }
        self.packed.resize(self.n_lanes() * self.d_in);
        for block in 0..self.n_blocks() {
            for panel in 0..self.vectors.len() {
                self.pack_panel(x, block, panel);
            }
        }
    }

    fn pack_panel(&mut self, x: &[f32], block: usize, panel: usize) {
        let d_in = self.d_in;
        let inputs = self.inputs(block);
        let rows = self.rows(panel);
        let n_rows = x.len() / d_in;
        let range = self.range(block, panel);
        let out = &mut self.packed[range];
        let width = rows.len();
        // Piece by piece of the inputs, so that the lines written stay in L1 until all lanes are in them.
        for start in inputs.clone().step_by(PIECE) {
            let end = inputs.end.min(start + PIECE);
            let out = &mut out[(start - inputs.start) * width..(end - inputs.start) * width];
            for (group, first) in rows.clone().step_by(4).enumerate() {
                let row = |i: usize| {
                    if i < n_rows { &x[i * d_in + start..i * d_in + end] } else { &ZEROS[..end - start] }
                };
                transpose_rows(std::array::from_fn(|i| row(first + i)), &mut out[4 * group..], width);
            }
        }
    }

    pub fn n_blocks(&self) -> usize {
        self.d_in.div_ceil(BLOCK)
    }

    /// The inputs of a block.
    pub fn inputs(&self, block: usize) -> Range<usize> {
        block * BLOCK..self.d_in.min((block + 1) * BLOCK)
    }

    /// The lanes of a panel: its rows, counted from the first row packed, and padding.
    pub fn rows(&self, panel: usize) -> Range<usize> {
        self.starts[panel]..self.starts[panel + 1]
    }

    /// All lanes.
    pub fn n_lanes(&self) -> usize {
        self.starts[self.vectors.len()]
    }

    fn range(&self, block: usize, panel: usize) -> Range<usize> {
        let inputs = self.inputs(block);
        let rows = self.rows(panel);
        let start = inputs.start * self.n_lanes() + rows.start * inputs.len();
        start..start + rows.len() * inputs.len()
    }

    /// `[inputs of the block][lanes of the panel]`
    #[inline(always)]
    pub fn panel(&self, block: usize, panel: usize) -> &[f32] {
        &self.packed[self.range(block, panel)]
    }
}
