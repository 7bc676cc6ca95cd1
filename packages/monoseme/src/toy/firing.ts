import type { Random } from '../random/index.ts';
import type { KernelBackend } from '../kernels/contract.ts';
import { Copula, type CorrelationOptions } from './copula.ts';
import { type Hierarchy, hierarchy, type HierarchyOptions } from './hierarchy.ts';
import { normalCdf } from './normal.ts';
import { thin } from './thinning.ts';

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

export type Fire = (row: number, feature: number, magnitude: number) => void;

/** Draws which features fire in some rows, and how strongly. */
export interface Firing {
  /** Calls `fire` for every active feature, row by row; within one in order of the features unless they form trees. */
  drawRows(random: Random, nRows: number, fire: Fire): Promise<void>;
}

export interface FiringOptions {
  readonly probability: Float64Array;
  readonly magnitudes: Magnitudes;
  readonly correlation?: CorrelationOptions;
  readonly hierarchy?: HierarchyOptions;
}

export function firing(options: FiringOptions, random: Random, backend: KernelBackend): Firing {
  const { probability, correlation } = options;
  const magnitude = magnitudeDrawer(options.magnitudes, probability.length, random);
  if (!correlation && !options.hierarchy) return independent(probability, magnitude.draw);
  const trees = hierarchy(options.hierarchy, probability);
  return dependent(trees, new Copula(correlation, trees.conditional, random), magnitude, backend);
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
    async drawRows(random, nRows, fire) {
      const gap = () => (largest === 1 ? 0 : Math.floor(Math.log(1 - random.uniform()) / logSilent));
      for (let row = 0; row < nRows; row++) {
        for (let feature = gap(); feature < probability.length; feature += 1 + gap()) {
          const p = probability[feature];
          if (p < largest && random.uniform() * largest >= p) continue;
          const value = magnitude(random, feature);
          if (value > 0) fire(row, feature, value);
        }
      }
    },
  };
}

/** Rows whose scores are worked out at a time. */
const TILE_ROWS = 256;

/** Features with common causes, in trees, or both. */
function dependent(
  trees: Hierarchy,
  copula: Copula,
  magnitude: MagnitudeDrawer,
  backend: KernelBackend,
): Firing {
  const { free } = trees;
  const columns = copula.columns(free);
  return {
    async drawRows(random, nRows, fire) {
      for (let start = 0; start < nRows; start += TILE_ROWS) {
        const tile = Math.min(TILE_ROWS, nRows - start);
        const causes = copula.drawCauses(random, tile);
        const shape = { nRows: tile, inner: copula.width, width: free.length };
        const scores = await backend.product({ a: causes, b: columns, ...shape });
        for (let row = 0; row < tile; row++) {
          const draw: RowDraw = {
            random,
            fires: (feature) => random.uniform() < normalCdf(copula.score(feature, causes, row)),
            fire: (feature, value) => fire(start + row, feature, value),
          };
          const ofRow = scores.subarray(row * free.length, (row + 1) * free.length);
          thin(ofRow, random, (place) => fireWithChildren(free[place], 1, trees, magnitude, draw));
        }
      }
    },
  };
}

interface RowDraw {
  readonly random: Random;
  readonly fires: (feature: number) => boolean;
  readonly fire: (feature: number, magnitude: number) => void;
}

/** A child is looked at only where its parent fired. */
function fireWithChildren(
  feature: number,
  scale: number,
  trees: Hierarchy,
  magnitude: MagnitudeDrawer,
  draw: RowDraw,
): void {
  const { random, fires, fire } = draw;
  const value = magnitude.draw(random, feature) * scale;
  if (value <= 0) return;
  fire(feature, value);
  let chosen = -1;
  let drawn = 0;
  const first = trees.firstChild[feature];
  for (let child = first; child < first + trees.nChildren[feature]; child++) {
    // Of the children drawn so far each is the chosen one with the same chance.
    if (fires(child) && random.uniform() * ++drawn < 1) chosen = child;
  }
  if (chosen >= 0) fireWithChildren(chosen, value / magnitude.mean(feature), trees, magnitude, draw);
}
