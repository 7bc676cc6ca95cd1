import type { Codes } from '../kernels/contract.ts';
import { type Architecture, latentProducts, reconstruct } from './architecture.ts';
import { sharedGradients, type Step } from './architecture.ts';
import { foldDecoderNorms } from './fold.ts';
import { encodeWindow, silentProductsOf } from './jump-relu.ts';
import { onePairEach, plus, sumsByLatent, total } from './sparse-sum.ts';

/**
 * JumpReLU as in Anthropic's update of January 2025: a tanh in place of the L0 penalty, and a pull on silent latents.
 *
 * Loss       L = 1/B Σ_b [ ‖x_b − x̂_b‖² + λ Σ_j tanh(c f_bj n_j) + λ_P Σ_j ReLU(θ_j − h_bj) n_j ],  h = W_enc x + b_enc,
 *            f = h · 1[h > θ],  θ = exp(t),  n_j = ‖W_dec[j]‖
 * Gradients  with the rectangle K = 1[|h − θ| < ε/2 and h > 0], which gives h a gradient too, s_bj = 1 − tanh²(c f_bj n_j)
 *            and g_bj = 2⟨e_b, W_dec[j]⟩ + λ c n_j s_bj:
 *            δ_bj = (g_bj (1[h > θ] + θ_j/ε K_bj) − λ_P n_j 1[h < θ])/B,
 *            ∂t_j = θ_j/B Σ_b (λ_P n_j 1[h < θ] − θ_j/ε K_bj g_bj),
 *            ∂W_dec[j] = 2/B Σ_b f_bj e_b + 1/B Σ_b (λ c f_bj s_bj + λ_P ReLU(θ_j − h_bj)) W_dec[j]/n_j
 * Sparse     a sum over silent pairs is the sum over all, which needs Σ_b x_b alone, less that over the active; those in the
 *            window are of the first `windowShare` of the rows, for all
 * Units      as for JumpReLU; 1/c and λ_P in units of s too
 * Start      `initialDensity` sets b_enc so that each latent fires on that share of the inputs; theirs is 10,000/dSae
 * Finish     lengths of the decoder rows folded into encoder and thresholds
 * Deviation  `windowShare`, 1 in the preset (docs/decisions/0013-window-share.md); the window ends at h = 0; the norm of the
 *            gradient is clipped (at 1 in theirs) only where `gradientClipNorm` is given, as in the preset
 */
export const january2025: Architecture = {
  name: 'january-2025',
  description: 'JumpReLU with a tanh penalty, and a pull that brings silent latents back',
  source: 'Anthropic, January 2025',
  centersInput: false,
  coefficient: 'l0Coefficient',
  settings: {
    l0Coefficient: 1.3,
    l1WarmUp: 1,
    tanhScale: 4,
    bandwidth: 2,
    windowShare: 1 / 2,
    initialThreshold: 0.1,
    preActCoefficient: 3e-6,
    initialDensity: 0.1,
  },
  defaults: { unitNormDecoder: false, decoderInit: 'uniform', encoderInit: 'scaled' },
  start: (dSae, inputScale, settings) => ({
    further: {
      log_threshold: new Float32Array(dSae).fill(
        Math.log((settings.initialThreshold as number) * inputScale),
      ),
    },
    memory: [inputScale],
  }),
  async gradients(step) {
    const { nRows, dSae, memory, settings, weights } = step;
    const [inputScale] = memory;
    const bandwidth = (settings.bandwidth as number) * inputScale;
    const tanhScale = (settings.tanhScale as number) / inputScale;
    const lambda = step.coefficient * inputScale ** 2;
    const pull = (settings.preActCoefficient as number) * inputScale;
    const thresholds = step.further['log_threshold'].map(Math.exp);
    // What stands beside a call of a kernel is computed while that runs.
    const [{ acts, silent, rowsPerSilent }, squares] = await Promise.all([
      encodeWindow(step, thresholds, bandwidth),
      latentProducts(step, weights.W_dec, weights.W_dec),
    ]);
    const norms = squares.map(Math.sqrt);
    const [{ byLatent, errors }, silentByLatent, ofAll] = await Promise.all([
      reconstruct(step, acts),
      step.backend.transpose(silent),
      sumsOfSilent(step, thresholds, acts),
    ]);

    const sums = { logThresholds: new Float64Array(dSae), alongDecoder: new Float64Array(dSae) };
    const { logThresholds, alongDecoder } = sums;
    const terms = { nRows, lambda, tanhScale, bandwidth, pull, thresholds, norms };
    const { products: deltas, residuals } = errors;
    const [silentDeltas, penalty] = await Promise.all([
      silentProductsOf(step, silent, residuals),
      addActive_(sums, acts, deltas, terms),
    ]);
    addSilent_(sums, silent, silentDeltas, terms, rowsPerSilent);
    const pulls = norms.map((norm) => pull * norm);
    for (let j = 0; j < dSae; j++) {
      logThresholds[j] += (thresholds[j] * pulls[j] * ofAll.counts[j]) / nRows;
      alongDecoder[j] += pull * ofAll.distances[j];
    }
    const shared = sharedGradients(step, acts, byLatent, residuals, deltas);
    const silentSums = sumsByLatent(silent, silentDeltas);
    const b_enc = shared.b_enc.map((sum, j) => sum + silentSums[j] - pulls[j]);
    const silentPart = {
      byLatent: silentByLatent,
      coefficients: silentDeltas,
      rows: step.x.subarray(0, silent.nRows * step.dIn),
    };
    const pullFactors = Float32Array.from(pulls, (value) => -value / nRows);
    const pullPart = onePairEach(ofAll.sumOfRows, 1, new Uint32Array(dSae), pullFactors);
    const factors = Float32Array.from(alongDecoder, (sum, j) =>
      norms[j] > 0 ? sum / (nRows * norms[j]) : 0,
    );
    const squaredError = total(errors.squaredErrors);
    const distance = ofAll.distances.reduce((sum, value, j) => sum + pulls[j] * value, 0);
    return {
      ...shared,
      encoder: plus(plus(shared.encoder, silentPart), pullPart),
      decoder: { ...shared.decoder, pull: { factors, parts: Uint32Array.of(step.dOut) } },
      preActs: b_enc,
      b_enc,
      further: { log_threshold: logThresholds },
      sums: {
        squaredError,
        l1: total(acts.values),
        l0: acts.values.length,
        loss: squaredError + lambda * penalty + distance,
      },
    };
  },
  finish: ({ weights, further }) => ({
    architecture: 'jumprelu',
    weights: foldDecoderNorms({ ...weights, threshold: further['log_threshold'].map(Math.exp) }),
  }),
};

