import {
  type Architecture,
  encodeBatch,
  type Gradients,
  reconstruct,
  sharedGradients,
  type Step,
} from './architecture.ts';
import { foldDecoderNorms } from './fold.ts';
import { sumsByLatent, total } from './sparse-sum.ts';

/**
 * The autoencoder of Anthropic's April 2024 update (Conerly et al. 2024; Templeton et al. 2024): the L1 penalty is
 * weighted by the length of the decoder rows, so that these may be free.
 *
 * Loss       L = 1/B Σ_b [ ‖x_b − x̂_b‖² + λ Σ_j f_bj ‖W_dec[j]‖ ],  f = ReLU(W_enc x + b_enc),  x̂ = W_dec f + b_dec
 * Gradients  δ_bj = (2⟨e_b, W_dec[j]⟩ + λ ‖W_dec[j]‖)/B where f_bj > 0;
 *            ∂W_dec[j] = 2/B Σ_b f_bj e_b + (λ/B Σ_b f_bj) W_dec[j]/‖W_dec[j]‖
 * Start      rows of W_dec of length `decoderNorm`, W_enc = W_dec, biases 0 (b_dec as `decoderBiasInit` says)
 * Finish     lengths of the decoder rows folded into the encoder
 * Deviation  the norm of the gradient is clipped (at 1 in theirs) only where `gradientClipNorm` is given, as in the preset
 */
export const april2024: Architecture = {
  name: 'april-2024',
  description: 'ReLU and L1 weighted by free decoder norms, no resampling',
  source: 'Conerly et al. 2024; Templeton et al. 2024',
  centersInput: false,
  coefficient: 'l1Coefficient',
  settings: { l1Coefficient: 5, l1Scale: 'sum', l1WarmUp: 0.05, decoderNorm: 0.1 },
  defaults: { unitNormDecoder: false },
  gradients: weightedL1Gradients,
  finish: ({ weights }) => ({ architecture: 'standard', weights: foldDecoderNorms(weights) }),
};

/**
 * Squared error and the L1 penalty weighted by decoder norms. Where the target is made up of several hook points, the
 * norm of a decoder row is the sum of the norms of its parts, and each part is pulled along itself.
 */
export async function weightedL1Gradients(step: Step): Promise<Gradients> {
  const { nRows, coefficient, weights, dSae, parts } = step;
  const acts = await encodeBatch(step, { kind: 'threshold' });
  const { byLatent, errors } = await reconstruct(step, acts);
  const partNorms = normsOfParts(weights.W_dec, dSae, parts);
  const norms = new Float64Array(dSae);
  partNorms.forEach((norm, i) => (norms[Math.floor(i / parts.length)] += norm));
  const deltas = step.buffers.floats('deltas', acts.values.length);
  for (let pair = 0; pair < deltas.length; pair++)
    deltas[pair] = (2 * errors.products[pair] + coefficient * norms[acts.latentIndices[pair]]) / nRows;
  const sumsOfActs = sumsByLatent(acts, acts.values);
  const factors = Float32Array.from(partNorms, (norm, i) =>
    norm > 0 ? (coefficient * sumsOfActs[Math.floor(i / parts.length)]) / (nRows * norm) : 0,
  );
  const shared = sharedGradients(step, acts, byLatent, errors.residuals, deltas);
  const squaredError = total(errors.squaredErrors);
  const weighted = sumsOfActs.reduce((sum, value, j) => sum + value * norms[j], 0);
  return {
    ...shared,
    decoder: { ...shared.decoder, pull: { factors, parts: Uint32Array.from(parts) } },
    sums: {
      squaredError,
      l1: total(acts.values),
      l0: acts.values.length,
      loss: squaredError + coefficient * weighted,
    },
  };
}

/** ‖W_dec[j]^s‖ of every part of every row, [dSae, parts]. */
function normsOfParts(W_dec: Float32Array, dSae: number, parts: readonly number[]): Float64Array {
  const norms = new Float64Array(dSae * parts.length);
  for (let i = 0, at = 0; i < norms.length; i++) {
    let square = 0;
    for (const end = at + parts[i % parts.length]; at < end; at++) square += W_dec[at] * W_dec[at];
    norms[i] = Math.sqrt(square);
  }
  return norms;
}
