import type { Codes } from '../kernels/contract.ts';
import { type Architecture, encodeBatch, sharedGradients, type Step } from './architecture.ts';
import { withAuxK } from './aux-k.ts';
import { followThreshold_, thresholdForm, thresholdStart } from './batch-top-k.ts';
import { sumOfRows, total } from './sparse-sum.ts';
import { DEAD_AFTER_TOKENS } from './top-k.ts';

/**
 * Matryoshka BatchTopK (Bussmann et al. 2025): nested dictionaries, each of which must reconstruct alone.
 *
 * Loss       L = 1/B Σ_b 1/K Σ_k ‖x_b − x̂_bk‖² + AuxK,  x̂_k = b_dec + Σ_{j < m_k} f_j W_dec[j],  f by BatchTopK over
 *            all latents, m_k = round(prefixes[k] · dSae)
 * Gradients  with e_k = x̂_k − x and, for latent j whose smallest prefix is g, E_bg = 1/K Σ_{k ≥ g} e_bk:
 *            δ_bj = 2⟨E_bg, W_dec[j]⟩/B,  ∂W_dec[j] = 2/B Σ_b f_bj E_bg,  ∂b_dec = 2/B Σ_b E_b0 (decoder path)
 * Prefixes   widths grow as 1/32, 1/16, 1/8, 1/4 and the rest
 * Deviation  AuxK explains the residual of the whole dictionary, not that of each prefix
 */
export const matryoshka: Architecture = {
  name: 'matryoshka',
  description: 'BatchTopK whose first latents must reconstruct alone (nested dictionaries)',
  source: 'Bussmann et al. 2025',
  centersInput: true,
  settings: {
    k: 32,
    kAux: 256,
    auxCoefficient: 1 / 32,
    prefixes: [1 / 32, 3 / 32, 7 / 32, 15 / 32, 1],
  },
  defaults: { deadAfterTokens: DEAD_AFTER_TOKENS },
  start: thresholdStart,
  async gradients(step) {
    const { nRows, dOut, dSae, settings, backend, weights } = step;
    const { k, prefixes } = settings as { k: number; prefixes: readonly number[] };
    const acts = await encodeBatch(step, { kind: 'batchTopK', k });
    followThreshold_(step.memory, acts, k);
    const groups = latentGroups(prefixes, dSae);
    const parts = groups.map((_, g) => pairsOfGroup(acts, groups[g - 1] ?? 0, groups[g]));
    const errors = await prefixErrors(step, parts);
    const rows = weightedErrors(errors, nRows * dOut);
    const deltas = new Float32Array(acts.values.length);
    for (const [g, { codes, pairs }] of parts.entries()) {
      const groupRows = rows.subarray(g * nRows * dOut, (g + 1) * nRows * dOut);
      const input = { codes, dOut, rows: groupRows, W_dec: weights.W_dec };
      const products = await backend.sampledProducts(input);
      pairs.forEach((pair, i) => (deltas[pair] = (2 * products[i]) / nRows));
    }
    const byLatent = await backend.transpose(acts);
    const last = errors[errors.length - 1];
    const shared = sharedGradients(step, acts, byLatent, last.residuals, deltas);
    const squaredError = total(last.squaredErrors);
    const loss = errors.reduce((sum, { squaredErrors }) => sum + total(squaredErrors), 0) / errors.length;
    const gradients = {
      ...shared,
      decoder: {
        byLatent: { ...byLatent, nRows: nRows * parts.length, rowIndices: groupRowIndices() },
        coefficients: shared.decoder.coefficients,
        rows,
      },
      b_dec: sumOfRows(rows.subarray(0, nRows * dOut), dOut, 2 / nRows),
      sums: { squaredError, l1: total(acts.values), l0: acts.values.length, loss },
    };
    return withAuxK(step, gradients, last.residuals);

    /** Row b of a latent of group g is row g·B + b of the weighted errors. */
    function groupRowIndices(): Uint32Array {
      const { latentPointers } = byLatent;
      const rowIndices = byLatent.rowIndices.slice();
      for (let g = 1; g < groups.length; g++) {
        const end = latentPointers[groups[g]];
        for (let i = latentPointers[groups[g - 1]]; i < end; i++) rowIndices[i] += g * nRows;
      }
      return rowIndices;
    }
  },
  finish: thresholdForm,
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

interface GroupPairs {
  readonly codes: Codes;
  /** Where the pairs of `codes` stand in the whole. */
  readonly pairs: Uint32Array;
}

function pairsOfGroup(acts: Codes, from: number, to: number): GroupPairs {
  const { nRows, dSae, latentIndices } = acts;
  const isInside = (latent: number) => latent >= from && latent < to;
  const pairs = new Uint32Array(latentIndices.reduce((n, latent) => n + (isInside(latent) ? 1 : 0), 0));
  const rowPointers = new Uint32Array(nRows + 1);
  let end = 0;
  for (let row = 0; row < nRows; row++) {
    for (let pair = acts.rowPointers[row]; pair < acts.rowPointers[row + 1]; pair++) {
      if (isInside(latentIndices[pair])) pairs[end++] = pair;
    }
    rowPointers[row + 1] = end;
  }
  const codes = {
    nRows,
    dSae,
    rowPointers,
    latentIndices: pairs.map((pair) => latentIndices[pair]),
    values: Float32Array.from(pairs, (pair) => acts.values[pair]),
  };
  return { codes, pairs };
}

interface PrefixError {
  readonly residuals: Float32Array;
  readonly squaredErrors: Float64Array;
}

/** e_k of every prefix: that of the one before, plus what its own latents add to the reconstruction. */
async function prefixErrors(step: Step, parts: readonly GroupPairs[]): Promise<PrefixError[]> {
  const { backend, target, dOut, weights } = step;
  const { W_dec, b_dec } = weights;
  const first = await backend.residuals({ codes: parts[0].codes, dOut, W_dec, b_dec, target });
  const errors: PrefixError[] = [first];
  for (const { codes } of parts.slice(1)) {
    const residuals = await backend.decode({ codes, dOut, W_dec });
    errors.push(added(residuals, errors[errors.length - 1].residuals, dOut));
  }
  return errors;
}

/** The sum of two matrices, in the first, and the squared lengths of its rows. */
function added(residuals: Float32Array, before: Float32Array, width: number): PrefixError {
  const squaredErrors = new Float64Array(residuals.length / width);
  for (let row = 0, i = 0; row < squaredErrors.length; row++) {
    let square = 0;
    for (const end = i + width; i < end; i++) {
      const value = residuals[i] + before[i];
      residuals[i] = value;
      square += value * value;
    }
    squaredErrors[row] = square;
  }
  return { residuals, squaredErrors };
}

/** E_g = 1/K Σ_{k ≥ g} e_k for every group, one after another. */
function weightedErrors(errors: readonly PrefixError[], length: number): Float32Array {
  const rows = new Float32Array(errors.length * length);
  const share = 1 / errors.length;
  for (let g = errors.length - 1; g >= 0; g--) {
    const { residuals } = errors[g];
    const own = rows.subarray(g * length, (g + 1) * length);
    const later = rows.subarray((g + 1) * length, (g + 2) * length);
    if (later.length === 0) for (let i = 0; i < length; i++) own[i] = share * residuals[i];
    else for (let i = 0; i < length; i++) own[i] = later[i] + share * residuals[i];
  }
  return rows;
}
