/**
 * Memory that is used again and again under a name, as in every step of training: fresh arrays of that size cost more
 * time, page by page, than what is done with them.
 */
export class Buffers {
  readonly #floats = new Map<string, Float32Array>();
  readonly #indices = new Map<string, Uint32Array>();
  readonly #bytes = new Map<string, Uint8Array>();
  readonly #allocate: (length: number) => Float32Array;
  #ascending = new Uint32Array();

  constructor(allocate: (length: number) => Float32Array = (length) => new Float32Array(length)) {
    this.#allocate = allocate;
  }

  /** An array of that length; what it holds is left over from its last use, and ends with its next one. */
  floats(name: string, length: number): Float32Array {
    return lasting(this.#floats, name, length, this.#allocate);
  }

  /** The same of indices. */
  indices(name: string, length: number): Uint32Array {
    return lasting(this.#indices, name, length, (n) => new Uint32Array(n));
  }

  /** The same of bytes. */
  bytes(name: string, length: number): Uint8Array {
    return lasting(this.#bytes, name, length, (n) => new Uint8Array(n));
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

function lasting<A extends Float32Array | Uint32Array | Uint8Array>(
  arrays: Map<string, A>,
  name: string,
  length: number,
  allocate: (length: number) => A,
): A {
  let array = arrays.get(name);
  if (array === undefined || array.length < length) {
    // A length that grew will grow again.
    array = allocate(array ? Math.ceil(1.25 * length) : length);
    arrays.set(name, array);
  }
  return array.subarray(0, length) as A;
}
