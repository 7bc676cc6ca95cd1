import type { Architecture } from './architecture.ts';
import { weightedL1Gradients } from './april-2024.ts';

/**
 * Crosscoder (Lindsey et al. 2024): latents shared by several layers or models, whose activations x^s stand side by
 * side in a row.
 *
 * Loss       L = 1/B Σ_b [ Σ_s ‖x^s_b − x̂^s_b‖² + λ Σ_j f_bj Σ_s ‖W^s_dec[j]‖ ],  f = ReLU(Σ_s W^s_enc x^s + b_enc),
 *            x̂^s = W^s_dec f + b^s_dec
 * Gradients  with e = x̂ − x and n_j = Σ_s ‖W^s_dec[j]‖:  δ_bj = (2⟨e_b, W_dec[j]⟩ + λ n_j)/B where f_bj > 0;
 *            ∂W^s_dec[j] = 2/B Σ_b f_bj e^s_b + (λ/B Σ_b f_bj) W^s_dec[j]/‖W^s_dec[j]‖
 * Start      rows of W_dec of length `decoderNorm` over all sources, W_enc = W_dec, biases 0
 * Deviation  theirs starts with rows of length 0.08 in every source; the norm of the gradient is clipped (at 1 in theirs)
 *            only where that is asked for
 */
export const crosscoder: Architecture = {
  name: 'crosscoder',
  description: 'latents shared by several hook points: ReLU and L1 weighted by the decoder norms of each',
  source: 'Lindsey et al. 2024',
  rows: 'sources',
  centersInput: false,
  coefficient: 'l1Coefficient',
  settings: { l1Coefficient: 2, l1Scale: 'sum', l1WarmUp: 0.05, decoderNorm: 0.1 },
  defaults: { unitNormDecoder: false },
  gradients: weightedL1Gradients,
  finish: ({ weights }) => ({ architecture: 'standard', weights }),
};
