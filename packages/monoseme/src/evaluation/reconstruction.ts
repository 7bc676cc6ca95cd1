import type { Codes } from '../kernels/contract.ts';

/**
 * Sums over rows from which every reconstruction figure is made; nothing is divided before the end.
 * Legend: x an activation, x̂ its reconstruction, f its latent activations.
 */
export class ReconstructionSums {
  readonly #dIn: number;
  readonly #dSae: number;
  nTokens = 0;
  readonly #sumX: Float64Array;
  #squaresX = 0;
  #squaredErrors = 0;
  #squaresReconstruction = 0;
  #dots = 0;
  #cosines = 0;
  #normRatios = 0;
  #l0 = 0;
  #l1 = 0;
  /** [dSae]: tokens in which each latent is active. */
  readonly firedTokens: Float64Array;

  constructor(dIn: number, dSae: number) {
    this.#dIn = dIn;
    this.#dSae = dSae;
    this.#sumX = new Float64Array(dIn);
    this.firedTokens = new Float64Array(dSae);
  }

  /** @param reconstructions [nRows, dIn] */
  add(x: Float32Array, reconstructions: Float32Array, codes: Codes): void {
    const width = this.#dIn;
    for (let start = 0; start < x.length; start += width) this.#addRow(x, reconstructions, start);
    for (let pair = 0; pair < codes.values.length; pair++) {
      this.#l1 += codes.values[pair];
      this.firedTokens[codes.latentIndices[pair]]++;
    }
    this.#l0 += codes.values.length;
    this.nTokens += codes.nRows;
  }

  #addRow(x: Float32Array, reconstructions: Float32Array, start: number): void {
    let xx = 0;
    let rr = 0;
    let xr = 0;
    for (let i = 0; i < this.#dIn; i++) {
      const a = x[start + i];
      const r = reconstructions[start + i];
      this.#sumX[i] += a;
      xx += a * a;
      rr += r * r;
      xr += a * r;
    }
    this.#squaresX += xx;
    this.#squaresReconstruction += rr;
    this.#dots += xr;
    this.#squaredErrors += Math.max(0, xx - 2 * xr + rr);
    if (xx > 0) {
      this.#cosines += rr > 0 ? xr / Math.sqrt(xx * rr) : 0;
      this.#normRatios += Math.sqrt(rr / xx);
    }
  }

  /** Figures of all rows added; see {@link ReconstructionFigures}. */
  figures(): ReconstructionFigures {
    const n = this.nTokens;
    const variance = this.#sumX.reduce((rest, sum) => rest - (sum * sum) / n, this.#squaresX);
    const share = (condition: (density: number) => boolean) =>
      this.firedTokens.reduce((count, fired) => count + (condition(fired / n) ? 1 : 0), 0) / this.#dSae;
    return {
      l0: this.#l0 / n,
      l1: this.#l1 / n,
      mse: this.#squaredErrors / n,
      explainedVariance: 1 - this.#squaredErrors / variance,
      cosineSimilarity: this.#cosines / n,
      l2Ratio: this.#normRatios / n,
      relativeReconstructionBias: this.#squaresReconstruction / this.#dots,
      fracDead: share((density) => density === 0),
      fracAbove1Percent: share((density) => density > 0.01),
      fracAbove10Percent: share((density) => density > 0.1),
    };
  }
}

export interface ReconstructionFigures {
  /** Mean number of active latents a token. */
  readonly l0: number;
  /** Mean Σ_j f_j. */
  readonly l1: number;
  /** Mean ‖x − x̂‖² (summed over the elements). */
  readonly mse: number;
  /** 1 − Σ‖x − x̂‖² / Σ‖x − mean(x)‖², sums over the whole set, divided once. */
  readonly explainedVariance: number;
  /** Mean cosine of x and x̂. */
  readonly cosineSimilarity: number;
  /** Mean ‖x̂‖ / ‖x‖. */
  readonly l2Ratio: number;
  /** E‖x̂‖² / E⟨x, x̂⟩: below 1 when reconstructions shrink. */
  readonly relativeReconstructionBias: number;
  /** Share of latents that fire on none of the tokens. */
  readonly fracDead: number;
  /** Share of latents that fire on more than 1 % of the tokens. */
  readonly fracAbove1Percent: number;
  readonly fracAbove10Percent: number;
}
