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

const NO_PAIR: Pair = { a: 0, b: 0, together: 0, product: 0, correlation: 0, maskedCosine: 0 };

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
    for (const slot of this.#slots()) yield this.#read_({ ...NO_PAIR }, slot);
  }

  /** Where those pairs stand. */
  *#slots(): Generator<number> {
    const { sums, width } = this.#table;
    const sign = width === 1 ? PRODUCT : TOGETHER;
    for (let slot = 0; slot * width < sums.length; slot++) if (sums[slot * width + sign] !== 0) yield slot;
  }

  /**
   * For every a the b of the largest score, or undefined where nothing was active together with it. Ties go to the
   * lower b.
   */
  best(score: (pair: Pair) => number, side: 'a' | 'b' = 'a'): (Pair | undefined)[] {
    const best = new Array<Pair | undefined>(side === 'a' ? this.dA : this.dB).fill(undefined);
    const values = new Float64Array(best.length);
    const other = side === 'a' ? 'b' : 'a';
    // One object for all that are looked at: of millions few are kept.
    const pair = { ...NO_PAIR };
    for (const slot of this.#slots()) {
      const value = score(this.#read_(pair, slot));
      const at = pair[side];
      const known = best[at];
      if (
        known !== undefined &&
        !(value > values[at] || (value === values[at] && pair[other] < known[other]))
      )
        continue;
      best[at] = { ...pair };
      values[at] = value;
    }
    return best;
  }

  #read_(pair: { -readonly [K in keyof Pair]: Pair[K] }, slot: number): Pair {
    const { keys, sums, width } = this.#table;
    const key = keys?.[slot] ?? slot;
    pair.a = Math.floor(key / this.dB);
    pair.b = key % this.dB;
    const { a, b } = pair;
    const n = this.nTokens;
    const at = slot * width;
    const product = sums[at + PRODUCT];
    const covariance = product - (this.a.sums[a] * this.b.sums[b]) / n;
    const varianceA = this.a.squares[a] - this.a.sums[a] ** 2 / n;
    const varianceB = this.b.squares[b] - this.b.sums[b] ** 2 / n;
    const cosine = (squareA: number, squareB: number) => product / Math.sqrt(squareA * squareB);
    pair.together = width === 1 ? 0 : sums[at + TOGETHER];
    pair.product = product;
    // A column that is active everywhere alike has no variance and correlates with nothing.
    pair.correlation = varianceA > 0 && varianceB > 0 ? covariance / Math.sqrt(varianceA * varianceB) : 0;
    if (width === 4)
      pair.maskedCosine = Math.max(
        cosine(this.a.squares[a], sums[at + SQUARES_B]),
        cosine(sums[at + SQUARES_A], this.b.squares[b]),
      );
    return pair;
  }
}
