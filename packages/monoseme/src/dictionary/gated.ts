import type { Codes } from '../kernels/contract.ts';
import { type Architecture, encodeBatch, reconstruct, sharedGradients } from './architecture.ts';
import type { Weights } from './dictionary.ts';
import { total } from './sparse-sum.ts';

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

    const { b_enc, further, l0 } = sumsOfPairs_(errors.products, frozen.products, gates, acts, {
      b_gate: weights.b_enc,
      scales: r_mag.map(Math.exp),
      coefficient,
      nRows,
    });
    const squaredError = total(errors.squaredErrors);
    const l1 = total(gates.values);
    return {
      ...sharedGradients(step, acts, byLatent, errors.residuals, errors.products),
      b_enc,
      further,
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

/** δ of the pairs, in place of ⟨e_b, W_dec[j]⟩; the gradients of b_gate, b_mag and r; and how many pairs are active. */
function sumsOfPairs_(
  products: Float32Array,
  frozenProducts: Float32Array,
  gates: Codes,
  acts: Codes,
  of: { b_gate: Float32Array; scales: Float32Array; coefficient: number; nRows: number },
) {
  const { b_gate, scales, coefficient, nRows } = of;
  const { dSae, latentIndices, values } = gates;
  const { values: activations } = acts;
  const [b_enc, b_mag, r_mag] = [new Float64Array(dSae), new Float64Array(dSae), new Float64Array(dSae)];
  let l0 = 0;
  for (let pair = 0; pair < values.length; pair++) {
    const j = latentIndices[pair];
    let delta = (coefficient + 2 * frozenProducts[pair]) / nRows;
    b_enc[j] += delta;
    if (activations[pair] > 0) {
      const ofMagnitude = (2 * products[pair]) / nRows;
      const ofScaled = ofMagnitude * scales[j];
      b_mag[j] += ofMagnitude;
      r_mag[j] += ofScaled * (values[pair] - b_gate[j]);
      delta += ofScaled;
      l0++;
    }
    products[pair] = delta;
  }
  return { b_enc, further: { b_mag, r_mag }, l0 };
}

/** Activations ReLU(exp(r) π + b_mag) of the pairs whose gate π + b_enc is open; some may be 0. */
export function magnitudes(gates: Codes, { b_enc, b_mag, r_mag }: Weights): Codes {
  const [bias, logScale] = [b_mag as Float32Array, r_mag as Float32Array];
  const scales = logScale.map(Math.exp);
  const { latentIndices, values: opened } = gates;
  const values = new Float32Array(opened.length);
  for (let pair = 0; pair < values.length; pair++) {
    const j = latentIndices[pair];
    values[pair] = Math.max(0, scales[j] * (opened[pair] - b_enc[j]) + bias[j]);
  }
  return { ...gates, values };
}
