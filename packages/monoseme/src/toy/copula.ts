import type { Random } from '../random/index.ts';
import { normalCdf, normalQuantile } from './normal.ts';

/** Low-rank correlation through a Gaussian copula. */
export interface CorrelationOptions {
  /** Number of common causes. */
  readonly rank: number;
  /** Standard deviation of every loading; rank · scale² is the share of a feature's variance that is common. */
  readonly scale: number;
}

/** Levels are lengths of the common causes, rounded up to the next of so many a unit. */
const LEVELS = 4;

/** How likely each feature is in the row at hand, and at most. */
export interface RowProbabilities {
  /** Moves on to the next row. */
  nextRow(random: Random): void;
  /** In this row. */
  probability(feature: number): number;
  /** Of this row: those of a higher level may have larger probabilities. */
  readonly level: number;
  /** The level of most rows. */
  readonly usualLevel: number;
  /** At least the probability of each of the features in any row of a level. */
  bounds(features: Uint32Array, level: number): Float64Array;
}

/** The same probabilities in every row. */
export function constantProbabilities(probability: Float64Array): RowProbabilities {
  return {
    level: 0,
    usualLevel: 0,
    nextRow() {},
    probability: (feature) => probability[feature],
    bounds: (features) => Float64Array.from(features, (feature) => probability[feature]),
  };
}

/**
 * Binary features whose normal causes have the correlation matrix F Fᵀ + diag(1 − ‖F_i‖²), F [nFeatures, rank]: feature
 * i fires where ⟨F_i, z⟩ + √(1 − ‖F_i‖²) ε_i exceeds the quantile of its probability; z is common to a row.
 */
export class Copula implements RowProbabilities {
  level = 0;
  readonly usualLevel: number;
  readonly #loadings: Float32Array;
  readonly #causes: Float64Array;
  readonly #quantiles: Float64Array;
  readonly #own: Float64Array;

  constructor({ rank, scale }: CorrelationOptions, probability: Float64Array, random: Random) {
    const nFeatures = probability.length;
    this.#loadings = new Float32Array(nFeatures * rank).map(() => scale * random.normal());
    this.#causes = new Float64Array(rank);
    this.usualLevel = Math.ceil(LEVELS * Math.sqrt(rank));
    this.#quantiles = probability.map(normalQuantile);
    this.#own = new Float64Array(nFeatures);
    for (let feature = 0; feature < nFeatures; feature++) {
      const row = this.#loadings.subarray(feature * rank, (feature + 1) * rank);
      const common = row.reduce((sum, value) => sum + value * value, 0);
      // A feature is at most 0.99 common, so that its own part does not vanish.
      const shrink = common > 0.99 ? Math.sqrt(0.99 / common) : 1;
      row.forEach((value, i) => (row[i] = value * shrink));
      this.#own[feature] = Math.sqrt(1 - common * shrink * shrink);
    }
  }

  nextRow(random: Random): void {
    let square = 0;
    for (let r = 0; r < this.#causes.length; r++) {
      const cause = random.normal();
      this.#causes[r] = cause;
      square += cause * cause;
    }
    this.level = Math.ceil(LEVELS * Math.sqrt(square));
  }

  /** Given the common causes of the row. */
  probability(feature: number): number {
    const causes = this.#causes;
    const loadings = this.#loadings;
    const rank = causes.length;
    let at = feature * rank;
    // Two sums, which the processor adds up side by side.
    let [even, odd] = [0, 0];
    let r = 0;
    for (; r + 1 < rank; r += 2, at += 2) {
      even += loadings[at] * causes[r];
      odd += loadings[at + 1] * causes[r + 1];
    }
    if (r < rank) even += loadings[at] * causes[r];
    return this.#given(feature, even + odd);
  }

  /** By Cauchy and Schwarz: ⟨F_i, z⟩ ≤ ‖F_i‖ ‖z‖. */
  bounds(features: Uint32Array, level: number): Float64Array {
    const length = level / LEVELS;
    return Float64Array.from(features, (feature) =>
      this.#given(feature, Math.sqrt(1 - this.#own[feature] ** 2) * length),
    );
  }

  #given(feature: number, common: number): number {
    return normalCdf((this.#quantiles[feature] + common) / this.#own[feature]);
  }
}
