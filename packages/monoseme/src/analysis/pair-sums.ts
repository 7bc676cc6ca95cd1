import type { Codes } from '../kernels/contract.ts';
import { MonosemeError } from '../errors.ts';

/** Pairs whose sums stand in one table (up to four numbers a pair, 768 MiB at most); more take a sparse table. */
const DENSE_PAIRS = 2 ** 24 + 2 ** 23;
/** Slots of the sparse table: 40 bytes each, 1.25 GiB at most. */
const MAX_SLOTS = 2 ** 25;
const FIRST_SLOTS = 2 ** 16;
/** Tokens and active pairs that are summed together: the more, the fewer times the table goes through the cache. */
const BLOCK_ROWS = 2 ** 17;
const BLOCK_PAIRS = 2 ** 23;

/** Places of a pair's sums: Σ f_a f_b, tokens on which both are active; Σ f_b² where a is active, Σ f_a² where b is. */
const PRODUCT = 0;
const TOGETHER = 1;
const SQUARES_B = 2;
const SQUARES_A = 3;

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
  /** Numbers a pair: the first so many of the places above. */
  readonly #width: 1 | 2 | 4;
  #keys: Float64Array | undefined;
  #used = 0;
  /** [slots, width] */
  #sums: Float64Array;
  #waiting: [Codes, Codes][] = [];
  #waitingRows = 0;
  #waitingPairs = 0;
  readonly #maxSlots: number;

  /**
   * @param options `masked: false` halves the memory where no masked cosine is needed; `counted: false` halves that of a
   * dense table again, where it does not matter on how many tokens a pair was together
   */
  constructor(
    dA: number,
    dB: number,
    options: { masked?: boolean; counted?: boolean; densePairs?: number; maxSlots?: number } = {},
  ) {
    const { masked = true, counted = true, densePairs = DENSE_PAIRS, maxSlots = MAX_SLOTS } = options;
    this.dA = dA;
    this.dB = dB;
    this.a = margin(dA);
    this.b = margin(dB);
    this.#maxSlots = maxSlots;
    const isDense = dA * dB <= densePairs;
    // A sparse table has to know which pairs are rare.
    this.#width = masked ? 4 : counted || !isDense ? 2 : 1;
    const size = isDense ? dA * dB : Math.min(FIRST_SLOTS, maxSlots);
    this.#keys = isDense ? undefined : new Float64Array(size).fill(-1);
    this.#sums = new Float64Array(size * this.#width);
  }

  /**
   * Add rows of two sets of codes over the same tokens. The codes must not change afterwards: they are summed later,
   * many at once.
   *
   * @throws {MonosemeError} ERR_MISMATCH
   */
  add(codesA: Codes, codesB: Codes): void {
    if (codesA.nRows !== codesB.nRows || codesA.dSae !== this.dA || codesB.dSae !== this.dB)
      throw new MonosemeError(
        'ERR_MISMATCH',
        `${codesA.nRows} tokens of ${codesA.dSae} columns cannot be paired with ${codesB.nRows} of ${codesB.dSae}.`,
        'Compare activations over the same text.',
      );
    this.nTokens += codesA.nRows;
    addMargin(this.a, codesA);
    addMargin(this.b, codesB);
    this.#waiting.push([codesA, codesB]);
    this.#waitingRows += codesA.nRows;
    this.#waitingPairs += codesA.values.length + codesB.values.length;
    if (this.#waitingRows >= BLOCK_ROWS || this.#waitingPairs >= BLOCK_PAIRS) this.#sumWaiting();
  }

  /** Column of a by column of a, each token of it with its row of b: the sums of one column lie near each other. */
  #sumWaiting(): void {
    const a = pairsByColumn(
      this.#waiting.map(([codes]) => codes),
      this.dA,
    );
    const b = joined(this.#waiting.map(([, codes]) => codes));
    if (this.#keys === undefined) this.#addDense(a, b);
    else this.#addSparse(a, b);
    this.#waiting = [];
    this.#waitingRows = 0;
    this.#waitingPairs = 0;
  }

  #addDense(a: Columns, b: Rows): void {
    if (this.#width === 1) return this.#addProducts(a, b);
    const { starts, rows, values } = a;
    const { rowPointers, latentIndices, values: valuesB } = b;
    const [sums, width, masked] = [this.#sums, this.#width, this.#width === 4];
    for (let column = 0; column < this.dA; column++) {
      const base = column * this.dB;
      for (let k = starts[column]; k < starts[column + 1]; k++) {
        const fa = values[k];
        const end = rowPointers[rows[k] + 1];
        for (let i = rowPointers[rows[k]]; i < end; i++) {
          const fb = valuesB[i];
          const at = width * (base + latentIndices[i]);
          sums[at + PRODUCT] += fa * fb;
          sums[at + TOGETHER]++;
          if (!masked) continue;
          sums[at + SQUARES_B] += fb * fb;
          sums[at + SQUARES_A] += fa * fa;
        }
      }
    }
  }

  #addProducts({ starts, rows, values }: Columns, b: Rows): void {
    const { rowPointers, latentIndices, values: valuesB } = b;
    for (let column = 0; column < this.dA; column++) {
      const sums = this.#sums.subarray(column * this.dB, (column + 1) * this.dB);
      for (let k = starts[column]; k < starts[column + 1]; k++) {
        const fa = values[k];
        const end = rowPointers[rows[k] + 1];
        for (let i = rowPointers[rows[k]]; i < end; i++) sums[latentIndices[i]] += fa * valuesB[i];
      }
    }
  }

  #addSparse(a: Columns, b: Rows): void {
    const width = this.#width;
    for (let column = 0; column < this.dA; column++) {
      for (let k = a.starts[column]; k < a.starts[column + 1]; k++) {
        const fa = a.values[k];
        const end = b.rowPointers[a.rows[k] + 1];
        for (let i = b.rowPointers[a.rows[k]]; i < end; i++) {
          const fb = b.values[i];
          // Finding the slot may make the table anew.
          const at = width * this.#slot(column * this.dB + b.latentIndices[i]);
          const sums = this.#sums;
          sums[at + PRODUCT] += fa * fb;
          sums[at + TOGETHER]++;
          if (width < 4) continue;
          sums[at + SQUARES_B] += fb * fb;
          sums[at + SQUARES_A] += fa * fa;
        }
      }
    }
  }

  /** All pairs that were active together, by a, then by b (in the sparse table in no order that means anything). */
  *pairs(): Generator<Pair> {
    this.#sumWaiting();
    const sign = this.#width === 1 ? PRODUCT : TOGETHER;
    for (let slot = 0; slot * this.#width < this.#sums.length; slot++) {
      if (this.#sums[slot * this.#width + sign] !== 0) yield this.#pair(slot);
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
    const [sums, at] = [this.#sums, slot * this.#width];
    const product = sums[at + PRODUCT];
    const covariance = product - (this.a.sums[a] * this.b.sums[b]) / n;
    const varianceA = this.a.squares[a] - this.a.sums[a] ** 2 / n;
    const varianceB = this.b.squares[b] - this.b.sums[b] ** 2 / n;
    const cosine = (squareA: number, squareB: number) => product / Math.sqrt(squareA * squareB);
    return {
      a,
      b,
      together: this.#width === 1 ? 0 : sums[at + TOGETHER],
      product,
      // A column that is active everywhere alike has no variance and correlates with nothing.
      correlation: varianceA > 0 && varianceB > 0 ? covariance / Math.sqrt(varianceA * varianceB) : 0,
      maskedCosine:
        this.#width === 4
          ? Math.max(
              cosine(this.a.squares[a], sums[at + SQUARES_B]),
              cosine(sums[at + SQUARES_A], this.b.squares[b]),
            )
          : 0,
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
    const [width, old, oldKeys] = [this.#width, this.#sums, this.#keys!];
    const size = Math.min(2 * oldKeys.length, this.#maxSlots);
    let least = 0;
    if (size === oldKeys.length) {
      this.nPruned++;
      // What is seen more often than the median stays.
      least = this.#medianTogether();
    }
    this.#sums = new Float64Array(size * width);
    this.#keys = new Float64Array(size).fill(-1);
    this.#used = 0;
    for (let slot = 0; slot < oldKeys.length; slot++) {
      if (oldKeys[slot] === -1 || old[slot * width + TOGETHER] <= least) continue;
      this.#sums.set(old.subarray(slot * width, (slot + 1) * width), this.#slot(oldKeys[slot]) * width);
    }
  }

  /** The median of how often the pairs of the table were together. */
  #medianTogether(): number {
    const counts = new Float64Array(this.#used);
    let n = 0;
    this.#keys!.forEach((key, slot) => {
      if (key !== -1) counts[n++] = this.#sums[slot * this.#width + TOGETHER];
    });
    return counts.sort()[n >> 1];
  }
}

/** Pairs (row, value) by column, rows ascending. */
interface Columns {
  readonly starts: Uint32Array;
  readonly rows: Uint32Array;
  readonly values: Float32Array;
}

type Rows = Pick<Codes, 'rowPointers' | 'latentIndices' | 'values'>;

/** The pairs of codes by column; rows are counted through all codes. */
function pairsByColumn(parts: readonly Codes[], d: number): Columns {
  const starts = new Uint32Array(d + 1);
  for (const { latentIndices, rowPointers, nRows } of parts)
    for (let i = rowPointers[0]; i < rowPointers[nRows]; i++) starts[latentIndices[i] + 1]++;
  for (let column = 0; column < d; column++) starts[column + 1] += starts[column];
  const rows = new Uint32Array(starts[d]);
  const values = new Float32Array(starts[d]);
  const next = starts.slice(0, d);
  let first = 0;
  for (const part of parts) {
    for (let row = 0; row < part.nRows; row++) {
      for (let i = part.rowPointers[row]; i < part.rowPointers[row + 1]; i++) {
        const place = next[part.latentIndices[i]]++;
        rows[place] = first + row;
        values[place] = part.values[i];
      }
    }
    first += part.nRows;
  }
  return { starts, rows, values };
}

/** Codes one after the other. */
function joined(parts: readonly Codes[]): Rows {
  const size = (part: Codes) => part.rowPointers[part.nRows] - part.rowPointers[0];
  const rowPointers = new Uint32Array(parts.reduce((sum, { nRows }) => sum + nRows, 1));
  const nPairs = parts.reduce((sum, part) => sum + size(part), 0);
  const [latentIndices, values] = [new Uint32Array(nPairs), new Float32Array(nPairs)];
  let [row, pair] = [0, 0];
  for (const part of parts) {
    const from = part.rowPointers[0];
    latentIndices.set(part.latentIndices.subarray(from, from + size(part)), pair);
    values.set(part.values.subarray(from, from + size(part)), pair);
    for (let r = 0; r < part.nRows; r++) rowPointers[++row] = pair + part.rowPointers[r + 1] - from;
    pair += size(part);
  }
  return { rowPointers, latentIndices, values };
}

function margin(d: number): Margin {
  return { sums: new Float64Array(d), squares: new Float64Array(d), fired: new Float64Array(d) };
}

function addMargin(
  { sums, squares, fired }: Margin,
  { latentIndices, values, rowPointers, nRows }: Codes,
): void {
  for (let i = rowPointers[0]; i < rowPointers[nRows]; i++) {
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
