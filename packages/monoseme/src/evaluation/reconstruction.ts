import type { Codes } from '../kernels/contract.ts';
import { type ReconstructionFigures, reconstructionFigures } from './figures.ts';
import { addRow, codesRow, N_COLUMNS, reconstructionRow, type Sums, sumsOf } from './sums.ts';

/** Figures of densities: shares of the latents. */
export interface DensityFigures {
  /** Share of latents that fire on none of the tokens. */
  readonly fracDead: number;
  /** Share of latents that fire on more than 1 % of the tokens. */
  readonly fracAbove1Percent: number;
  readonly fracAbove10Percent: number;
}

/** Sums over rows from which every reconstruction figure is made; nothing is divided before the end. */
export class ReconstructionSums {
  readonly #row = new Float64Array(N_COLUMNS);
  /** [N_COLUMNS]: the sums of all rows; see sums.ts. */
  readonly total = new Float64Array(N_COLUMNS);
  readonly #reference: Float32Array;
  /** [dIn]: Σ (x − reference). */
  readonly sumX: Float64Array;
  /** [dSae]: tokens in which each latent is active. */
  readonly firedTokens: Float64Array;

  /** @param reference [dIn]: a vector near the mean, 0 by default; the nearer, the less is lost to rounding */
  constructor(dIn: number, dSae: number, reference: Float32Array = new Float32Array(dIn)) {
    this.#reference = reference;
    this.sumX = new Float64Array(dIn);
    this.firedTokens = new Float64Array(dSae);
  }

  get nTokens(): number {
    return this.total[0];
  }

  /**
   * @param reconstructions [nRows, dIn]
   * @param onRow called with what each token adds; it may fill further columns before they are added
   */
  add(
    x: Float32Array,
    reconstructions: Float32Array,
    codes: Codes,
    onRow?: (row: Float64Array, token: number) => void,
  ): void {
    for (let token = 0; token < codes.nRows; token++) {
      reconstructionRow(this.#row, x, reconstructions, token, this.#reference);
      codesRow(this.#row, codes, token);
      onRow?.(this.#row, token);
      addRow(this.total, 0, this.#row, 0);
    }
    const width = this.sumX.length;
    for (let start = 0; start < x.length; start += width) {
      for (let i = 0; i < width; i++) this.sumX[i] += x[start + i] - this.#reference[i];
    }
    for (const latent of codes.latentIndices) this.firedTokens[latent]++;
  }

  /** Figures of all rows added; see {@link ReconstructionFigures}. */
  figures(): ReconstructionFigures & DensityFigures {
    const sums = sumsOf(this.total);
    return {
      ...reconstructionFigures(sums, totalVariance(sums, this.sumX)),
      ...densityFigures(this.firedTokens, sums.tokens),
    };
  }
}

/** Σ‖x − mean(x)‖² = Σ‖x − reference‖² − ‖Σ (x − reference)‖² / n. */
export function totalVariance(sums: Sums, sumX: Float64Array): number {
  return sumX.reduce((rest, sum) => rest - (sum * sum) / sums.tokens, sums.deviations);
}

export function densityFigures(firedTokens: Float64Array, nTokens: number): DensityFigures {
  const share = (condition: (density: number) => boolean) =>
    firedTokens.reduce((count, fired) => count + (condition(fired / nTokens) ? 1 : 0), 0) /
    firedTokens.length;
  return {
    fracDead: share((density) => density === 0),
    fracAbove1Percent: share((density) => density > 0.01),
    fracAbove10Percent: share((density) => density > 0.1),
  };
}
