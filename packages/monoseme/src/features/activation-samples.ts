import type { TokenSequence } from '../corpus/index.ts';
import { firingHash, latentHash, secondHash, textKey } from './firing-hash.ts';
import type { GatheredArrays } from './index-checkpoint.ts';
import { type Sample, SampleSlots } from './sample-slots.ts';

/** Bins over [0, limit) in which samples are kept until the maximum is known. */
const BINS = 24;
/** Samples a bin keeps. */
const PER_BIN = 5;
/** Tokens on each side that decide whether two examples show the same text: the paper's window of nine. */
export const TEXT_RADIUS = 4;

export interface SampleOptions {
  readonly dSae: number;
  readonly contextSize: number;
  readonly seed: number;
  readonly nTop: number;
  readonly nRandom: number;
  /** Tokens on each side whose activations are kept with an example. */
  readonly radius: number;
}

/**
 * Examples of every latent from one pass, in memory that does not grow with the text.
 *
 * - Top: the `nTop` largest activations with at most one a context (its largest) and one a text (the nine tokens
 *   around the peak). Exact. Ties go to the lower position.
 * - By height: the range [0, limit) of a latent, limit a power of two above all its activations, is cut in 24 bins of
 *   equal width; each keeps the 5 firings with the smallest hash ({@link firingHash}). When the limit doubles,
 *   pairs of bins merge, again keeping the 5 smallest. As limit ≤ 2·max, a twelfth of [0, max] is never narrower
 *   than a bin.
 * - Random: the `nRandom` firings with the smallest second hash.
 */
export class ActivationSamples {
  readonly slots: SampleSlots;
  readonly #options: SampleOptions;
  readonly #tokens: TokenSequence;
  /** [dSae]: the power of two above all values; 0 before the first. */
  readonly #limits: Float64Array;
  /** [dSae, groups]: samples in use. Groups are the bins, then random, then top. */
  readonly #used: Uint8Array;
  /** [dSae, BINS + 1]: a firing whose hash is below this enters the bin (the last one: random). */
  readonly #entry: Uint32Array;
  /** [dSae]: an activation above this may enter the top group. */
  readonly #topEntry: Float32Array;
  readonly #randomSlot = BINS * PER_BIN;
  readonly #topSlot: number;

  constructor(tokens: TokenSequence, options: SampleOptions) {
    const { dSae, nTop, nRandom, radius, contextSize } = options;
    this.#options = options;
    this.#tokens = tokens;
    this.#topSlot = this.#randomSlot + nRandom;
    this.slots = new SampleSlots(dSae, this.#topSlot + nTop, radius, contextSize);
    this.#limits = new Float64Array(dSae);
    this.#used = new Uint8Array(dSae * (BINS + 2));
    this.#entry = new Uint32Array(dSae * (BINS + 1)).fill(0xffffffff);
    this.#topEntry = new Float32Array(dSae);
  }

  /** All of its state. */
  arrays(): GatheredArrays {
    return {
      ...this.slots.arrays(),
      limits: this.#limits,
      used: this.#used,
      entry: this.#entry,
      topEntry: this.#topEntry,
    };
  }

  static bytesPerLatent(nTop: number, nRandom: number, radius: number): number {
    return (BINS * PER_BIN + nRandom + nTop) * SampleSlots.bytesPerSlot(radius) + 5 * BINS + 16;
  }

  /** Add the run of one latent: whole contexts, positions ascending. `max` is its largest value or more. */
  addRun(
    latent: number,
    positions: Uint32Array,
    values: Float32Array,
    start: number,
    end: number,
    max: number,
  ): void {
    this.#grow(latent, max);
    this.#addByHash(latent, positions, values, start, end);
    this.#addTop(latent, positions, values, start, end);
  }

  #addByHash(latent: number, positions: Uint32Array, values: Float32Array, start: number, end: number): void {
    const scale = BINS / this.#limits[latent];
    const hashOfLatent = latentHash(this.#options.seed, latent);
    const entry = this.#entry;
    const entryBase = latent * (BINS + 1);
    for (let i = start; i < end; i++) {
      const hash = firingHash(hashOfLatent, positions[i]);
      const bin = (values[i] * scale) | 0;
      if (hash < entry[entryBase + bin]) this.#enter(latent, bin, hash, positions, values, start, end, i);
      const second = secondHash(hash);
      if (second < entry[entryBase + BINS])
        this.#enter(latent, BINS, second, positions, values, start, end, i);
    }
  }

  /** Put a firing into a bin (or the random group): into a free slot, else in place of the largest hash. */
  #enter(
    latent: number,
    bin: number,
    hash: number,
    positions: Uint32Array,
    values: Float32Array,
    start: number,
    end: number,
    i: number,
  ): void {
    const size = bin === BINS ? this.#options.nRandom : PER_BIN;
    if (size === 0) return;
    const first = this.#firstSlot(latent, bin);
    const usedIndex = latent * (BINS + 2) + bin;
    const used = this.#used[usedIndex];
    const slot = used < size ? first + used : this.#largestKey(first, size);
    this.slots.take(slot, hash, positions, values, start, end, i);
    if (used < size) this.#used[usedIndex]++;
    if (used + 1 >= size)
      this.#entry[latent * (BINS + 1) + bin] = this.slots.keys[this.#largestKey(first, size)];
  }

  #firstSlot(latent: number, group: number): number {
    return latent * this.slots.perLatent + (group === BINS + 1 ? this.#topSlot : group * PER_BIN);
  }

