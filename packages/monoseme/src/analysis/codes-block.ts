import type { Codes } from '../kernels/contract.ts';

/** Copies of codes, one after the other, in memory that is used again and again. */
export class CodesBlock {
  readonly #dSae: number;
  #rowPointers = new Uint32Array(1);
  #latentIndices = new Uint32Array();
  #values = new Float32Array();
  #nRows = 0;
  #nPairs = 0;

  constructor(dSae: number) {
    this.#dSae = dSae;
  }

  get nRows(): number {
    return this.#nRows;
  }

  get nPairs(): number {
    return this.#nPairs;
  }

  /** Copy codes behind what is there. Their rows may be some of those that their arrays are of. */
  add({ rowPointers, nRows, latentIndices, values }: Codes): void {
    const [from, to] = [rowPointers[0], rowPointers[nRows]];
    this.#makeRoom(this.#nRows + nRows, this.#nPairs + to - from);
    this.#latentIndices.set(latentIndices.subarray(from, to), this.#nPairs);
    this.#values.set(values.subarray(from, to), this.#nPairs);
    const shift = this.#nPairs - from;
    for (let row = 1; row <= nRows; row++) this.#rowPointers[this.#nRows + row] = rowPointers[row] + shift;
    this.#nRows += nRows;
    this.#nPairs += to - from;
  }

  /** What is there, until the next `clear`. */
  codes(): Codes {
    return {
      ...{ nRows: this.#nRows, dSae: this.#dSae },
      rowPointers: this.#rowPointers.subarray(0, this.#nRows + 1),
      latentIndices: this.#latentIndices.subarray(0, this.#nPairs),
      values: this.#values.subarray(0, this.#nPairs),
    };
  }

  clear(): void {
    this.#nRows = 0;
    this.#nPairs = 0;
  }

  /** Twice as much as there was, where it is too little: what is there is copied a few times, not every time. */
  #makeRoom(nRows: number, nPairs: number): void {
    if (this.#rowPointers.length <= nRows)
      this.#rowPointers = grown(this.#rowPointers, new Uint32Array(2 * nRows + 1));
    if (this.#values.length >= nPairs) return;
    this.#latentIndices = grown(this.#latentIndices, new Uint32Array(2 * nPairs));
    this.#values = grown(this.#values, new Float32Array(2 * nPairs));
  }
}

function grown<T extends Uint32Array | Float32Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}
