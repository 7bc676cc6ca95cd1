import type { GatheredArrays } from './index-checkpoint.ts';

/** Shape of the distribution of a latent's firing activations (those > 0). */
export interface Moments {
  readonly nFired: number;
  /** Contexts in which it fired at least once. */
  readonly nContexts: number;
  readonly max: number;
  readonly mean: number;
  /** Standard deviation of the population. */
  readonly std: number;
  /** E[(a − mean)³] / std³; 0 where std is 0. */
  readonly skewness: number;
  /** E[(a − mean)⁴] / std⁴ (3 for a normal distribution); 0 where std is 0. */
  readonly kurtosis: number;
}

/** Counts, largest values and power sums of every latent. f64 sums. */
export class ActivationMoments {
  /** [dSae] */
  readonly nFired: Float64Array;
  /** [dSae] */
  readonly nContexts: Float64Array;
  /** [dSae]; 0 for a latent that never fired. */
  readonly max: Float32Array;
  /** [dSae, 4]: Σ a, Σ a², Σ a³, Σ a⁴. */
  readonly #powers: Float64Array;
  readonly #contextSize: number;

  constructor(dSae: number, contextSize: number) {
    this.nFired = new Float64Array(dSae);
    this.nContexts = new Float64Array(dSae);
    this.max = new Float32Array(dSae);
    this.#powers = new Float64Array(dSae * 4);
    this.#contextSize = contextSize;
  }

  /** All of its state. */
  arrays(): GatheredArrays {
    return { nFired: this.nFired, nContexts: this.nContexts, max: this.max, powers: this.#powers };
  }

  /** Add the run of one latent. A run holds whole contexts: no context may be split between two runs. */
  addRun(latent: number, positions: Uint32Array, values: Float32Array, start: number, end: number): void {
    let max = this.max[latent];
    let [sum, squares, cubes, fourths] = [0, 0, 0, 0];
    let nContexts = 0;
    let contextEnd = 0;
    for (let i = start; i < end; i++) {
      const value = values[i];
      const square = value * value;
      sum += value;
      squares += square;
      cubes += square * value;
      fourths += square * square;
      if (value > max) max = value;
      if (positions[i] >= contextEnd) {
        nContexts++;
        contextEnd = positions[i] - (positions[i] % this.#contextSize) + this.#contextSize;
      }
    }
    this.nFired[latent] += end - start;
    this.nContexts[latent] += nContexts;
    this.max[latent] = max;
    this.#powers[latent * 4] += sum;
    this.#powers[latent * 4 + 1] += squares;
    this.#powers[latent * 4 + 2] += cubes;
    this.#powers[latent * 4 + 3] += fourths;
  }

  /** Σ a of a latent. */
  sum(latent: number): number {
    return this.#powers[latent * 4];
  }

  of(latent: number): Moments {
    const nFired = this.nFired[latent];
    const nContexts = this.nContexts[latent];
    if (nFired === 0) return { nFired, nContexts, max: 0, mean: 0, std: 0, skewness: 0, kurtosis: 0 };
    const [m1, m2, m3, m4] = [0, 1, 2, 3].map((power) => this.#powers[latent * 4 + power] / nFired);
    const variance = Math.max(0, m2 - m1 * m1);
    const std = Math.sqrt(variance);
    // Below this the difference of the sums is rounding, not spread.
    const spread = variance > 1e-12 * m2;
    const third = m3 - 3 * m1 * m2 + 2 * m1 ** 3;
    const fourth = m4 - 4 * m1 * m3 + 6 * m1 * m1 * m2 - 3 * m1 ** 4;
    return {
      nFired,
      nContexts,
      max: this.max[latent],
      mean: m1,
      std: spread ? std : 0,
      skewness: spread ? third / std ** 3 : 0,
      kurtosis: spread ? fourth / variance ** 2 : 0,
    };
  }
}
