//! Sums over pairs of columns of two sparse matrices: what correlations between latents are made of.

use crate::codes::CodesView;
use crate::engine::Engine;
use crate::error::{KernelError, expect_length};
use crate::lanes::{Kernel, Lanes};
use crate::transpose::{CodesByLatent, transpose};
use rayon::prelude::*;

pub struct PairSumsInput<'a> {
    pub a: CodesView<'a>,
    pub b: CodesView<'a>,
    /// 1, 2 or 4 sums a pair.
    pub width: usize,
    /// `[a.d_sae, b.d_sae, width]`, added to.
    pub sums: &'a mut [f64],
}

/// Pairs of a column that are fetched ahead: its rows lie far from each other, and none is in cache.
const AHEAD: usize = 8;
/// Floats of a cache line.
const LINE: usize = 16;

/// What one column of a adds to its sums.
struct AddColumn<'a> {
    a: CodesView<'a>,
    b: CodesView<'a>,
    by_latent: &'a CodesByLatent,
    column: usize,
    width: usize,
    sums: &'a mut [f64],
}

impl Kernel for AddColumn<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        match self.width {
            1 => self.add::<L, 1>(lanes),
            2 => self.add::<L, 2>(lanes),
            _ => self.add::<L, 4>(lanes),
        }
    }
}

impl AddColumn<'_> {
    #[inline(always)]
    fn add<L: Lanes, const WIDTH: usize>(self, lanes: L) {
        let Self { a, b, by_latent, column, sums, .. } = self;
        let (sums, _) = sums.as_chunks_mut::<WIDTH>();
        let pairs =
            by_latent.latent_pointers[column] as usize..by_latent.latent_pointers[column + 1] as usize;
        let rows = &by_latent.row_indices[pairs.clone()];
        let places = &by_latent.pair_indices[pairs];
        for (k, (&row, &place)) in rows.iter().zip(places).enumerate() {
            let ahead = (k + AHEAD).min(rows.len() - 1);
            lanes.prefetch(a.values.as_ptr().wrapping_add(places[ahead] as usize));
            let next = b.pairs_of(rows[ahead] as usize);
            for pair in next.step_by(LINE) {
                lanes.prefetch(b.values.as_ptr().wrapping_add(pair));
                lanes.prefetch(b.latent_indices.as_ptr().wrapping_add(pair).cast());
            }
            let fa = f64::from(a.values[place as usize]);
            let others = b.pairs_of(row as usize);
            for (&other, &fb) in b.latent_indices[others.clone()].iter().zip(&b.values[others]) {
                let fb = f64::from(fb);
                let own = &mut sums[other as usize];
                // Products of two f32 are exact in f64, so these are the bits of the plain loop.
                own[0] += fa * fb;
                if WIDTH >= 2 {
                    own[1] += 1.0;
                }
                if WIDTH == 4 {
                    own[2] += fb * fb;
                    own[3] += fa * fa;
                }
            }
        }
    }
}

/// Add to the sums of every pair of columns the rows on which both stand. Every column of a is one thread's, its rows
/// ascending.
pub fn add_pair_sums(engine: &Engine, input: PairSumsInput<'_>) -> Result<(), KernelError> {
    let PairSumsInput { a, b, width, sums } = input;
    if ![1, 2, 4].contains(&width) {
        return Err(KernelError::option(format!("width is {width}, which is not 1, 2 or 4.")));
    }
    if a.n_rows != b.n_rows {
        return Err(KernelError::shape(format!("a has {} rows and b {}.", a.n_rows, b.n_rows)));
    }
    b.check()?;
    expect_length("sums", sums.len(), &[a.d_sae, b.d_sae, width])?;
    let by_latent = transpose(engine, &a)?;
    engine.install(|| {
        sums.par_chunks_mut((b.d_sae * width).max(1)).enumerate().for_each(|(column, sums)| {
            let by_latent = &by_latent;
            engine.instruction_set.run(AddColumn { a, b, by_latent, column, width, sums });
        });
    });
    Ok(())
}
