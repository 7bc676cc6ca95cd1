use crate::on_lines::{LINE, OnLines};

/// Rows of X as they are, each on cache lines of its own: a vector that lies on two is loaded twice.
#[derive(Default)]
pub struct RowsOnLines {
    floats: OnLines,
    d_in: usize,
}

impl RowsOnLines {
    /// `[rows, d_in]`
    pub fn fill(&mut self, x: &[f32], d_in: usize) {
        self.d_in = d_in;
        let width = self.width();
        self.floats.resize(x.len() / d_in * width);
        for (to, row) in self.floats.chunks_exact_mut(width).zip(x.chunks_exact(d_in)) {
            to[..d_in].copy_from_slice(row);
        }
    }

    #[inline(always)]
    pub fn row(&self, row: usize) -> &[f32] {
        &self.floats[row * self.width()..][..self.d_in]
    }

    /// Floats from one row to the next.
    fn width(&self) -> usize {
        self.d_in.next_multiple_of(LINE)
    }
}
