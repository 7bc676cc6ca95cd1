import type { Codes } from '../kernels/contract.ts';
import { affine_ } from './sparse-sum.ts';
import { type Gradients, sharedGradients, type Step } from './architecture.ts';

/** Gradients of a weighted sum of squared errors, each of a reconstruction by more groups of pairs than the one before. */
export interface NestedGradients {
  readonly gradients: Omit<Gradients, 'sums'>;
  /** Σ_b ‖e_bg‖² with the groups 0 … g. */
  readonly squaredErrors: Float64Array;
}

/**
 * Loss       1/B Σ_b Σ_g w_g ‖e_bg‖²,  e_g = b_dec + Σ_{groups 0 … g} f_j W_dec[j] − x
 * Gradients  with E_bg = Σ_{h ≥ g} w_h e_bh for a pair of group g:
 *            δ_bj = 2⟨E_bg, W_dec[j]⟩/B,  ∂W_dec[j] = 2/B Σ_b f_bj E_bg,  ∂b_dec = 2/B Σ_b E_b0 (decoder path)
 * Computed   times 1/w of the last group, so that the last of the errors is that of the whole
 *
 * @param groups [nnz]: the group of each pair
 */
export async function nestedGradients(
  step: Step,
  acts: Codes,
  groups: Uint8Array,
  weights: readonly number[],
): Promise<NestedGradients> {
  const { backend, buffers, target, nRows, dOut } = step;
  const { W_dec, b_dec } = step.weights;
  const last = weights.length - 1;
  const length = nRows * dOut;
  const byLatentWithRows = backend.transpose(acts).then((byLatent) => {
    // Row b of a pair of group g is row g·B + b of the weighted errors; computed while the kernels run.
    const rowIndices = byLatent.rowIndices.slice();
    const { pairIndices } = byLatent;
    for (let i = 0; i < rowIndices.length; i++) rowIndices[i] += groups[pairIndices[i]] * nRows;
    return { byLatent, rowIndices };
  });
  const [{ byLatent, rowIndices }, errors] = await Promise.all([
    byLatentWithRows,
    backend.nestedResiduals({
      codes: acts,
      dOut,
      W_dec,
      b_dec,
      target,
      groups,
      weights: Float32Array.from(weights, (weight) => weight / weights[last]),
      residuals: buffers.floats('nested residuals', weights.length * length),
    }),
  ]);
  const rows = errors.residuals;
  const residuals = rows.subarray(last * length);
  const factor = (2 * weights[last]) / nRows;
  const deltas = affine_(buffers.floats('deltas', errors.products.length), errors.products, factor, 0);
  const shared = sharedGradients(step, acts, byLatent, residuals, deltas);
  const { coefficients } = shared.decoder;
  return {
    gradients: {
      ...shared,
      decoder: {
        byLatent: { ...byLatent, nRows: nRows * weights.length, rowIndices },
        coefficients: affine_(coefficients, acts.values, factor, 0),
        rows,
      },
      b_dec: { rows: rows.subarray(0, length), factor },
    },
    squaredErrors: Float64Array.from(weights, (_, g) => {
      let sum = 0;
      for (let i = g; i < errors.squaredErrors.length; i += weights.length) sum += errors.squaredErrors[i];
      return sum;
    }),
  };
}
