import type { Codes } from '../kernels/contract.ts';
import type { GatheredArrays } from './index-checkpoint.ts';

/** Memory for the latents of the tokens that are kept: two million tokens of 30 latents, in two bytes each. */
const LIMIT_BYTES = 2 ** 27;
/** Tokens that are kept at most: where few latents fire, they take more memory than what fires on them. */
const MOST_TOKENS = 2 ** 22;

/** What is kept. */
export interface KeptFirings {
  readonly nTokens: number;
  readonly ends: Uint32Array;
  readonly nFired: Uint32Array;
  readonly latents: Uint16Array | Uint32Array;
}

/**
 * Which latents fire on each of the first tokens, kept for questions that can only be asked when the text has been
 * read: what fires beside a latent, and where it stays silent. Memory is bounded; of a longer text the beginning is
 * kept, whose documents are drawn like all others.
 */
export class KeptCodes implements KeptFirings {
  /** Tokens kept: whole batches. */
  nTokens = 0;
  /** [nTokens + 1]: the latents of token t are `latents[ends[t]]` … `latents[ends[t + 1] − 1]`, ascending. */
  readonly ends: Uint32Array;
  /** Firings of each latent on the tokens kept, [dSae]. */
  readonly nFired: Uint32Array;
  readonly latents: Uint16Array | Uint32Array;
  #isFull = false;

  /** Memory is taken as it is filled: what is asked for here is room. */
  constructor(dSae: number, nTokens: number) {
    this.ends = new Uint32Array(Math.min(MOST_TOKENS, nTokens) + 1);
    this.nFired = new Uint32Array(dSae);
    const bytes = dSae <= 2 ** 16 ? 2 : 4;
    const room = new ArrayBuffer(Math.min(LIMIT_BYTES, bytes * dSae * (this.ends.length - 1)));
    this.latents = bytes === 2 ? new Uint16Array(room) : new Uint32Array(room);
  }

  /** Pairs kept. */
  get nPairs(): number {
    return this.ends[this.nTokens];
  }

  /** All of its state but `nTokens` and whether it is full. */
  arrays(nPairs = this.nPairs): GatheredArrays {
    return { ends: this.ends, nFired: this.nFired, latents: this.latents.subarray(0, nPairs) };
  }

  /** What beside its arrays is the state of a checkpoint. */
  resume(nTokens: number, isFull: boolean): void {
    this.nTokens = nTokens;
    this.#isFull = isFull;
  }

  /** Add the next tokens of the text; nothing once the memory is used up. */
  add({ nRows, rowPointers, latentIndices, values }: Codes): void {
    let end = this.ends[this.nTokens];
    this.#isFull ||=
      end + rowPointers[nRows] > this.latents.length || this.nTokens + nRows >= this.ends.length;
    if (this.#isFull) return;
    for (let row = 0; row < nRows; row++) {
      for (let pair = rowPointers[row]; pair < rowPointers[row + 1]; pair++) {
        if (!(values[pair] > 0)) continue;
        this.latents[end++] = latentIndices[pair];
        this.nFired[latentIndices[pair]]++;
      }
      this.ends[this.nTokens + row + 1] = end;
    }
    this.nTokens += nRows;
  }

  fires(latent: number, token: number): boolean {
    let [low, high] = [this.ends[token], this.ends[token + 1]];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.latents[middle] < latent) low = middle + 1;
      else high = middle;
    }
    return low < this.ends[token + 1] && this.latents[low] === latent;
  }
}
