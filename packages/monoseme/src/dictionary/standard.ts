import { type Architecture, deltasOf_, encodeBatch, reconstruct, sharedGradients } from './architecture.ts';
import { total } from './sparse-sum.ts';

/**
 * The paper's sparse autoencoder (Bricken et al. 2023).
 *
 * Loss       L = 1/B Σ_b [ ‖x_b − x̂_b‖² + λ ‖f_b‖₁ ],  f = ReLU(W_enc (x − b_dec) + b_enc),  x̂ = W_dec f + b_dec
 * Gradients  with e = x̂ − x:  δ_bj = (2⟨e_b, W_dec[j]⟩ + λ)/B where f_bj > 0, else 0; the rest as shared
 * Beside it  rows of W_dec of length 1 with projected gradients, resampling of dead latents
 * Deviation  by default W_enc starts as W_dec and λ with a warm-up; `bricken-2023` has neither
 */
export const standard: Architecture = {
  name: 'standard',
  description: 'ReLU and L1, unit-length directions, resampling of dead latents',
  source: 'Bricken et al. 2023',
  centersInput: true,
  coefficient: 'l1Coefficient',
  settings: {
    l1Coefficient: 2.5,
    l1Scale: 'sum',
    l1WarmUp: 0.1,
    resampleAt: [0.25, 0.4, 0.55, 0.7],
    resampleWindow: 0.1,
    resampleInputs: 65_536,
    splitAt: [],
  },
  defaults: {},
  async gradients(step) {
    const { coefficient } = step;
    const acts = await encodeBatch(step, { kind: 'threshold' });
    const { byLatent, errors } = await reconstruct(step, acts);
    const deltas = deltasOf_(step, errors.products, coefficient);
    const squaredError = total(errors.squaredErrors);
    const l1 = total(acts.values);
    return {
      ...sharedGradients(step, acts, byLatent, errors.residuals, deltas),
      sums: { squaredError, l1, l0: acts.values.length, loss: squaredError + coefficient * l1 },
    };
  },
  finish: ({ weights }) => ({ architecture: 'standard', weights }),
};
