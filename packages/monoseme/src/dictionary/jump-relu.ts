import type { Codes } from '../kernels/contract.ts';
import { type Architecture, deltasOf_, encodeBatch, reconstruct } from './architecture.ts';
import { sharedGradients, type Step } from './architecture.ts';
import { AUX_K, DEAD_AFTER_TOKENS, withAuxK } from './aux-k.ts';
import { total } from './sparse-sum.ts';
import { partedCodes } from './sub-codes.ts';

/**
 * JumpReLU (Rajamanoharan et al. 2024b, sections 3 and 4; Gemma Scope, Lieberum et al. 2024): a threshold for every latent,
 * learned with a straight-through estimate.
 *
 * Loss       L = 1/B Σ_b [ ‖x_b − x̂_b‖² + λ ‖f_b‖₀ ],  h = W_enc (x − b_dec) + b_enc,  f = h · 1[h > θ],  θ = exp(t)
 * Gradients  δ_bj = 2⟨e_b, W_dec[j]⟩/B · 1[h_bj > θ_j]  (the L0 term gives h nothing);
 *            with the rectangle K = 1[|h − θ| < ε/2 and h > 0]:
 *            ∂θ_j = −1/(ε B) Σ_b K_bj (θ_j · 2⟨e_b, W_dec[j]⟩ + λ),  ∂t_j = θ_j ∂θ_j
 * Units      ε and θ at the start in units of s = E‖x‖/√dIn, λ of s²: the same settings for inputs of any scale, and the
 *            bare numbers where inputs are normalised
 * Pairs      the first `windowShare` of the rows are encoded with thresholds θ − ε/2, so that those in the window are there too
 * Deviation  the sum over silent pairs (h ≤ θ) is that of these rows, for all (share 1, as in the presets, takes every row:
 *            docs/decisions/0013-window-share.md); the window ends at h = 0, where the published code counts every silent
 *            latent once θ < ε/2; AuxK for dead latents (`auxCoefficient` 0 leaves it out, as the presets do)
 */
export const jumpRelu: Architecture = {
  name: 'jumprelu',
  description: 'learned thresholds and an L0 penalty',
  source: 'Rajamanoharan et al. 2024b; Lieberum et al. 2024',
  centersInput: true,
  coefficient: 'l0Coefficient',
  settings: {
    l0Coefficient: 1.3,
    l1WarmUp: 0.1,
    bandwidth: 1.5,
    windowShare: 1 / 8,
    initialThreshold: 0.4,
    ...AUX_K,
  },
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
    const { acts, silent, rowsPerSilent } = await encodeWindow(step, thresholds, bandwidth);
    const { byLatent, errors } = await reconstruct(step, acts);
    const slopes = new Float64Array(dSae);
    const addWindow_ = (codes: Codes, products: Float32Array, weight: number) =>
      addSlopes_(slopes, codes, products, { thresholds, bandwidth, coefficient, weight });
    // The second is computed while the kernel runs.
    const [silentProducts] = await Promise.all([
      silentProductsOf(step, silent, errors.residuals),
      addWindow_(acts, errors.products, 1),
    ]);
    addWindow_(silent, silentProducts, rowsPerSilent);
    const logThresholds = slopes.map((slope, j) => (-thresholds[j] * slope) / (bandwidth * nRows));
    const deltas = deltasOf_(step, errors.products);
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

/** weight · (θ_j · 2⟨e_b, W_dec[j]⟩ + λ) of the pairs in the window, added to the sums [dSae] of their latents. */
function addSlopes_(
  slopes: Float64Array,
  { latentIndices, values }: Codes,
  products: Float32Array,
  of: { thresholds: Float32Array; bandwidth: number; coefficient: number; weight: number },
): void {
  // A loop over variables of its own: those of an outer function are looked up for every pair.
  const { thresholds, bandwidth, coefficient, weight } = of;
  for (let pair = 0; pair < values.length; pair++) {
    const j = latentIndices[pair];
    const threshold = thresholds[j];
    if (Math.abs(values[pair] - threshold) < bandwidth / 2)
      slopes[j] += weight * (threshold * 2 * products[pair] + coefficient);
  }
}

/** What a threshold has to do with. */
interface Window {
  readonly acts: Codes;
  /** The silent pairs in the window below the threshold (at h > 0), of the first rows: their pre-activations. */
  readonly silent: Codes;
  /** For how many rows each of these rows stands: a sum over silent pairs times it is right in the mean. */
  readonly rowsPerSilent: number;
}

/**
 * The active pairs of the batch, and the silent ones in the window of the first `windowShare` of its rows: rows come in
 * random order, so these are as random as any.
 */
export async function encodeWindow(step: Step, thresholds: Float32Array, bandwidth: number): Promise<Window> {
  const { x, nRows, dIn, settings } = step;
  const nLooked = Math.ceil(nRows * (settings.windowShare as number));
  const windowStarts = thresholds.map((threshold) => Math.max(threshold - bandwidth / 2, 0));
  const above = (bars: Float32Array, rows: Float32Array) =>
    encodeBatch(step, { kind: 'threshold', thresholds: bars }, { x: rows, nRows: rows.length / dIn });
  const [preActs, others] = await Promise.all([
    above(windowStarts, x.subarray(0, nLooked * dIn)),
    above(thresholds, x.subarray(nLooked * dIn)),
  ]);
  const parted = partedCodes(preActs, thresholds, others, step.buffers);
  return { acts: parted.above, silent: parted.others, rowsPerSilent: nRows / nLooked };
}

/** ⟨e_b, W_dec[j]⟩ of the silent pairs. */
export function silentProductsOf(step: Step, silent: Codes, residuals: Float32Array): Promise<Float32Array> {
  const { backend, dOut, weights } = step;
  const rows = residuals.subarray(0, silent.nRows * dOut);
  return backend.sampledProducts({ codes: silent, dOut, rows, W_dec: weights.W_dec });
}
