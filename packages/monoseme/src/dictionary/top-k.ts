import type { Codes } from '../kernels/contract.ts';
import {
  type Architecture,
  deltasOf_,
  encodeBatch,
  type Gradients,
  reconstruct,
  sharedGradients,
  type Step,
} from './architecture.ts';
import { AUX_K, type AuxiliaryInput, DEAD_AFTER_TOKENS, withAuxK } from './aux-k.ts';
import { total } from './sparse-sum.ts';

/** No warm-up of k; where there is one, it begins at the number of inputs. */
export const K_WARM_UP = { kWarmUp: 0, initialK: 0 } as const;

/**
 * TopK with AuxK (Gao et al. 2024, section 2.3).
 *
 * Loss       L = 1/B Σ_b ‖x_b − x̂_b‖² + AuxK,  f = ReLU(TopK_k(W_enc (x − b_dec) + b_enc)),  x̂ = W_dec f + b_dec
 * Gradients  δ_bj = 2⟨e_b, W_dec[j]⟩/B for the kept pairs
 * Ties       the k largest pre-activations first, then ReLU: a row may keep fewer than k. Kept values are positive,
 *            so the other order would differ only in which zeros it lists.
 * Deviation  inputs are normalised row by row only with `normalize` layer-norm; the encoder is not rescaled at the start;
 *            any activation above 0 is a firing (theirs: above 0.001)
 */
export const topK: Architecture = {
  name: 'topk',
  description: 'the k largest latents of every row, with AuxK for dead ones',
  source: 'Gao et al. 2024',
  centersInput: true,
  settings: { k: 32, ...K_WARM_UP, ...AUX_K, faintBelow: 0 },
  defaults: { deadAfterTokens: DEAD_AFTER_TOKENS },
  async gradients(step) {
    const k = step.settings.k as number;
    return gradientsOfActs(step, await encodeBatch(step, { kind: 'topK', k }));
  },
  finish: ({ weights, settings }) => ({ architecture: 'topk', weights, k: settings.k }),
};

/** Squared error of given activations, with AuxK. */
export async function gradientsOfActs(
  step: Step,
  acts: Codes,
  auxiliary?: AuxiliaryInput,
): Promise<Gradients> {
  const { byLatent, errors } = await reconstruct(step, acts);
  const deltas = deltasOf_(step, errors.products);
  const squaredError = total(errors.squaredErrors);
  const gradients = {
    ...sharedGradients(step, acts, byLatent, errors.residuals, deltas),
    sums: { squaredError, l1: total(acts.values), l0: acts.values.length, loss: squaredError },
  };
  return withAuxK(step, gradients, auxiliary);
}
