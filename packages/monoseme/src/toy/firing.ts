import type { Random } from '../random/index.ts';
import { type Hierarchy, hierarchy, type HierarchyOptions } from './hierarchy.ts';
import { normalCdf, normalQuantile } from './normal.ts';

/** Low-rank correlation through a Gaussian copula. */
export interface CorrelationOptions {
  /** Number of common causes. */
  readonly rank: number;
  /** Standard deviation of every loading; rank · scale² is the share of a feature's variance that is common. */
  readonly scale: number;
}

/** How large an active feature is. */
export type Magnitudes =
  | { readonly kind: 'uniform'; readonly from: number; readonly to: number }
  /**
   * Normal, cut at 0: the means fall linearly from the first feature to the last, each standard deviation is the
   * absolute value of a normal number (SynthSAEBench).
   */
  | {
      readonly kind: 'normal';
      readonly firstMean: number;
      readonly lastMean: number;
      readonly deviation: { readonly mean: number; readonly deviation: number };
    };

/** Draws which features fire in a row, and how strongly. */
export interface Firing {
  /** Calls `fire` for every active feature of one row; not in order of the features where they form trees. */
  drawRow(random: Random, fire: (feature: number, magnitude: number) => void): void;
}

export interface FiringOptions {
  readonly probability: Float64Array;
  readonly magnitudes: Magnitudes;
  readonly correlation?: CorrelationOptions;
  readonly hierarchy?: HierarchyOptions;
}

export function firing(options: FiringOptions, random: Random): Firing {
  const { probability, correlation } = options;
  const magnitude = magnitudeDrawer(options.magnitudes, probability.length, random);
  if (!correlation && !options.hierarchy) return independent(probability, magnitude.draw);
  const trees = hierarchy(options.hierarchy, probability);
  return dependent(trees, correlation && new Copula(correlation, trees.conditional, random), magnitude);
}

interface MagnitudeDrawer {
  draw(random: Random, feature: number): number;
  mean(feature: number): number;
}

function magnitudeDrawer(options: Magnitudes, nFeatures: number, random: Random): MagnitudeDrawer {
  if (options.kind === 'uniform') {
    const { from, to } = options;
    return { draw: (row) => from + (to - from) * row.uniform(), mean: () => (from + to) / 2 };
  }
  const { firstMean, lastMean, deviation } = options;
  const step = (lastMean - firstMean) / Math.max(1, nFeatures - 1);
  const mean = (feature: number) => firstMean + step * feature;
  const deviations = Float64Array.from({ length: nFeatures }, () =>
    Math.abs(deviation.mean + deviation.deviation * random.normal()),
  );
  return {
    draw: (row, feature) => Math.max(0, mean(feature) + deviations[feature] * row.normal()),
    mean,
  };
}

/**
 * Each feature for itself. The gaps between active features are geometric with the largest probability, and a feature
 * that fires less is then passed over in proportion: as many draws as candidates, not as features.
 */
function independent(probability: Float64Array, magnitude: MagnitudeDrawer['draw']): Firing {
  const largest = probability.reduce((max, p) => Math.max(max, p), 0);
  const logSilent = Math.log(1 - largest);
  return {
    drawRow(random, fire) {
      const gap = () => (largest === 1 ? 0 : Math.floor(Math.log(1 - random.uniform()) / logSilent));
      for (let feature = gap(); feature < probability.length; feature += 1 + gap()) {
        const p = probability[feature];
        if (p < largest && random.uniform() * largest >= p) continue;
        const value = magnitude(random, feature);
        if (value > 0) fire(feature, value);
      }
    },
  };
}

/** Features with common causes, in trees, or both. A child is looked at only where its parent fired. */
function dependent(trees: Hierarchy, copula: Copula | undefined, magnitude: MagnitudeDrawer): Firing {
  const { firstChild, nChildren, free, conditional } = trees;
  return {
    drawRow(random, fire) {
      copula?.drawCauses(random);
      const fires = (feature: number) =>
        random.uniform() < (copula ? copula.probability(feature) : conditional[feature]);
      const withChildren = (feature: number, scale: number): void => {
        const value = magnitude.draw(random, feature) * scale;
        if (value <= 0) return;
        fire(feature, value);
        let chosen = -1;
        let drawn = 0;
        for (let child = firstChild[feature]; child < firstChild[feature] + nChildren[feature]; child++) {
          // Of the children drawn so far each is the chosen one with the same chance.
          if (fires(child) && random.uniform() * ++drawn < 1) chosen = child;
        }
        if (chosen >= 0) withChildren(chosen, value / magnitude.mean(feature));
      };
      for (const feature of free) if (fires(feature)) withChildren(feature, 1);
    },
  };
}

/**
 * Binary features whose normal causes have the correlation matrix F Fᵀ + diag(1 − ‖F_i‖²), F [nFeatures, rank]: feature
 * i fires where ⟨F_i, z⟩ + √(1 − ‖F_i‖²) ε_i exceeds the quantile of its probability; z is common to a row.
 */
class Copula {
  readonly #loadings: Float32Array;
  readonly #causes: Float64Array;
  readonly #quantiles: Float64Array;
  readonly #own: Float64Array;

  constructor({ rank, scale }: CorrelationOptions, probability: Float64Array, random: Random) {
    const nFeatures = probability.length;
    this.#loadings = new Float32Array(nFeatures * rank).map(() => scale * random.normal());
    this.#causes = new Float64Array(rank);
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

  drawCauses(random: Random): void {
    for (let r = 0; r < this.#causes.length; r++) this.#causes[r] = random.normal();
  }

  /** The probability of a feature given the common causes of the row. */
  probability(feature: number): number {
    const rank = this.#causes.length;
    let common = 0;
    for (let r = 0; r < rank; r++) common += this.#loadings[feature * rank + r] * this.#causes[r];
    return normalCdf((this.#quantiles[feature] + common) / this.#own[feature]);
  }
}