/** Sums over the batch by latent, [dSae]. */
interface SumsOfPairs {
  /** ∂t_j, but for the pull. */
  readonly logThresholds: Float64Array;
  /** B times what weighs W_dec[j]/n_j in ∂W_dec[j]. */
  readonly alongDecoder: Float64Array;
}

/** What the formulas take beside the pairs: numbers, θ and n. */
interface Terms {
  readonly nRows: number;
  readonly lambda: number;
  readonly tanhScale: number;
  readonly bandwidth: number;
  readonly pull: number;
  readonly thresholds: Float32Array;
  readonly norms: Float32Array;
}

/**
 * δ of active pairs, in place of their products, and Σ tanh. The pull is that of all pairs elsewhere, so these, which have
 * none, get it back.
 */
function addActive_(
  { logThresholds, alongDecoder }: SumsOfPairs,
  { latentIndices, values }: Codes,
  products: Float32Array,
  { nRows, lambda, tanhScale, bandwidth, pull, thresholds, norms }: Terms,
): number {
  const scale = 1 / nRows;
  let penalty = 0;
  for (let pair = 0; pair < values.length; pair++) {
    const j = latentIndices[pair];
    const f = values[pair];
    const norm = norms[j];
    const threshold = thresholds[j];
    const level = Math.tanh(tanhScale * f * norm);
    const weight = lambda * tanhScale * (1 - level * level);
    const slope = 2 * products[pair] + weight * norm;
    const inWindow = f - threshold < bandwidth / 2 ? threshold / bandwidth : 0;
    products[pair] = (slope * (1 + inWindow) + pull * norm) * scale;
    logThresholds[j] -= threshold * inWindow * slope * scale;
    alongDecoder[j] += weight * f;
    penalty += level;
  }
  return penalty;
}

/**
 * δ of the silent pairs in the window times a weight, in place of their products, but for the pull: all that `encodeWindow`
 * gives.
 */
function addSilent_(
  { logThresholds }: SumsOfPairs,
  { latentIndices, values }: Codes,
  products: Float32Array,
  { nRows, lambda, tanhScale, bandwidth, thresholds, norms }: Terms,
  weight: number,
): void {
  const scale = weight / (bandwidth * nRows);
  for (let pair = 0; pair < values.length; pair++) {
    const j = latentIndices[pair];
    const slope = 2 * products[pair] + lambda * tanhScale * norms[j];
    const delta = slope * thresholds[j] * scale;
    products[pair] = delta;
    logThresholds[j] -= thresholds[j] * delta;
  }
}

/** Of every latent: pairs with h ≤ θ, Σ of θ − h over them; and Σ_b x_b, [1, dIn]. */
async function sumsOfSilent(step: Step, thresholds: Float32Array, acts: Codes) {
  const { nRows, dIn, dSae, x, weights, backend } = step;
  const rows = Float32Array.from(await backend.columnSums({ rows: x, width: dIn }));
  const products = await backend.sampledProducts({
    codes: {
      nRows: 1,
      dSae,
      rowPointers: Uint32Array.of(0, dSae),
      latentIndices: Uint32Array.from({ length: dSae }, (_, j) => j),
      values: new Float32Array(dSae),
    },
    dOut: dIn,
    rows,
    W_dec: weights.W_enc,
  });
  const counts = new Float64Array(dSae).fill(nRows);
  const distances = Float64Array.from(products, (sum, j) => nRows * (thresholds[j] - weights.b_enc[j]) - sum);
  for (let pair = 0; pair < acts.values.length; pair++) {
    const j = acts.latentIndices[pair];
    counts[j]--;
    distances[j] += acts.values[pair] - thresholds[j];
  }
  return { counts, distances, sumOfRows: rows };
}
