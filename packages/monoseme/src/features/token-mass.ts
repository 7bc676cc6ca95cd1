import type { GatheredArrays } from './index-checkpoint.ts';

/** A latent's table: SETS sets of WAYS slots; a token belongs to one set. */
const SETS = 32;
const WAYS = 8;
const SLOTS = SETS * WAYS;

/** How much of a latent's activation falls on one token of the vocabulary. */
export interface TokenMassEntry {
  readonly token: number;
  /** Firings on this token. */
  readonly nFired: number;
  /** Σ of the activations on this token. */
  readonly sum: number;
}

/**
 * For every latent the tokens that carry most of its activation.
 *
 * Memory is fixed, like a processor's cache: a token may stand in the 8 slots of its set; when they are full a new
 * one replaces the one with the smallest sum, which is forgotten. So heavy tokens stay and are exact; an entry whose
 * token was forgotten before is a lower bound. Nothing is forgotten while no set sees a ninth token, which is usual
 * up to a hundred different tokens.
 */
export class TokenMass {
  /** [dSae, SETS, WAYS]: token + 1; 0 for a free slot. A set fills from its first slot. */
  readonly #keys: Uint32Array;
  readonly #sums: Float32Array;
  readonly #counts: Uint32Array;

  constructor(dSae: number) {
    this.#keys = new Uint32Array(dSae * SLOTS);
    this.#sums = new Float32Array(dSae * SLOTS);
    this.#counts = new Uint32Array(dSae * SLOTS);
  }

  static readonly bytesPerLatent = SLOTS * 12;

  /** All of its state. */
  arrays(): GatheredArrays {
    return { keys: this.#keys, sums: this.#sums, counts: this.#counts };
  }

  /** @param tokens of the batch, from `firstPosition` of the text on */
  addRun(
    latent: number,
    tokens: Uint32Array,
    firstPosition: number,
    positions: Uint32Array,
    values: Float32Array,
    start: number,
    end: number,
  ): void {
    const keys = this.#keys;
    const sums = this.#sums;
    const counts = this.#counts;
    for (let i = start; i < end; i++) {
      const key = tokens[positions[i] - firstPosition] + 1;
      const first = latent * SLOTS + (Math.imul(key, 0x9e3779b1) >>> 27) * WAYS;
      let slot = first;
      while (slot < first + WAYS && keys[slot] !== key && keys[slot] !== 0) slot++;
      if (slot === first + WAYS) {
        slot = first;
        for (let other = first + 1; other < first + WAYS; other++) if (sums[other] < sums[slot]) slot = other;
      }
      if (keys[slot] !== key) {
        keys[slot] = key;
        sums[slot] = 0;
        counts[slot] = 0;
      }
      sums[slot] += values[i];
      counts[slot]++;
    }
  }

  /** Entries of a latent, largest sum first; ties go to the lower token. */
  of(latent: number): TokenMassEntry[] {
    const entries: TokenMassEntry[] = [];
    for (let slot = latent * SLOTS; slot < (latent + 1) * SLOTS; slot++) {
      if (this.#keys[slot] === 0) continue;
      entries.push({ token: this.#keys[slot] - 1, nFired: this.#counts[slot], sum: this.#sums[slot] });
    }
    return entries.sort((a, b) => b.sum - a.sum || a.token - b.token);
  }
}
