import type { Codes } from '../kernels/contract.ts';
import { MonosemeError } from '../errors.ts';

/** Pairs whose sums stand in one table each (four numbers a pair, 768 MiB at most); more take a sparse table. */
const DENSE_PAIRS = 2 ** 24 + 2 ** 23;
/** Slots of the sparse table: 40 bytes each, 1.25 GiB at most. */
const MAX_SLOTS = 2 ** 25;
const FIRST_SLOTS = 2 ** 16;

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
  /** Tokens on which both are active. */
  readonly together: number;
  /** Pearson correlation over all tokens. */
  readonly correlation: number;
  /**
   * The larger of the cosines over the tokens on which a is active and over those on which b is (Bricken et al. 2023,
   * footnote 32).
   */
  readonly maskedCosine: number;
}

/**
 * Streaming sums of the products of two sets of sparse columns: latents with latents, with neurons, with proxies.
 *
 * Activations are never stored, and only pairs that are active together take part, so a token costs the product of
 * its two L0. Up to 25 million possible pairs stand in a dense table; beyond that, in a hash table that grows to 2²⁵
 * pairs. When it is full, pairs that were together only once so far are dropped (lossy counting, Manku and Motwani
 * 2002): what is dropped can be the best match only of columns that fire a handful of times.
 */
export class PairSums {
  readonly dA: number;
  readonly dB: number;
  readonly a: Margin;
  readonly b: Margin;
  nTokens = 0;
  /** Rounds in which rare pairs were dropped. */
  nPruned = 0;
  #keys: Float64Array | undefined;
  #used = 0;
  #products: Float64Array;
  /** Σ f_b² where a is active, Σ f_a² where b is. */
  #squaresB: Float64Array;
  #squaresA: Float64Array;
  #together: Float64Array;
  readonly #maxSlots: number;

  constructor(dA: number, dB: number, options: { densePairs?: number; maxSlots?: number } = {}) {
    const { densePairs = DENSE_PAIRS, maxSlots = MAX_SLOTS } = options;
    this.dA = dA;
    this.dB = dB;
    this.a = margin(dA);
    this.b = margin(dB);
    this.#maxSlots = maxSlots;
    const isDense = dA * dB <= densePairs;
    const size = isDense ? dA * dB : Math.min(FIRST_SLOTS, maxSlots);
    this.#keys = isDense ? undefined : new Float64Array(size).fill(-1);
    this.#products = new Float64Array(size);
    this.#squaresB = new Float64Array(size);
    this.#squaresA = new Float64Array(size);
    this.#together = new Float64Array(size);
  }

  /** Add rows of two sets of codes over the same tokens. @throws {MonosemeError} ERR_MISMATCH */
  add(codesA: Codes, codesB: Codes): void {
    if (codesA.nRows !== codesB.nRows || codesA.dSae !== this.dA || codesB.dSae !== this.dB)
      throw new MonosemeError(
        'ERR_MISMATCH',
        `${codesA.nRows} tokens of ${codesA.dSae} columns cannot be paired with ${codesB.nRows} of ${codesB.dSae}.`,
        'Compare activations over the same text.',
      );
    for (let row = 0; row < codesA.nRows; row++) this.addRow(codesA, row, codesB, row);
  }

  /** Add one token: row `rowA` of the one, row `rowB` of the other. */
  addRow(codesA: Codes, rowA: number, codesB: Codes, rowB: number): void {
    const [startA, endA] = [codesA.rowPointers[rowA], codesA.rowPointers[rowA + 1]];
    const [startB, endB] = [codesB.rowPointers[rowB], codesB.rowPointers[rowB + 1]];
    this.nTokens++;
    addMargin(this.a, codesA, startA, endA);
    addMargin(this.b, codesB, startB, endB);
    for (let i = startA; i < endA; i++) {
      const fa = codesA.values[i];
      const base = codesA.latentIndices[i] * this.dB;
      for (let k = startB; k < endB; k++) {
        const fb = codesB.values[k];
        const key = base + codesB.latentIndices[k];
        const slot = this.#keys === undefined ? key : this.#slot(key);
        this.#products[slot] += fa * fb;
        this.#squaresB[slot] += fb * fb;
        this.#squaresA[slot] += fa * fa;
        this.#together[slot]++;
      }
    }
  }