  #largestKey(first: number, count: number): number {
    const { keys } = this.slots;
    let largest = first;
    for (let slot = first + 1; slot < first + count; slot++) if (keys[slot] > keys[largest]) largest = slot;
    return largest;
  }

  #grow(latent: number, max: number): void {
    let limit = this.#limits[latent];
    if (max < limit) return;
    if (limit === 0) limit = 2 ** Math.floor(Math.log2(max));
    while (max >= limit) {
      limit *= 2;
      if (this.#limits[latent] > 0) this.#mergePairs(latent);
    }
    this.#limits[latent] = limit;
  }

  /** Bins 2i and 2i + 1 become bin i: the smallest hashes of both. */
  #mergePairs(latent: number): void {
    const usedBase = latent * (BINS + 2);
    const entryBase = latent * (BINS + 1);
    for (let bin = 0; bin < BINS; bin++) {
      const sources = bin < BINS / 2 ? [2 * bin, 2 * bin + 1] : [];
      const slots = sources
        .flatMap((source) => this.#slotsOf(latent, source))
        .sort((a, b) => this.slots.keys[a] - this.slots.keys[b])
        .slice(0, PER_BIN);
      this.#collect(this.#firstSlot(latent, bin), slots);
      this.#entry[entryBase + bin] =
        slots.length === PER_BIN
          ? this.slots.keys[this.#largestKey(this.#firstSlot(latent, bin), PER_BIN)]
          : 0xffffffff;
      this.#used[usedBase + bin] = slots.length;
    }
  }

  /** Move samples to the slots from `first` on. Those already there stay; the others come from higher slots. */
  #collect(first: number, slots: number[]): void {
    const inPlace = new Set(slots.filter((slot) => slot < first + slots.length));
    let free = first;
    for (const slot of slots) {
      if (inPlace.has(slot)) continue;
      while (inPlace.has(free)) free++;
      this.slots.move(slot, free++);
    }
  }

  #slotsOf(latent: number, group: number): number[] {
    const first = this.#firstSlot(latent, group);
    return Array.from({ length: this.#used[latent * (BINS + 2) + group] }, (_, i) => first + i);
  }

  #addTop(latent: number, positions: Uint32Array, values: Float32Array, start: number, end: number): void {
    const { contextSize } = this.#options;
    let i = start;
    while (i < end) {
      const contextEnd = positions[i] - (positions[i] % contextSize) + contextSize;
      let best = i;
      for (i++; i < end && positions[i] < contextEnd; i++) if (values[i] > values[best]) best = i;
      if (values[best] > this.#topEntry[latent]) this.#enterTop(latent, positions, values, start, end, best);
    }
  }

  #enterTop(
    latent: number,
    positions: Uint32Array,
    values: Float32Array,
    start: number,
    end: number,
    i: number,
  ): void {
    const { nTop } = this.#options;
    const first = this.#firstSlot(latent, BINS + 1);
    const usedIndex = latent * (BINS + 2) + BINS + 1;
    const key = this.textKey(positions[i]);
    const { keys, activations } = this.slots;
    let slot = -1;
    for (let s = first; s < first + this.#used[usedIndex]; s++) if (keys[s] === key) slot = s;
    if (slot >= 0) {
      if (values[i] <= activations[slot]) return;
    } else if (this.#used[usedIndex] < nTop) {
      slot = first + this.#used[usedIndex]++;
    } else {
      slot = this.#smallestActivation(first, nTop);
    }
    this.slots.take(slot, key, positions, values, start, end, i);
    if (this.#used[usedIndex] === nTop)
      this.#topEntry[latent] = activations[this.#smallestActivation(first, nTop)];
  }

  /** Of several smallest the one with the highest position: ties in the top group go to the lower position. */
  #smallestActivation(first: number, count: number): number {
    const { activations, positions } = this.slots;
    let smallest = first;
    for (let slot = first + 1; slot < first + count; slot++) {
      const difference = activations[slot] - activations[smallest];
      if (difference < 0 || (difference === 0 && positions[slot] > positions[smallest])) smallest = slot;
    }
    return smallest;
  }

  /** A hash of the nine tokens around a position, cut at the ends of its context. */
  textKey(position: number): number {
    const { contextSize } = this.#options;
    const contextStart = position - (position % contextSize);
    const first = Math.max(contextStart, position - TEXT_RADIUS);
    const end = Math.min(contextStart + contextSize, position + TEXT_RADIUS + 1);
    return textKey(this.#tokens.subarray(first, end));
  }

  /** The top group, largest activation first. */
  top(latent: number): Sample[] {
    return this.#slotsOf(latent, BINS + 1)
      .map((slot) => this.slots.sample(slot))
      .sort((a, b) => b.activation - a.activation || a.position - b.position);
  }

  /** The samples by height, smallest hash first. */
  byHeight(latent: number): Sample[] {
    return this.#inOrderOfKey(Array.from({ length: BINS }, (_, bin) => this.#slotsOf(latent, bin)).flat());
  }

  /** The random sample, smallest hash first. */
  random(latent: number): Sample[] {
    return this.#inOrderOfKey(this.#slotsOf(latent, BINS));
  }

  #inOrderOfKey(slots: number[]): Sample[] {
    const { keys, positions } = this.slots;
    return slots
      .sort((a, b) => keys[a] - keys[b] || positions[a] - positions[b])
      .map((slot) => this.slots.sample(slot));
  }
}
