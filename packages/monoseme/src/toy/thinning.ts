import type { Random } from '../random/index.ts';
import type { RowProbabilities } from './copula.ts';

/** Features that share a bound. */
const BLOCK = 64;

/** Bounds of the blocks for rows of one level. */
interface BlockBounds {
  /** The largest bound of each block. */
  readonly largest: Float64Array;
  /** 1 / log(1 − largest) */
  readonly scale: Float64Array;
}

/**
 * Draws which of many features fire without looking at each: where none of a block fires more often than M in this row,
 * the gaps between candidates are geometric with M, and a candidate fires with probability p / M. Exactly what drawing
 * every feature by its p would give, with Σ M numbers drawn instead of one a feature.
 */
export class Thinning {
  readonly #features: Uint32Array;
  readonly #rows: RowProbabilities;
  readonly #bounds: BlockBounds[] = [];

  constructor(features: Uint32Array, rows: RowProbabilities) {
    // Blocks are of features with like bounds, so that their common one is near to that of each.
    const bounds = rows.bounds(features, rows.usualLevel);
    const order = Uint32Array.from(bounds, (_, i) => i).sort((a, b) => bounds[b] - bounds[a] || a - b);
    this.#features = order.map((place) => features[place]);
    this.#rows = rows;
  }

  /** Calls `fire` for each feature that fires in the row at hand, in no particular order. */
  draw(random: Random, fire: (feature: number) => void): void {
    const features = this.#features;
    const rows = this.#rows;
    const { largest, scale } = (this.#bounds[rows.level] ??= this.#blockBounds(rows.level));
    for (let block = 0; block < largest.length; block++) {
      const bound = largest[block];
      const end = Math.min((block + 1) * BLOCK, features.length);
      for (let place = block * BLOCK; ; place++) {
        place += Math.floor(Math.log(1 - random.uniform()) * scale[block]);
        if (!(place < end)) break;
        if (random.uniform() * bound < rows.probability(features[place])) fire(features[place]);
      }
    }
  }

  #blockBounds(level: number): BlockBounds {
    const bounds = this.#rows.bounds(this.#features, level);
    const largest = new Float64Array(Math.ceil(bounds.length / BLOCK));
    bounds.forEach((bound, i) => {
      const block = Math.floor(i / BLOCK);
      largest[block] = Math.max(largest[block], bound);
    });
    return { largest, scale: largest.map((bound) => 1 / Math.log1p(-bound)) };
  }
}
