import type { Codes } from '../kernels/contract.ts';
import { type Architecture, latentProducts, reconstruct } from './architecture.ts';
import { sharedGradients, type Step } from './architecture.ts';
import { foldDecoderNorms } from './fold.ts';
import { encodeWindow, silentProductsOf } from './jump-relu.ts';
import { oneFullRow } from './sub-codes.ts';
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
      sumsOfAll(step, thresholds),
    ]);

    const [logThresholds, alongDecoder, heights] = [0, 1, 2].map(() => new Float64Array(dSae));
    const sums = { logThresholds, alongDecoder, heights };
    const terms = { nRows, lambda, tanhScale, bandwidth, pull, thresholds, norms };
    const { products: deltas, residuals } = errors;
    const [silentDeltas, penalty] = await Promise.all([
      silentProductsOf(step, silent, residuals),
      addActive_(sums, acts, deltas, terms),
    ]);
    addSilent_(sums, silent, silentDeltas, terms, rowsPerSilent);
    const pulls = norms.map((norm) => pull * norm);
    let distances = 0;
    for (let j = 0; j < dSae; j++) {
      const nActive = byLatent.latentPointers[j + 1] - byLatent.latentPointers[j];
      const distance = ofAll.distances[j] + heights[j] - nActive * thresholds[j];
      logThresholds[j] += (thresholds[j] * pulls[j] * (nRows - nActive)) / nRows;
      alongDecoder[j] += pull * distance;
      distances += pulls[j] * distance;
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
        loss: squaredError + lambda * penalty + distances,
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
  /** Σ f_bj */
  readonly heights: Float64Array;
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
  { logThresholds, alongDecoder, heights }: SumsOfPairs,
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
    // tanh a = (1 − e)/(1 + e) and 1 − tanh² a = 4 e/(1 + e)² with e = exp(−2a), in half the time of Math.tanh.
    const fall = Math.exp(-2 * tanhScale * f * norm);
    const rest = 1 / (1 + fall);
    const weight = lambda * tanhScale * 4 * fall * rest * rest;
    const slope = 2 * products[pair] + weight * norm;
    const inWindow = f - threshold < bandwidth / 2 ? threshold / bandwidth : 0;
    products[pair] = (slope * (1 + inWindow) + pull * norm) * scale;
    logThresholds[j] -= threshold * inWindow * slope * scale;
    alongDecoder[j] += weight * f;
    heights[j] += f;
    penalty += (1 - fall) * rest;
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

/** Σ_b x_b, [1, dIn], and Σ_b (θ − h) of every latent, active or not. */
async function sumsOfAll(step: Step, thresholds: Float32Array) {
  const { nRows, dIn, dSae, x, weights, backend, buffers } = step;
  const sumOfRows = Float32Array.from(await backend.columnSums({ rows: x, width: dIn }));
  const products = await backend.sampledProducts({
    codes: oneFullRow(buffers, buffers.floats('no activations', dSae)),
    dOut: dIn,
    rows: sumOfRows,
    W_dec: weights.W_enc,
  });
  const distances = Float64Array.from(products, (sum, j) => nRows * (thresholds[j] - weights.b_enc[j]) - sum);
  return { distances, sumOfRows };
}
