/**
 * Arrays that are used again: what is made anew for every chunk waits for the collector of garbage, and until then a long run
 * holds more than a short one.
 */
export class SpareArrays {
  readonly #byLength = new Map<number, Uint32Array[]>();

  /** An array of any content. */
  take(length: number): Uint32Array {
    return this.#byLength.get(length)?.pop() ?? new Uint32Array(length);
  }

  /** Take arrays back, which are used no more. */
  giveBack(arrays: readonly Uint32Array[]): void {
    for (const array of arrays) {
      const spare = this.#byLength.get(array.length);
      if (spare) spare.push(array);
      else this.#byLength.set(array.length, [array]);
    }
  }
}
