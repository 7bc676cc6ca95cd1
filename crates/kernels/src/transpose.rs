use crate::codes::{CodesView, check_indices, check_pointers};
use crate::engine::Engine;
use crate::error::{KernelError, expect_length};
use rayon::prelude::*;
use std::ops::Range;

/// The pairs of a batch sorted by latent (CSC form), rows ascending within a latent.
#[derive(Debug, Default)]
pub struct CodesByLatent {
    pub latent_pointers: Vec<u32>,
    pub row_indices: Vec<u32>,
    /// Where each pair stands in the CSR arrays.
    pub pair_indices: Vec<u32>,
}

/// Borrowed [`CodesByLatent`], with their sizes.
#[derive(Debug, Clone, Copy)]
pub struct CodesByLatentView<'a> {
    pub n_rows: usize,
    pub d_sae: usize,
    pub latent_pointers: &'a [u32],
    pub row_indices: &'a [u32],
    pub pair_indices: &'a [u32],
}

impl CodesByLatentView<'_> {
    pub(crate) fn check(&self) -> Result<(), KernelError> {
        let nnz = self.row_indices.len();
        check_pointers("byLatent.latentPointers", self.latent_pointers, self.d_sae, nnz)?;
        expect_length("byLatent.pairIndices", self.pair_indices.len(), &[nnz])?;
        check_indices("byLatent.rowIndices", self.row_indices, self.n_rows)?;
        check_indices("byLatent.pairIndices", self.pair_indices, nnz)
    }
}

/// The pairs of a row whose latents are in a range: latents ascend within a row.
fn pairs_in(codes: &CodesView<'_>, row: usize, latents: &Range<usize>) -> Range<usize> {
    let pairs = codes.pairs_of(row);
    let of_row = &codes.latent_indices[pairs.clone()];
    let start = of_row.partition_point(|&latent| (latent as usize) < latents.start);
    let end = of_row.partition_point(|&latent| (latent as usize) < latents.end);
    pairs.start + start..pairs.start + end
}

/// How often each latent of a range occurs.
fn count(codes: &CodesView<'_>, latents: &Range<usize>) -> Vec<u32> {
    let mut counts = vec![0; latents.len()];
    for row in 0..codes.n_rows {
        for &latent in &codes.latent_indices[pairs_in(codes, row, latents)] {
            counts[latent as usize - latents.start] += 1;
        }
    }
    counts
}

/// The part of the result that belongs to a range of latents.
struct Part<'a> {
    latents: Range<usize>,
    counts: Vec<u32>,
    row_indices: &'a mut [u32],
    pair_indices: &'a mut [u32],
}

impl Part<'_> {
    fn fill(self, codes: &CodesView<'_>) {
        let mut next = self.counts;
        let mut total = 0;
        for count in &mut next {
            total += std::mem::replace(count, total);
        }
        for row in 0..codes.n_rows {
            for pair in pairs_in(codes, row, &self.latents) {
                let place = &mut next[codes.latent_indices[pair] as usize - self.latents.start];
                self.row_indices[*place as usize] = row as u32;
                self.pair_indices[*place as usize] = pair as u32;
                *place += 1;
            }
        }
    }
}

fn expect_ascending(codes: &CodesView<'_>) -> Result<(), KernelError> {
    for row in 0..codes.n_rows {
        if !codes.latent_indices[codes.pairs_of(row)].is_sorted() {
            return Err(KernelError::shape(format!("codes.latentIndices does not ascend in row {row}.")));
        }
    }
    Ok(())
}

/// Sort the pairs by latent: a counting sort, in which every thread has a range of latents to itself.
pub fn transpose(engine: &Engine, codes: &CodesView<'_>) -> Result<CodesByLatent, KernelError> {
    codes.check()?;
    expect_ascending(codes)?;
    let nnz = codes.latent_indices.len();
    let size = codes.d_sae.div_ceil(engine.threads()).max(1);
    let ranges: Vec<_> =
        (0..codes.d_sae).step_by(size).map(|start| start..codes.d_sae.min(start + size)).collect();
    engine.install(|| {
        let counted: Vec<_> =
            ranges.into_par_iter().map(|latents| (count(codes, &latents), latents)).collect();
        let mut result = CodesByLatent {
            latent_pointers: vec![0; codes.d_sae + 1],
            row_indices: vec![0; nnz],
            pair_indices: vec![0; nnz],
        };
        let mut total = 0;
        for (latent, &count) in counted.iter().flat_map(|(counts, _)| counts).enumerate() {
            total += count;
            result.latent_pointers[latent + 1] = total;
        }
        let (mut rows, mut pairs) = (&mut result.row_indices[..], &mut result.pair_indices[..]);
        let parts: Vec<_> = counted
            .into_iter()
            .map(|(counts, latents)| {
                let n = counts.iter().map(|&count| count as usize).sum();
                let (row_indices, rest) = std::mem::take(&mut rows).split_at_mut(n);
                rows = rest;
                let (pair_indices, rest) = std::mem::take(&mut pairs).split_at_mut(n);
                pairs = rest;
                Part { latents, counts, row_indices, pair_indices }
            })
            .collect();
        parts.into_par_iter().for_each(|part| part.fill(codes));
        Ok(result)
    })
}
