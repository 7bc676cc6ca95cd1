import type { Codes } from '../kernels/contract.ts';
import { type Architecture, deltasOf, encodeBatch, reconstruct } from './architecture.ts';
import { sharedGradients, type Step } from './architecture.ts';
import { AUX_K, DEAD_AFTER_TOKENS, withAuxK } from './aux-k.ts';
import { total } from './sparse-sum.ts';
import { partedCodes } from './sub-codes.ts';

/**
 * JumpReLU (Rajamanoharan et al. 2024b; Gemma Scope, Lieberum et al. 2024): a threshold for every latent, learned
 * with a straight-through estimate.
 *
 * Loss       L = 1/B Σ_b [ ‖x_b − x̂_b‖² + λ ‖f_b‖₀ ],  h = W_enc (x − b_dec) + b_enc,  f = h · 1[h > θ],  θ = exp(t)
 * Gradients  δ_bj = 2⟨e_b, W_dec[j]⟩/B · 1[h_bj > θ_j]  (the L0 term gives h nothing);
 *            with the rectangle K = 1[|h − θ| < ε/2 and h > 0]:
 *            ∂θ_j = −1/(ε B) Σ_b K_bj (θ_j · 2⟨e_b, W_dec[j]⟩ + λ),  ∂t_j = θ_j ∂θ_j
 * Units      ε and θ at the start in units of s = E‖x‖/√dIn, λ of s²: the same settings for inputs of any scale, and the
 *            bare numbers where inputs are normalised
 * Pairs      encoded with thresholds θ − ε/2, so that those in the window are there too
 * Deviation  the window ends at h = 0, where the published code counts every silent latent once θ < ε/2; AuxK for dead
 *            latents (`auxCoefficient` 0 leaves it out, as the presets do)
 */
export const jumpRelu: Architecture = {
  name: 'jumprelu',
  description: 'learned thresholds and an L0 penalty',
  source: 'Rajamanoharan et al. 2024b; Lieberum et al. 2024',
  centersInput: true,
  coefficient: 'l0Coefficient',
  settings: { l0Coefficient: 1.3, l1WarmUp: 0.1, bandwidth: 1.5, initialThreshold: 0.4, ...AUX_K },
  defaults: { deadAfterTokens: DEAD_AFTER_TOKENS },
  start: (dSae, inputScale, settings) => ({
    further: {
      log_threshold: new Float32Array(dSae).fill(
        Math.log((settings.initialThreshold as number) * inputScale),
      ),
    },
    memory: [inputScale],
  }),
  async gradients(step) {
    const { nRows, dSae, memory, settings } = step;
    const [inputScale] = memory;
    const bandwidth = (settings.bandwidth as number) * inputScale;
    const coefficient = step.coefficient * inputScale ** 2;
    const thresholds = step.further['log_threshold'].map(Math.exp);
    const { acts, silent } = await encodeWindow(step, thresholds, bandwidth);
    const { byLatent, errors } = await reconstruct(step, acts);
    const slopes = new Float64Array(dSae);
    const addWindow_ = (codes: Codes, products: Float32Array) =>
      addSlopes_(slopes, codes, products, { thresholds, bandwidth, coefficient });
    // The second is computed while the kernel runs.
    const [silentProducts] = await Promise.all([
      silentProductsOf(step, silent, errors.residuals),
      addWindow_(acts, errors.products),
    ]);
    addWindow_(silent, silentProducts);
    const logThresholds = slopes.map((slope, j) => (-thresholds[j] * slope) / (bandwidth * nRows));
    const deltas = deltasOf(step, errors.products);
    const l0 = acts.values.length;
    const squaredError = total(errors.squaredErrors);
    const gradients = {
      ...sharedGradients(step, acts, byLatent, errors.residuals, deltas),
      further: { log_threshold: logThresholds },
      sums: { squaredError, l1: total(acts.values), l0, loss: squaredError + coefficient * l0 },
    };
    return withAuxK(step, gradients);
  },
  finish: ({ weights, further }) => ({
    architecture: 'jumprelu',
    weights: { ...weights, threshold: further['log_threshold'].map(Math.exp) },
  }),
};

/** θ_j · 2⟨e_b, W_dec[j]⟩ + λ of the pairs in the window, added to the sums [dSae] of their latents. */
function addSlopes_(
  slopes: Float64Array,
  { latentIndices, values }: Codes,
  products: Float32Array,
  of: { thresholds: Float32Array; bandwidth: number; coefficient: number },
): void {
  // A loop over variables of its own: those of an outer function are looked up for every pair.
  const { thresholds, bandwidth, coefficient } = of;
  for (let pair = 0; pair < values.length; pair++) {
    const j = latentIndices[pair];
    const threshold = thresholds[j];
    if (Math.abs(values[pair] - threshold) < bandwidth / 2)
      slopes[j] += threshold * 2 * products[pair] + coefficient;
  }
}

/**
 * The pairs that a threshold has to do with: the active, and the silent ones in the window below it (at h > 0), whose
 * values are their pre-activations.
 */
export async function encodeWindow(
  step: Step,
  thresholds: Float32Array,
  bandwidth: number,
): Promise<{ acts: Codes; silent: Codes }> {
  const windowStarts = thresholds.map((threshold) => Math.max(threshold - bandwidth / 2, 0));
  const preActs = await encodeBatch(step, { kind: 'threshold', thresholds: windowStarts });
  const { latentIndices, values } = preActs;
  const isSilent = new Uint8Array(values.length);
  for (let pair = 0; pair < values.length; pair++)
    isSilent[pair] = values[pair] > thresholds[latentIndices[pair]] ? 0 : 1;
  const [acts, silent] = partedCodes(preActs, isSilent);
  return { acts, silent };
}

/** ⟨e_b, W_dec[j]⟩ of the silent pairs. */
export function silentProductsOf(step: Step, silent: Codes, residuals: Float32Array): Promise<Float32Array> {
  const { backend, dOut, weights } = step;
  return backend.sampledProducts({ codes: silent, dOut, rows: residuals, W_dec: weights.W_dec });
}
