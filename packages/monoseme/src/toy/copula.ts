import type { Random } from '../random/index.ts';
import { normalQuantile } from './normal.ts';

/** Low-rank correlation through a Gaussian copula. */
export interface CorrelationOptions {
  /** Number of common causes. */
  readonly rank: number;
  /** Standard deviation of every loading; rank · scale² is the share of a feature's variance that is common. */
  readonly scale: number;
}

/**
 * Binary features whose normal causes have the correlation matrix F Fᵀ + diag(1 − ‖F_i‖²), F [nFeatures, rank]: feature
 * i fires where ⟨F_i, z⟩ + o_i ε_i, o_i = √(1 − ‖F_i‖²), exceeds the quantile of its probability; z is common to a row. So
 * given z it fires with probability Φ(s_i), and its score s_i = (⟨F_i, z⟩ + Φ⁻¹(p_i)) / o_i is a product of two vectors:
 * what is known of the feature, and z with a 1 behind it.
 */
export class Copula {
  /** rank + 1 */
  readonly width: number;
  /** [nFeatures, width]: F_i / o_i, Φ⁻¹(p_i) / o_i */
  readonly #loadings: Float32Array;

  /** @param correlation none: the features are independent, and the rank 0 */
  constructor(correlation: CorrelationOptions | undefined, probability: Float64Array, random: Random) {
    const { rank, scale } = correlation ?? { rank: 0, scale: 0 };
    this.width = rank + 1;
    this.#loadings = new Float32Array(probability.length * this.width);
    probability.forEach((p, feature) => {
      const row = Float64Array.from({ length: rank }, () => scale * random.normal());
      const common = row.reduce((sum, value) => sum + value * value, 0);
      // A feature is at most 0.99 common, so that its own part does not vanish.
      const shrink = common > 0.99 ? Math.sqrt(0.99 / common) : 1;
      const own = Math.sqrt(1 - common * shrink * shrink);
      this.#loadings.set(
        [...row.map((value) => (value * shrink) / own), normalQuantile(p) / own],
        feature * this.width,
      );
    });
  }

  /** Common causes of some rows, each with a 1 behind it: [nRows, width]. */
  drawCauses(random: Random, nRows: number): Float32Array {
    return Float32Array.from({ length: nRows * this.width }, (_, i) =>
      (i + 1) % this.width === 0 ? 1 : random.normal(),
    );
  }

  /** Causes times this, [width, features], are the scores of the features. */
  columns(features: Uint32Array): Float32Array {
    const columns = new Float32Array(this.width * features.length);
    for (let r = 0; r < this.width; r++)
      for (const [column, feature] of features.entries())
        columns[r * features.length + column] = this.#loadings[feature * this.width + r];
    return columns;
  }

  /** The score of one feature in a row of causes. */
  score(feature: number, causes: Float32Array, row: number): number {
    let sum = 0;
    for (let r = 0; r < this.width; r++)
      sum += this.#loadings[feature * this.width + r] * causes[row * this.width + r];
    return sum;
  }
}
