use crate::error::{KernelError, expect_length};

/// Sparse latent activations of a batch, in CSR form: the pairs of row b are `row_pointers[b]..row_pointers[b + 1]`,
/// their latents ascending.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Codes {
    pub row_pointers: Vec<u32>,
    pub latent_indices: Vec<u32>,
    pub values: Vec<f32>,
}

/// Borrowed [`Codes`], with their sizes.
#[derive(Debug, Clone, Copy)]
pub struct CodesView<'a> {
    pub n_rows: usize,
    pub d_sae: usize,
    pub row_pointers: &'a [u32],
    pub latent_indices: &'a [u32],
    pub values: &'a [f32],
}

impl CodesView<'_> {
    /// Refuse pointers that go back or end elsewhere, and latents outside the dictionary. After this, the ranges of
    /// rows and the latents can be used as indices.
    pub(crate) fn check(&self) -> Result<(), KernelError> {
        check_pointers("codes.rowPointers", self.row_pointers, self.n_rows, self.latent_indices.len())?;
        check_indices("codes.latentIndices", self.latent_indices, self.d_sae)?;
        expect_length("codes.values", self.values.len(), &[self.latent_indices.len()])
    }

    /// The pairs of a row, as a range of pair indices.
    pub(crate) fn pairs_of(&self, row: usize) -> std::ops::Range<usize> {
        self.row_pointers[row] as usize..self.row_pointers[row + 1] as usize
    }
}

/// Pointers of n ranges that together cover `0..nnz`.
pub(crate) fn check_pointers(name: &str, pointers: &[u32], n: usize, nnz: usize) -> Result<(), KernelError> {
    expect_length(name, pointers.len(), &[n + 1])?;
    let ends = pointers[0] == 0 && pointers[n] as usize == nnz;
    if ends && pointers.is_sorted() {
        return Ok(());
    }
    Err(KernelError::shape(format!("{name} does not ascend from 0 to the number of pairs, {nnz}.")))
}

pub(crate) fn check_indices(name: &str, indices: &[u32], limit: usize) -> Result<(), KernelError> {
    // One maximum over all is a vector loop; a search for the first wrong one is not.
    match indices.iter().copied().max() {
        Some(largest) if largest as usize >= limit => {
            Err(KernelError::shape(format!("{name} holds {largest}, where indices are below {limit}.")))
        }
        _ => Ok(()),
    }
}