  /** All pairs that were active together, by a, then by b (in the sparse table in no order that means anything). */
  *pairs(): Generator<Pair> {
    for (let slot = 0; slot < this.#products.length; slot++) {
      if (this.#together[slot] > 0) yield this.#pair(slot);
    }
  }

  /**
   * For every a the b of the largest score, or undefined where nothing was active together with it. Ties go to the
   * lower b.
   */
  best(score: (pair: Pair) => number, side: 'a' | 'b' = 'a'): (Pair | undefined)[] {
    const best = new Array<Pair | undefined>(side === 'a' ? this.dA : this.dB).fill(undefined);
    const other = side === 'a' ? 'b' : 'a';
    for (const pair of this.pairs()) {
      const value = score(pair);
      const known = best[pair[side]];
      const lead = known === undefined ? 1 : value - score(known);
      if (lead > 0 || (lead === 0 && pair[other] < known![other])) best[pair[side]] = pair;
    }
    return best;
  }

  #pair(slot: number): Pair {
    const key = this.#keys?.[slot] ?? slot;
    const [a, b] = [Math.floor(key / this.dB), key % this.dB];
    const n = this.nTokens;
    const product = this.#products[slot];
    const covariance = product - (this.a.sums[a] * this.b.sums[b]) / n;
    const varianceA = this.a.squares[a] - this.a.sums[a] ** 2 / n;
    const varianceB = this.b.squares[b] - this.b.sums[b] ** 2 / n;
    const cosine = (squareA: number, squareB: number) => product / Math.sqrt(squareA * squareB);
    return {
      a,
      b,
      together: this.#together[slot],
      // A column that is active everywhere alike has no variance and correlates with nothing.
      correlation: varianceA > 0 && varianceB > 0 ? covariance / Math.sqrt(varianceA * varianceB) : 0,
      maskedCosine: Math.max(
        cosine(this.a.squares[a], this.#squaresB[slot]),
        cosine(this.#squaresA[slot], this.b.squares[b]),
      ),
    };
  }

  /** Where a pair stands in the sparse table; a new one gets a place. Linear probing. */
  #slot(key: number): number {
    const keys = this.#keys!;
    const mask = keys.length - 1;
    let slot = hashOf(key) & mask;
    while (keys[slot] !== key && keys[slot] !== -1) slot = (slot + 1) & mask;
    if (keys[slot] === key) return slot;
    if (this.#used >= 0.7 * keys.length) {
      this.#rebuild();
      return this.#slot(key);
    }
    keys[slot] = key;
    this.#used++;
    return slot;
  }

  /** Twice the size, or, at the limit, without the pairs seen least. */
  #rebuild(): void {
    const old = [this.#products, this.#squaresB, this.#squaresA, this.#together] as const;
    const oldKeys = this.#keys!;
    const size = Math.min(2 * oldKeys.length, this.#maxSlots);
    let least = 0;
    if (size === oldKeys.length) {
      this.nPruned++;
      // What is seen more often than the median stays.
      least = median(old[3], oldKeys);
    }
    const next = old.map(() => new Float64Array(size)) as unknown as Float64Array[];
    [this.#products, this.#squaresB, this.#squaresA, this.#together] = next;
    this.#keys = new Float64Array(size).fill(-1);
    this.#used = 0;
    for (let slot = 0; slot < oldKeys.length; slot++) {
      if (oldKeys[slot] === -1 || old[3][slot] <= least) continue;
      const place = this.#slot(oldKeys[slot]);
      old.forEach((array, i) => (next[i][place] = array[slot]));
    }
  }
}

function margin(d: number): Margin {
  return { sums: new Float64Array(d), squares: new Float64Array(d), fired: new Float64Array(d) };
}

function addMargin(
  { sums, squares, fired }: Margin,
  { latentIndices, values }: Codes,
  from: number,
  to: number,
): void {
  for (let i = from; i < to; i++) {
    const column = latentIndices[i];
    sums[column] += values[i];
    squares[column] += values[i] * values[i];
    fired[column]++;
  }
}

/** Mixes both halves of a key below 2⁵³ (the finaliser of MurmurHash3). */
function hashOf(key: number): number {
  let h = (key | 0) ^ Math.imul(Math.floor(key / 2 ** 32), 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** The median of how often the pairs of a table were together. */
function median(together: Float64Array, keys: Float64Array): number {
  const sorted = together.filter((_, slot) => keys[slot] !== -1).sort();
  return sorted[sorted.length >> 1];
}
