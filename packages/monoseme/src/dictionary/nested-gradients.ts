import type { Codes, CodesByLatent, KernelBackend, NestedResidualsInput } from '../kernels/contract.ts';
import { affine_, sumsByLatent } from './sparse-sum.ts';
import type { DecoderTurn, Gradients, Step } from './architecture.ts';

/** Groups of latents, so many of which have their residuals in memory at once. */
export interface Turns {
  /** Where each group of latents ends. */
  readonly ends: readonly number[];
  readonly nHeld: number;
  /** [nHeld, nRows, dOut] */
  readonly residuals: Float32Array;
}

/** Gradients of a weighted sum of squared errors, each of a reconstruction by more groups of pairs than the one before. */
export interface NestedGradients {
  readonly gradients: Omit<Gradients, 'sums'>;
  /** Of which the rows of the decoder's gradient were made. */
  readonly input: NestedResidualsInput;
  /** Σ_b ‖e_bg‖² with the groups 0 … g. */
  readonly squaredErrors: Float64Array;
}

/**
 * Loss       1/B Σ_b Σ_g w_g ‖e_bg‖²,  e_g = b_dec + Σ_{groups 0 … g} f_j W_dec[j] − x
 * Gradients  with E_bg = Σ_{h ≥ g} w_h e_bh for a pair of group g:
 *            δ_bj = 2⟨E_bg, W_dec[j]⟩/B,  ∂W_dec[j] = 2/B Σ_b f_bj E_bg,  ∂b_dec = 2/B Σ_b E_b0 (decoder path)
 * Computed   times 1/w of the last group, so that the last of the errors is that of the whole
 * Memory     with turns `nHeld` residuals at once: those of the last groups come first, and each turn makes those of the
 *            groups before it anew from their decoder rows. Any number gives the same bits.
 *
 * @param groups [nnz]: the group of each pair
 * @param turns where each group of latents ends, and where the residuals of `nHeld` groups go; absent where a latent may be in
 *   several groups: residuals of all are held then
 * @param coefficients [nnz]: where those of the decoder go; the values of the pairs may give their place
 */
export async function nestedGradients(
  step: Step,
  acts: Codes,
  groups: Uint8Array,
  weights: readonly number[],
  turns?: Turns,
  coefficients = step.buffers.floats('decoder coefficients', acts.values.length),
): Promise<NestedGradients> {
  const { backend, buffers, target, nRows, dOut } = step;
  const { W_dec, b_dec } = step.weights;
  const last = weights.length - 1;
  const length = nRows * dOut;
  const nHeld = turns?.nHeld ?? weights.length;
  const input: NestedResidualsInput = {
    codes: acts,
    dOut,
    W_dec,
    b_dec,
    target,
    groups,
    weights: Float32Array.from(weights, (weight) => weight / weights[last]),
    residuals: turns?.residuals ?? buffers.floats('nested residuals', nHeld * length),
  };
  const [{ byLatent, rowIndices }, errors] = await Promise.all([
    byLatentWithPlaces(step, acts, groups, nHeld),
    backend.nestedResiduals(input),
  ]);
  const rows = errors.residuals;
  const place = last % nHeld;
  const residuals = rows.subarray(place * length, (place + 1) * length);
  const factor = (2 * weights[last]) / nRows;
  const deltas = affine_(errors.products, errors.products, factor, 0);
  const preActs = sumsByLatent(acts, deltas);
  return {
    gradients: {
      encoder: { byLatent, coefficients: deltas, rows: step.x },
      decoder: {
        byLatent: { ...byLatent, nRows: nRows * nHeld, rowIndices },
        coefficients: affine_(coefficients, acts.values, factor, 0),
        rows,
      },
      ...(turns && nHeld < weights.length && { turns: turnsOf(backend, input, turns) }),
      preActs,
      b_enc: preActs,
      b_dec: { rows: rows.subarray(0, length), factor },
      further: {},
      residuals,
      acts,
    },
    input,
    squaredErrors: Float64Array.from(weights, (_, g) => {
      let sum = 0;
      for (let i = g; i < errors.squaredErrors.length; i += weights.length) sum += errors.squaredErrors[i];
      return sum;
    }),
  };
}

/** Transposed pairs, and for row b of a pair of group g where its weighted error is: computed while the kernels run. */
async function byLatentWithPlaces(
  { backend, buffers, nRows }: Step,
  acts: Codes,
  groups: Uint8Array,
  nHeld: number,
): Promise<{ byLatent: CodesByLatent; rowIndices: Uint32Array }> {
  const byLatent = await backend.transpose(acts);
  const { pairIndices } = byLatent;
  const rowIndices = buffers.indices('places of errors', pairIndices.length);
  for (let i = 0; i < rowIndices.length; i++)
    rowIndices[i] = byLatent.rowIndices[i] + (groups[pairIndices[i]] % nHeld) * nRows;
  return { byLatent, rowIndices };
}

/** The last groups first, as many at a time as are held: their residuals are there when the first turn begins. */
function turnsOf(backend: KernelBackend, input: NestedResidualsInput, { ends, nHeld }: Turns): DecoderTurn[] {
  let inMemory = ends.length;
  const turns: DecoderTurn[] = [];
  for (let end = ends.length; end > 0; end -= nHeld) {
    const mask = new Uint8Array(input.codes.dSae).fill(1, ends[end - nHeld - 1] ?? 0, ends[end - 1]);
    const begin = async () => {
      if (inMemory !== end) await backend.nestedResiduals({ ...input, end });
      inMemory = end;
    };
    turns.push({ mask, begin });
  }
  return turns;
}
