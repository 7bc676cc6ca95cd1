import type { GatheredArrays } from './index-checkpoint.ts';
import { fromShort, toShort } from './short-float.ts';

/** A sampled firing: where it is kept, and what it is. */
export interface Sample {
  readonly slot: number;
  /** Index into the token corpus. */
  readonly position: number;
  readonly activation: number;
}

/** The other firings of the latent near a sampled one. */
export interface NearFirings {
  /** Distance in tokens from the sampled firing, ascending; never 0. */
  readonly offsets: number[];
  readonly activations: number[];
}

/**
 * Storage for sampled firings: a fixed number of slots a latent, each with the activations of the tokens around it.
 * The window is copied when a firing is taken, so nothing has to be read a second time.
 */
export class SampleSlots {
  readonly perLatent: number;
  /** [dSae, perLatent] */
  readonly positions: Uint32Array;
  /** [dSae, perLatent] */
  readonly activations: Float32Array;
  /** [dSae, perLatent]: what a sample is ordered by or known by. */
  readonly keys: Uint32Array;
  /** [dSae, perLatent, 2·radius + 1] short floats (see below); the firing itself in the middle. */
  readonly #windows: Uint16Array;
  readonly #radius: number;
  readonly #width: number;
  readonly #contextSize: number;

  constructor(dSae: number, perLatent: number, radius: number, contextSize: number) {
    this.perLatent = perLatent;
    this.positions = new Uint32Array(dSae * perLatent);
    this.activations = new Float32Array(dSae * perLatent);
    this.keys = new Uint32Array(dSae * perLatent);
    this.#radius = radius;
    this.#width = 2 * radius + 1;
    this.#windows = new Uint16Array(dSae * perLatent * this.#width);
    this.#contextSize = contextSize;
  }

  /** All of its state. */
  arrays(): GatheredArrays {
    return {
      positions: this.positions,
      activations: this.activations,
      keys: this.keys,
      windows: this.#windows,
    };
  }

  static bytesPerSlot(radius: number): number {
    return 12 + 2 * (2 * radius + 1);
  }

  /** Take firing `i` of a latent's run `start` … `end − 1`. The window stays inside its context. */
  take(
    slot: number,
    key: number,
    positions: Uint32Array,
    values: Float32Array,
    start: number,
    end: number,
    i: number,
  ): void {
    const position = positions[i];
    this.positions[slot] = position;
    this.activations[slot] = values[i];
    this.keys[slot] = key;

    const contextStart = position - (position % this.#contextSize);
    const first = Math.max(contextStart, position - this.#radius);
    const last = Math.min(contextStart + this.#contextSize - 1, position + this.#radius);
    const windows = this.#windows;
    const origin = slot * this.#width + this.#radius - position;
    windows.fill(0, slot * this.#width, (slot + 1) * this.#width);
    for (let j = i; j >= start && positions[j] >= first; j--)
      windows[origin + positions[j]] = toShort(values[j]);
    for (let j = i + 1; j < end && positions[j] <= last; j++)
      windows[origin + positions[j]] = toShort(values[j]);
  }

  /** Copy a sample from one slot to another. */
  move(from: number, to: number): void {
    if (from === to) return;
    this.positions[to] = this.positions[from];
    this.activations[to] = this.activations[from];
    this.keys[to] = this.keys[from];
    this.#windows.copyWithin(to * this.#width, from * this.#width, (from + 1) * this.#width);
  }

  sample(slot: number): Sample {
    return { slot, position: this.positions[slot], activation: this.activations[slot] };
  }

  /** Other firings within `radius` tokens of the sampled one. */
  near(slot: number, radius = this.#radius): NearFirings {
    const middle = slot * this.#width + this.#radius;
    const near: NearFirings = { offsets: [], activations: [] };
    for (let offset = -radius; offset <= radius; offset++) {
      const short = this.#windows[middle + offset];
      if (short === 0 || offset === 0) continue;
      near.offsets.push(offset);
      near.activations.push(fromShort(short));
    }
    return near;
  }
}
