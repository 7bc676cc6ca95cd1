import type { Architecture } from './architecture.ts';
import { standard } from './standard.ts';

/**
 * Transcoder (Dunefsky et al. 2024, equations 1 and 2): it reads the input of a layer and reconstructs its output.
 *
 * Loss       L = 1/B Σ_b [ ‖y_b − ŷ_b‖² + λ ‖f_b‖₁ ],  f = ReLU(W_enc x + b_enc),  ŷ = W_dec f + b_dec
 * Gradients  those of the standard architecture, with e = ŷ − y
 * Start      W_enc and b_enc uniform, as PyTorch's linear layers: a decoder direction of y means nothing to x
 * Deviation  the squared error is not divided by ‖y‖ (y is normalised as a whole instead); no ghost gradients
 */
export const transcoder: Architecture = {
  name: 'transcoder',
  description: 'reads one hook point and reconstructs another: ReLU and L1',
  source: 'Dunefsky et al. 2024',
  rows: 'input-and-target',
  centersInput: false,
  coefficient: 'l1Coefficient',
  settings: { l1Coefficient: 2.5, l1Scale: 'sum', l1WarmUp: 0.1 },
  defaults: { encoderInit: 'kaiming' },
  gradients: standard.gradients,
  finish: standard.finish,
};
