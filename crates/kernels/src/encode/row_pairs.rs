use super::best::Cut;
use super::{EncodeInput, Selection};
use crate::codes::Codes;
use crate::error::KernelError;
use crate::instruction_set::InstructionSet;
use rayon::prelude::*;

/// A kept pre-activation of a row.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    pub latent: u32,
    pub value: f32,
}

/// Pairs of some consecutive rows: `counts[row]` of them for each, latents ascending.
#[derive(Default)]
pub struct RowPairs {
    pub counts: Vec<u32>,
    pub pairs: Vec<Pair>,
}

impl RowPairs {
    /// Keep the n best of all; ties go to the lower row, then to the lower latent.
    fn keep_best(&mut self, set: InstructionSet, n: usize) {
        if self.pairs.len() <= n {
            return;
        }
        let mut cut = Cut::of(set, &self.pairs.iter().map(|pair| pair.value).collect::<Vec<_>>(), n);
        let (mut from, mut to) = (0, 0);
        for count in &mut self.counts {
            let end = from + *count as usize;
            let kept = cut.keep(&mut self.pairs, from..end, to, |pair| pair.value);
            *count = (kept - to) as u32;
            (from, to) = (end, kept);
        }
        self.pairs.truncate(to);
    }
}

/// Join the parts of the same rows that tasks with ascending latents found.
pub fn join_latents(set: InstructionSet, input: &EncodeInput<'_>, mut parts: Vec<RowPairs>) -> RowPairs {
    if parts.len() <= 1 {
        return parts.pop().unwrap_or_default();
    }
    let mut rests: Vec<&[Pair]> = parts.iter().map(|part| &part.pairs[..]).collect();
    let mut joined = RowPairs::default();
    for row in 0..parts[0].counts.len() {
        let mut of_row = RowPairs { counts: vec![0], pairs: Vec::new() };
        for (part, rest) in parts.iter().zip(&mut rests) {
            let (pairs, after) = rest.split_at(part.counts[row] as usize);
            of_row.pairs.extend_from_slice(pairs);
            *rest = after;
        }
        of_row.counts[0] = of_row.pairs.len() as u32;
        if let Selection::TopK(k) = input.selection {
            of_row.keep_best(set, k);
        }
        joined.counts.push(of_row.counts[0]);
        joined.pairs.append(&mut of_row.pairs);
    }
    joined
}

/// Join the rows of all tasks into the codes of the batch.
pub fn join_rows(
    set: InstructionSet,
    input: &EncodeInput<'_>,
    mut parts: Vec<RowPairs>,
) -> Result<Codes, KernelError> {
    if let Selection::BatchTopK { k, .. } = input.selection {
        let mut all = RowPairs::default();
        all.pairs.reserve_exact(parts.iter().map(|part| part.pairs.len()).sum());
        for mut part in parts {
            all.counts.append(&mut part.counts);
            all.pairs.append(&mut part.pairs);
        }
        all.keep_best(set, k.saturating_mul(input.n_rows));
        parts = vec![all];
    }
    let nnz: usize = parts.iter().map(|part| part.pairs.len()).sum();
    if u32::try_from(nnz).is_err() {
        return Err(KernelError::limit(format!(
            "The batch has {nnz} active latents; codes hold 2^32 at most."
        )));
    }
    let mut codes = Codes {
        row_pointers: Vec::with_capacity(input.n_rows + 1),
        latent_indices: vec![0; nnz],
        values: vec![0.0; nnz],
    };
    codes.row_pointers.push(0);
    let mut total = 0;
    for &count in parts.iter().flat_map(|part| &part.counts) {
        total += count;
        codes.row_pointers.push(total);
    }
    codes.row_pointers.resize(input.n_rows + 1, total);
    fill(&mut codes, &parts);
    Ok(codes)
}

fn fill(codes: &mut Codes, parts: &[RowPairs]) {
    let (mut latents, mut values) = (&mut codes.latent_indices[..], &mut codes.values[..]);
    let pieces: Vec<_> = parts
        .iter()
        .map(|part| {
            let (latents_here, rest) = std::mem::take(&mut latents).split_at_mut(part.pairs.len());
            latents = rest;
            let (values_here, rest) = std::mem::take(&mut values).split_at_mut(part.pairs.len());
            values = rest;
            (&part.pairs, latents_here, values_here)
        })
        .collect();
    pieces.into_par_iter().for_each(|(pairs, latents, values)| {
        for ((pair, latent), value) in pairs.iter().zip(latents).zip(values) {
            *latent = pair.latent;
            *value = pair.value;
        }
    });
}
