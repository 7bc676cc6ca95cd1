import type { Codes } from '../kernels/contract.ts';
import { type Architecture, encodeBatch, reconstruct, sharedGradients } from './architecture.ts';
import type { Weights } from './dictionary.ts';
import { sumsByLatent, total } from './sparse-sum.ts';

/**
 * Gated (Rajamanoharan et al. 2024a, section 3.2): one encoder says whether a latent is active, a rescaled copy of it how much.
 *
 * Loss       L = 1/B Σ_b [ ‖x_b − x̂(f_b)‖² + λ ‖a_b‖₁ + ‖x_b − x̂_frozen(a_b)‖² ],  π = W_enc (x − b_dec),
 *            a = ReLU(π + b_gate),  f = 1[a > 0] · ReLU(exp(r) ⊙ π + b_mag),  frozen: W_dec and b_dec held fixed
 * Gradients  with e = x̂(f) − x, e' = x̂(a) − x, on the pairs whose gate is open, and m = 1[f > 0]:
 *            δ_bj = ∂L/∂π_bj = (2⟨e_b, W_dec[j]⟩ m_bj exp(r_j) + λ + 2⟨e'_b, W_dec[j]⟩)/B
 *            ∂b_gate = Σ_b (λ + 2⟨e'_b, W_dec[j]⟩)/B,  ∂b_mag = Σ_b 2⟨e_b, W_dec[j]⟩ m_bj/B,
 *            ∂r = Σ_b 2⟨e_b, W_dec[j]⟩ m_bj exp(r_j) π_bj/B;  W_dec and b_dec (decoder path) from f alone
 * Deviation  Adam's β₁ and the learning rate are those of all architectures (theirs: 0, and 3e-4 with a warm-up)
 * Names      b_gate is kept as `b_enc`: it decides what fires
 * Cost       the auxiliary term needs a second reconstruction
 */
export const gated: Architecture = {
  name: 'gated',
  description: 'a gate that selects and a magnitude that is not shrunk',
  source: 'Rajamanoharan et al. 2024a',
  centersInput: true,
  coefficient: 'l1Coefficient',
  settings: { l1Coefficient: 2, l1Scale: 'sum', l1WarmUp: 0.1, splitAt: [] },
  defaults: {},
  start: (dSae) => ({
    further: { b_mag: new Float32Array(dSae), r_mag: new Float32Array(dSae) },
    memory: [],
  }),
  async gradients(step) {
    const { nRows, coefficient, weights } = step;
    const gates = await encodeBatch(step, { kind: 'threshold' });
    const { b_mag, r_mag } = step.further;
    const acts = magnitudes(gates, { ...weights, b_mag, r_mag });
    // Of these residuals only products and lengths are wanted: those of the reconstruction take their place.
    const frozen = await step.backend.residuals({
      codes: gates,
      dOut: step.dOut,
      W_dec: weights.W_dec,
      b_dec: weights.b_dec,
      target: step.target,
      residuals: step.buffers.floats('residuals', step.target.length),
    });
    const { byLatent, errors } = await reconstruct(step, acts);

    const scales = r_mag.map(Math.exp);
    const { latentIndices } = gates;
    const nPairs = latentIndices.length;
    const [deltas, ofGate, ofMagnitude, ofScale] = ['deltas', 'of gate', 'of magnitude', 'of scale'].map(
      (name) => step.buffers.floats(name, nPairs),
    );
    let l0 = 0;
    for (let pair = 0; pair < nPairs; pair++) {
      const j = latentIndices[pair];
      const scale = scales[j];
      ofGate[pair] = (coefficient + 2 * frozen.products[pair]) / nRows;
      ofMagnitude[pair] = acts.values[pair] > 0 ? (2 * errors.products[pair]) / nRows : 0;
      ofScale[pair] = ofMagnitude[pair] * scale * (gates.values[pair] - weights.b_enc[j]);
      deltas[pair] = ofMagnitude[pair] * scale + ofGate[pair];
      if (acts.values[pair] > 0) l0++;
    }
    const squaredError = total(errors.squaredErrors);
    const l1 = total(gates.values);
    return {
      ...sharedGradients(step, acts, byLatent, errors.residuals, deltas),
      b_enc: sumsByLatent(gates, ofGate),
      further: { b_mag: sumsByLatent(gates, ofMagnitude), r_mag: sumsByLatent(gates, ofScale) },
      sums: {
        squaredError,
        l1,
        l0,
        loss: squaredError + coefficient * l1 + total(frozen.squaredErrors),
      },
    };
  },
  finish: ({ weights, further }) => ({
    architecture: 'gated',
    weights: { ...weights, b_mag: further['b_mag'], r_mag: further['r_mag'] },
  }),
};

/** Activations ReLU(exp(r) π + b_mag) of the pairs whose gate π + b_enc is open; some may be 0. */
export function magnitudes(gates: Codes, { b_enc, b_mag, r_mag }: Weights): Codes {
  const [bias, logScale] = [b_mag as Float32Array, r_mag as Float32Array];
  const scales = logScale.map(Math.exp);
  const values = new Float32Array(gates.values.length);
  for (let pair = 0; pair < values.length; pair++) {
    const j = gates.latentIndices[pair];
    values[pair] = Math.max(0, scales[j] * (gates.values[pair] - b_enc[j]) + bias[j]);
  }
  return { ...gates, values };
}
