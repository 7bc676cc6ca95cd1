import { type PairTable, PRODUCT, SQUARES_A, SQUARES_B, TOGETHER } from './pair-table.ts';

/** Sums of one side. */
export interface Margin {
  /** [d]: Σ f, Σ f², tokens on which it is active. */
  readonly sums: Float64Array;
  readonly squares: Float64Array;
  readonly fired: Float64Array;
}

/** What is known of two columns that were active together at least once. */
export interface Pair {
  readonly a: number;
  readonly b: number;
  /** Tokens on which both are active; 0 in a dense table that does not count. */
  readonly together: number;
  /** Σ f_a f_b. */
  readonly product: number;
  /** Pearson correlation over all tokens. */
  readonly correlation: number;
  /**
   * The larger of the cosines over the tokens on which a is active and over those on which b is (Bricken et al. 2023,
   * footnote 32). 0 where `masked` is off.
   */
  readonly maskedCosine: number;
}

/** The sums of products of two sets of sparse columns over all tokens, as `PairSummer` makes them. */
export class PairSums {
  readonly a: Margin;
  readonly b: Margin;
  readonly nTokens: number;
  readonly #table: PairTable;

  constructor(table: PairTable, a: Margin, b: Margin, nTokens: number) {
    this.#table = table;
    this.a = a;
    this.b = b;
    this.nTokens = nTokens;
  }

  get dA(): number {
    return this.a.sums.length;
  }

  get dB(): number {
    return this.b.sums.length;
  }

  /** Rounds in which rare pairs were dropped. */
  get nPruned(): number {
    return this.#table.nPruned;
  }

  /** All pairs that were active together, by a, then by b (in the sparse table in no order that means anything). */
  *pairs(): Generator<Pair> {
    const { sums, width } = this.#table;
    const sign = width === 1 ? PRODUCT : TOGETHER;
    for (let slot = 0; slot * width < sums.length; slot++) {
      if (sums[slot * width + sign] !== 0) yield this.#pair(slot);
    }
  }

  /**
   * For every a the b of the largest score, or undefined where nothing was active together with it. Ties go to the
   * lower b.
   */
  best(score: (pair: Pair) => number, side: 'a' | 'b' = 'a'): (Pair | undefined)[] {
    const best = new Array<Pair | undefined>(side === 'a' ? this.dA : this.dB).fill(undefined);
    const values = new Float64Array(best.length);
    const other = side === 'a' ? 'b' : 'a';
    for (const pair of this.pairs()) {
      const value = score(pair);
      const at = pair[side];
      const known = best[at];
      if (
        known !== undefined &&
        !(value > values[at] || (value === values[at] && pair[other] < known[other]))
      )
        continue;
      best[at] = pair;
      values[at] = value;
    }
    return best;
  }

  #pair(slot: number): Pair {
    const { keys, sums, width } = this.#table;
    const key = keys?.[slot] ?? slot;
    const [a, b] = [Math.floor(key / this.dB), key % this.dB];
    const n = this.nTokens;
    const at = slot * width;
    const product = sums[at + PRODUCT];
    const covariance = product - (this.a.sums[a] * this.b.sums[b]) / n;
    const varianceA = this.a.squares[a] - this.a.sums[a] ** 2 / n;
    const varianceB = this.b.squares[b] - this.b.sums[b] ** 2 / n;
    const cosine = (squareA: number, squareB: number) => product / Math.sqrt(squareA * squareB);
    return {
      a,
      b,
      together: width === 1 ? 0 : sums[at + TOGETHER],
      product,
      // A column that is active everywhere alike has no variance and correlates with nothing.
      correlation: varianceA > 0 && varianceB > 0 ? covariance / Math.sqrt(varianceA * varianceB) : 0,
      maskedCosine:
        width === 4
          ? Math.max(
              cosine(this.a.squares[a], sums[at + SQUARES_B]),
              cosine(sums[at + SQUARES_A], this.b.squares[b]),
            )
          : 0,
    };
  }
}
