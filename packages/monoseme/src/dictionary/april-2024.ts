import { type Architecture, encodeBatch, reconstruct, sharedGradients } from './architecture.ts';
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
 * Deviation  the norm of the gradient is not clipped at 1
 */
export const april2024: Architecture = {
  name: 'april-2024',
  description: 'ReLU and L1 weighted by free decoder norms, no resampling',
  source: 'Conerly et al. 2024; Templeton et al. 2024',
  centersInput: false,
  coefficient: 'l1Coefficient',
  settings: { l1Coefficient: 5, l1Scale: 'sum', l1WarmUp: 0.05, decoderNorm: 0.1 },
  defaults: { unitNormDecoder: false },
  async gradients(step) {
    const { nRows, coefficient, weights } = step;
    const acts = await encodeBatch(step, { kind: 'threshold' });
    const { byLatent, errors } = await reconstruct(step, acts);
    const norms = rowNorms(weights.W_dec, step.dSae);
    const { latentIndices } = acts;
    const deltas = errors.products.map(
      (product, pair) => (2 * product + coefficient * norms[latentIndices[pair]]) / nRows,
    );
    const sumsOfActs = sumsByLatent(acts, acts.values);
    const pulls = Float32Array.from(sumsOfActs, (sum, j) =>
      norms[j] > 0 ? (coefficient * sum) / (nRows * norms[j]) : 0,
    );
    const shared = sharedGradients(step, acts, byLatent, errors.residuals, deltas);
    const squaredError = total(errors.squaredErrors);
    const weighted = sumsOfActs.reduce((sum, value, j) => sum + value * norms[j], 0);
    return {
      ...shared,
      decoder: plus(shared.decoder, rowMultiples(weights.W_dec, pulls)),
      sums: {
        squaredError,
        l1: total(acts.values),
        l0: acts.values.length,
        loss: squaredError + coefficient * weighted,
      },
    };
  },
  finish: ({ weights }) => ({ architecture: 'standard', weights: foldDecoderNorms(weights) }),
};
