import {
  type Architecture,
  encodeBatch,
  type Gradients,
  reconstruct,
  sharedGradients,
  type Step,
} from './architecture.ts';
import { foldDecoderNorms, rowNorms } from './fold.ts';
import { plus, rowMultiples, sumsByLatent, total } from './sparse-sum.ts';

/**
 * The autoencoder of Anthropic's April 2024 update (Conerly et al. 2024; Templeton et al. 2024): the L1 penalty is
 * weighted by the length of the decoder rows, so that these may be free.
 *
 * Loss       L = 1/B Σ_b [ ‖x_b − x̂_b‖² + λ Σ_j f_bj ‖W_dec[j]‖ ],  f = ReLU(W_enc x + b_enc),  x̂ = W_dec f + b_dec
 * Gradients  δ_bj = (2⟨e_b, W_dec[j]⟩ + λ ‖W_dec[j]‖)/B where f_bj > 0;
 *            ∂W_dec[j] = 2/B Σ_b f_bj e_b + (λ/B Σ_b f_bj) W_dec[j]/‖W_dec[j]‖
 * Start      rows of W_dec of length `decoderNorm`, W_enc = W_dec, biases 0 (b_dec as `decoderBiasInit` says)
 * Finish     lengths of the decoder rows folded into the encoder
 * Deviation  the norm of the gradient is clipped (at 1 in theirs) only where `gradientClipNorm` is given
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
  const { norms, rows, factors } = partDirections(weights.W_dec, dSae, parts);
  const { latentIndices } = acts;
  const deltas = errors.products.map(
    (product, pair) => (2 * product + coefficient * norms[latentIndices[pair]]) / nRows,
  );
  const sumsOfActs = sumsByLatent(acts, acts.values);
  const pulls = Float32Array.from(sumsOfActs, (sum, j) => (coefficient * sum * factors[j]) / nRows);
  const shared = sharedGradients(step, acts, byLatent, errors.residuals, deltas);
  const squaredError = total(errors.squaredErrors);
  const weighted = sumsOfActs.reduce((sum, value, j) => sum + value * norms[j], 0);
  return {
    ...shared,
    decoder: plus(shared.decoder, rowMultiples(rows, pulls)),
    sums: {
      squaredError,
      l1: total(acts.values),
      l0: acts.values.length,
      loss: squaredError + coefficient * weighted,
    },
  };
}

/**
 * n_j = Σ_s ‖W_dec[j]^s‖ of every row, [dSae], and its directions: rows and factors whose products are the sum of the
 * parts, each at length 1 (parts of length 0 stay).
 */
function partDirections(
  W_dec: Float32Array,
  dSae: number,
  parts: readonly number[],
): { norms: Float64Array; rows: Float32Array; factors: Float64Array } {
  if (parts.length === 1) {
    const norms = rowNorms(W_dec, dSae);
    return { norms, rows: W_dec, factors: norms.map((norm) => (norm > 0 ? 1 / norm : 0)) };
  }
  const norms = new Float64Array(dSae);
  const rows = new Float32Array(W_dec.length);
  for (let j = 0, at = 0; j < dSae; j++) {
    for (const width of parts) {
      let square = 0;
      for (let i = at; i < at + width; i++) square += W_dec[i] * W_dec[i];
      const norm = Math.sqrt(square);
      norms[j] += norm;
      for (const end = at + width; at < end; at++) rows[at] = norm > 0 ? W_dec[at] / norm : 0;
    }
  }
  return { norms, rows, factors: new Float64Array(dSae).fill(1) };
}
