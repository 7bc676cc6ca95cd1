use std::ops::{Deref, DerefMut};

/// Floats of a cache line.
pub const LINE: usize = 16;

/// A buffer of floats that begins on a cache line: a vector that lies on two lines is loaded twice.
#[derive(Default)]
pub struct OnLines {
    floats: Vec<f32>,
    start: usize,
    n: usize,
}

impl OnLines {
    /// Make it hold so many floats; what they are is not said.
    pub fn resize(&mut self, n: usize) {
        self.floats.resize(n + LINE, 0.0);
        self.start = self.floats.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        self.n = n;
    }
}

impl Deref for OnLines {
    type Target = [f32];
    #[inline(always)]
    fn deref(&self) -> &[f32] {
        &self.floats[self.start..self.start + self.n]
    }
}

impl DerefMut for OnLines {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.floats[self.start..self.start + self.n]
    }
}
