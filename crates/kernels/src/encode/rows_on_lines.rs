/// Rows of X as they are, each on cache lines of its own: a vector that lies on two is loaded twice.
#[derive(Default)]
pub struct RowsOnLines {
    lines: Vec<Line>,
    d_in: usize,
}

/// A cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line([f32; LINE]);

const LINE: usize = 16;

impl RowsOnLines {
    /// `[rows, d_in]`
    pub fn fill(&mut self, x: &[f32], d_in: usize) {
        self.d_in = d_in;
        let n = d_in.div_ceil(LINE);
        self.lines.resize(x.len() / d_in * n, Line([0.0; LINE]));
        for (lines, row) in self.lines.chunks_exact_mut(n).zip(x.chunks_exact(d_in)) {
            for (line, piece) in lines.iter_mut().zip(row.chunks(LINE)) {
                line.0[..piece.len()].copy_from_slice(piece);
            }
        }
    }

    #[inline(always)]
    pub fn row(&self, row: usize) -> &[f32] {
        let n = self.d_in.div_ceil(LINE);
        let lines = &self.lines[row * n..][..n];
        // SAFETY: a line is its 16 floats and nothing else.
        let floats = unsafe { std::slice::from_raw_parts(lines.as_ptr().cast::<f32>(), LINE * lines.len()) };
        &floats[..self.d_in]
    }
}
