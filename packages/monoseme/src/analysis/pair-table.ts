import type { Codes, KernelBackend, PairSumsInput } from '../kernels/contract.ts';

/** Places of a pair's sums: Σ f_a f_b, tokens on which both are active; Σ f_b² where a is active, Σ f_a² where b is. */
export const PRODUCT = 0;
export const TOGETHER = 1;
export const SQUARES_B = 2;
export const SQUARES_A = 3;

/** Where the sums of pairs stand. */
export interface PairTable {
  /** Numbers a pair: the first so many of the places above. */
  readonly width: PairSumsInput['width'];
  /** [slots, width] */
  readonly sums: Float64Array;
  /** Pair a · dB + b of each slot, −1 for none; absent where slot and pair are the same. */
  readonly keys: Float64Array | undefined;
  /** Rounds in which rare pairs were dropped. */
  readonly nPruned: number;
  /** Add rows. They must not change until it is done. */
  add(a: Codes, b: Codes): Promise<void>;
}

/** A table with a place for every pair. */
export class DensePairTable implements PairTable {
  readonly width: PairSumsInput['width'];
  readonly sums: Float64Array;
  readonly keys = undefined;
  readonly nPruned = 0;
  readonly #backend: KernelBackend;

  constructor(backend: KernelBackend, dA: number, dB: number, width: PairSumsInput['width']) {
    this.#backend = backend;
    this.width = width;
    this.sums = new Float64Array(dA * dB * width);
  }

  add(a: Codes, b: Codes): Promise<void> {
    return this.#backend.addPairSums({ a, b, width: this.width, sums: this.sums });
  }
}

/** Slots that a sparse table begins with. */
const FIRST_SLOTS = 2 ** 16;

/**
 * A hash table of the pairs that were active together. When it is full, pairs that were together no more often than the
 * median are dropped (lossy counting, Manku and Motwani 2002): what is dropped can be the best match only of columns
 * that fire a handful of times.
 */
export class SparsePairTable implements PairTable {
  readonly width: 2 | 4;
  readonly #backend: KernelBackend;
  readonly #maxSlots: number;
  #sums: Float64Array;
  #keys: Float64Array;
  #used = 0;
  #nPruned = 0;

  constructor(backend: KernelBackend, width: 2 | 4, maxSlots: number) {
    this.#backend = backend;
    this.width = width;
    this.#maxSlots = maxSlots;
    const size = Math.min(FIRST_SLOTS, maxSlots);
    this.#keys = new Float64Array(size).fill(-1);
    this.#sums = new Float64Array(size * width);
  }

  get sums(): Float64Array {
    return this.#sums;
  }

  get keys(): Float64Array {
    return this.#keys;
  }

  get nPruned(): number {
    return this.#nPruned;
  }

  /** Column of a by column of a: the few columns of b that go with one stay in cache. */
  async add(a: Codes, b: Codes): Promise<void> {
    const { latentPointers, rowIndices, pairIndices } = await this.#backend.transpose(a);
    const { width } = this;
    for (let column = 0; column < a.dSae; column++) {
      for (let k = latentPointers[column]; k < latentPointers[column + 1]; k++) {
        const fa = a.values[pairIndices[k]];
        const end = b.rowPointers[rowIndices[k] + 1];
        for (let i = b.rowPointers[rowIndices[k]]; i < end; i++) {
          const fb = b.values[i];
          // Finding the slot may make the table anew.
          const at = width * this.#slot(column * b.dSae + b.latentIndices[i]);
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

  /** Where a pair stands; a new one gets a place. Linear probing. */
  #slot(key: number): number {
    const keys = this.#keys;
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
    const [width, old, oldKeys] = [this.width, this.#sums, this.#keys];
    const size = Math.min(2 * oldKeys.length, this.#maxSlots);
    let least = 0;
    if (size === oldKeys.length) {
      this.#nPruned++;
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
    this.#keys.forEach((key, slot) => {
      if (key !== -1) counts[n++] = this.#sums[slot * this.width + TOGETHER];
    });
    return counts.sort()[n >> 1];
  }
}

/** Mixes both halves of a key below 2⁵³ (the finaliser of MurmurHash3). */
function hashOf(key: number): number {
  let h = (key | 0) ^ Math.imul(Math.floor(key / 2 ** 32), 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
