/**
 * Memory that is used again and again under a name, as in every step of training: fresh arrays of that size cost more
 * time, page by page, than what is done with them.
 */
export class Buffers {
  readonly #floats = new Map<string, Float32Array>();
  readonly #allocate: (length: number) => Float32Array;
  #ascending = new Uint32Array();

  constructor(allocate: (length: number) => Float32Array = (length) => new Float32Array(length)) {
    this.#allocate = allocate;
  }

  /** An array of that length; what it holds is left over from its last use, and ends with its next one. */
  floats(name: string, length: number): Float32Array {
    let buffer = this.#floats.get(name);
    if (buffer === undefined || buffer.length < length) {
      // A length that grew will grow again.
      buffer = this.#allocate(buffer ? Math.ceil(1.25 * length) : length);
      this.#floats.set(name, buffer);
    }
    return buffer.subarray(0, length);
  }

  /** 0, 1, … n − 1. */
  ascending(n: number): Uint32Array {
    if (this.#ascending.length < n) {
      this.#ascending = new Uint32Array(n);
      for (let i = 0; i < n; i++) this.#ascending[i] = i;
    }
    return this.#ascending.subarray(0, n);
  }
}
