import type { Codes } from '../kernels/contract.ts';
import { type Architecture, encodeBatch, reconstruct, sharedGradients } from './architecture.ts';
import { withAuxK } from './aux-k.ts';
import { subCodes } from './sub-codes.ts';
import { total } from './sparse-sum.ts';
import { topK } from './top-k.ts';

/** The second reconstruction has so many times as many latents, and counts so much. */
const WIDER = 4;
const WEIGHT = 1 / 8;

/**
 * Multi-TopK (Gao et al. 2024, section 5.3): what the k largest latents leave is explained by the next ones too, so that
 * the dictionary can be used with more latents than it was trained for.
 *
 * Loss       L = L_k + L_4k / 8 + AuxK,  L_n = 1/B Σ_b ‖x_b − x̂_bn‖²,  x̂_n = W_dec ReLU(TopK_n(W_enc (x − b_dec) + b_enc)) + b_dec
 * Gradients  with e_n = x̂_n − x and E = e_k + e_4k/8 for the pairs among the k, e_4k/8 for the others:
 *            δ_bj = 2⟨E_b, W_dec[j]⟩/B,  ∂W_dec[j] = 2/B Σ_b f_bj E_b,  ∂b_dec = 2/B Σ_b (e_bk + e_b4k/8)
 * Firing     counts the k alone
 * Finish     saved as TopK with k
 */
export const multiTopK: Architecture = {
  name: 'multi-topk',
  description: 'TopK that reconstructs with k and, at an eighth of the weight, with 4k latents',
  source: 'Gao et al. 2024',
  centersInput: true,
  settings: topK.settings,
  defaults: topK.defaults,
  async gradients(step) {
    const { nRows, dOut, dSae, settings, backend, weights } = step;
    const { W_dec, b_dec } = weights;
    const k = settings.k as number;
    const wide = await encodeBatch(step, { kind: 'topK', k: Math.min(WIDER * k, dSae) });
    const mask = largestOfRows(wide, k);
    const { codes: acts, pairs } = subCodes(wide, mask);
    const [{ byLatent, errors: wideErrors }, errors] = await Promise.all([
      reconstruct(step, wide),
      backend.residuals({ codes: acts, dOut, W_dec, b_dec, target: step.target }),
    ]);
    const deltas = wideErrors.products.map((product) => (2 * WEIGHT * product) / nRows);
    pairs.forEach((pair, i) => (deltas[pair] += (2 * errors.products[i]) / nRows));
    // First the errors of the k pairs, then those of the others.
    const rows = new Float32Array(2 * nRows * dOut);
    for (let i = 0, other = nRows * dOut; other < rows.length; i++, other++) {
      rows[other] = WEIGHT * wideErrors.residuals[i];
      rows[i] = errors.residuals[i] + rows[other];
    }
    const rowIndices = byLatent.rowIndices.map(
      (row, i) => row + (mask[byLatent.pairIndices[i]] === 1 ? 0 : nRows),
    );
    const shared = sharedGradients(step, wide, byLatent, errors.residuals, deltas);
    const squaredError = total(errors.squaredErrors);
    const gradients = {
      ...shared,
      acts,
      decoder: { ...shared.decoder, byLatent: { ...byLatent, nRows: 2 * nRows, rowIndices }, rows },
      b_dec: { rows: rows.subarray(0, nRows * dOut), factor: 2 / nRows },
      sums: {
        squaredError,
        l1: total(acts.values),
        l0: acts.values.length,
        loss: squaredError + WEIGHT * total(wideErrors.squaredErrors),
      },
    };
    return withAuxK(step, gradients, errors.residuals);
  },
  finish: topK.finish,
};

/** 1 for the k largest pairs of each row, as TopK chooses them: ties go to the lower latent. */
function largestOfRows({ nRows, rowPointers, values }: Codes, k: number): Uint8Array {
  const mask = new Uint8Array(values.length);
  for (let row = 0; row < nRows; row++) {
    const [start, end] = [rowPointers[row], rowPointers[row + 1]];
    if (end - start <= k) {
      mask.fill(1, start, end);
      continue;
    }
    const least = values.slice(start, end).sort()[end - start - k];
    let places = k;
    for (let pair = start; pair < end; pair++) {
      if (values[pair] > least) places -= mask[pair] = 1;
    }
    for (let pair = start; pair < end && places > 0; pair++) {
      if (values[pair] === least) places -= mask[pair] = 1;
    }
  }
  return mask;
}
