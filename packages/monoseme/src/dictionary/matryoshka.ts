import type { Codes, Residuals } from '../kernels/contract.ts';
import {
  type Architecture,
  type Gradients,
  reconstruct,
  sharedGradients,
  type Step,
} from './architecture.ts';
import { withAuxK } from './aux-k.ts';
import { batchTopK, encodeLifted } from './batch-top-k.ts';
import { total } from './sparse-sum.ts';
import { subCodes, type SubCodes } from './sub-codes.ts';

/**
 * Matryoshka BatchTopK (Bussmann et al. 2025): nested dictionaries, each of which must reconstruct alone.
 *
 * Loss       L = 1/B Σ_b Σ_k w_k ‖x_b − x̂_bk‖² + AuxK,  x̂_k = b_dec + Σ_{j < m_k} f_j W_dec[j],  f by BatchTopK over
 *            all latents, m_k = round(prefixes[k] · dSae)
 * Gradients  with e_k = x̂_k − x and, for latent j whose smallest prefix is g, E_bg = Σ_{k ≥ g} w_k e_bk:
 *            δ_bj = 2⟨E_bg, W_dec[j]⟩/B,  ∂W_dec[j] = 2/B Σ_b f_bj E_bg,  ∂b_dec = 2/B Σ_b E_b0 (decoder path)
 * Prefixes   widths grow as 1/32, 1/16, 1/8, 1/4 and the rest
 * Computed   from the last prefix backwards: e_k = e_{k+1} − Σ_{m_k ≤ j < m_{k+1}} f_j W_dec[j]
 * Weights    w_k = m_k² / Σ_i m_i²; with theirs, 1/K, the first latents are pressed to stand for several features at once
 * Deviation  the weights; AuxK explains the residual of the whole dictionary, not that of each prefix
 */
export const matryoshka: Architecture = {
  ...batchTopK,
  name: 'matryoshka',
  description: 'BatchTopK whose first latents must reconstruct alone (nested dictionaries)',
  source: 'Bussmann et al. 2025',
  settings: { ...batchTopK.settings, prefixes: [1 / 32, 3 / 32, 7 / 32, 15 / 32, 1] },
  gradients: (step) =>
    matryoshkaGradients(step, latentGroups(step.settings.prefixes as readonly number[], step.dSae)),
};

/** Where each group of latents ends: the widths of the prefixes, at least one latent each. */
export function latentGroups(prefixes: readonly number[], dSae: number): number[] {
  const ends: number[] = [];
  for (const fraction of prefixes) {
    const end = Math.max(Math.round(fraction * dSae), (ends.at(-1) ?? 0) + 1);
    ends.push(Math.min(end, dSae));
  }
  return ends;
}

/** @param widths m_1 … m_K, ascending, the last dSae */
export async function matryoshkaGradients(step: Step, widths: readonly number[]): Promise<Gradients> {
  const { nRows, dOut, dSae, backend, weights } = step;
  const acts = await encodeLifted(step);
  const { byLatent, errors } = await reconstruct(step, acts);
  const groups = widths.map((end, g) => subCodes(acts, latentsBetween(acts, widths[g - 1] ?? 0, end)));
  const sumOfSquares = widths.reduce((sum, width) => sum + width ** 2, 0);
  const shares = widths.map((width) => width ** 2 / sumOfSquares);
  const { rows, squaredErrors } = await weightedErrors(step, groups, errors, shares);
  const deltas = new Float32Array(acts.values.length);
  for (const [g, { codes, pairs }] of groups.entries()) {
    const groupRows = rows.subarray(g * nRows * dOut, (g + 1) * nRows * dOut);
    const products = await backend.sampledProducts({ codes, dOut, rows: groupRows, W_dec: weights.W_dec });
    for (let i = 0; i < pairs.length; i++) deltas[pairs[i]] = (2 * products[i]) / nRows;
  }
  // Row b of a latent of group g is row g·B + b of the weighted errors.
  const rowIndices = byLatent.rowIndices.slice();
  for (let g = 1; g < widths.length; g++) {
    const end = byLatent.latentPointers[widths[g]];
    for (let i = byLatent.latentPointers[widths[g - 1]]; i < end; i++) rowIndices[i] += g * nRows;
  }
  const shared = sharedGradients(step, acts, byLatent, errors.residuals, deltas);
  const gradients = {
    ...shared,
    decoder: {
      byLatent: { ...byLatent, nRows: nRows * widths.length, rowIndices },
      coefficients: shared.decoder.coefficients,
      rows,
    },
    b_dec: { rows: rows.subarray(0, nRows * dOut), factor: 2 / nRows },
    further: { lift: new Float64Array(dSae) },
    sums: {
      squaredError: squaredErrors[widths.length - 1],
      l1: total(acts.values),
      l0: acts.values.length,
      loss: squaredErrors.reduce((sum, error, prefix) => sum + shares[prefix] * error, 0),
    },
  };
  return withAuxK(step, gradients, errors.residuals);
}

function latentsBetween({ latentIndices }: Codes, from: number, to: number): Uint8Array {
  const mask = new Uint8Array(latentIndices.length);
  for (let pair = 0; pair < mask.length; pair++)
    mask[pair] = latentIndices[pair] >= from && latentIndices[pair] < to ? 1 : 0;
  return mask;
}

/** E_g = Σ_{k ≥ g} w_k e_k of every group, one after another, and Σ_b ‖e_bk‖² of every prefix. */
async function weightedErrors(
  step: Step,
  groups: readonly SubCodes[],
  whole: Residuals,
  shares: readonly number[],
) {
  const { backend, dOut, nRows, weights } = step;
  const length = nRows * dOut;
  const rows = new Float32Array(groups.length * length);
  const squaredErrors = new Float64Array(groups.length);
  const last = groups.length - 1;
  squaredErrors[last] = total(whole.squaredErrors);
  const error = whole.residuals.slice();
  const sum = rows.subarray(last * length);
  for (let i = 0; i < length; i++) sum[i] = shares[last] * error[i];
  for (let g = last - 1; g >= 0; g--) {
    const added = await backend.decode({ codes: groups[g + 1].codes, dOut, W_dec: weights.W_dec });
    squaredErrors[g] = subtractAndAdd_(error, added, shares[g], rows.subarray(g * length, (g + 2) * length));
  }
  return { rows, squaredErrors };
}

/**
 * error ← error − added; the first half of sums ← the second half + share · error.
 *
 * @returns ‖error‖²
 */
function subtractAndAdd_(
  error: Float32Array,
  added: Float32Array,
  share: number,
  sums: Float32Array,
): number {
  const { length } = error;
  let square = 0;
  for (let i = 0; i < length; i++) {
    const value = error[i] - added[i];
    error[i] = value;
    square += value * value;
    sums[i] = sums[length + i] + share * value;
  }
  return square;
}
