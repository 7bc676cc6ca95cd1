import { type LeftOut, modelSource, rowNorms, selectTokens } from '../activations/index.ts';
import type { TokenSet } from '../corpus/index.ts';
import type { ModelRunner } from '../model/index.ts';

/** Which rows of a text a dictionary is measured on: all but those that are left out. */
export class MeasuredRows {
  readonly #tokens: TokenSet;
  readonly #leftOut: LeftOut;
  readonly #dIn: number;
  readonly #largestNorm: number;

  /**
   * The largest norm is a multiple of the median of this text, as in a harvest of it.
   *
   * @throws {MonosemeError} ERR_OPTION (the multiple), ERR_EMPTY_TEXT (every token is left out); the runner's errors
   */
  static async of(runner: ModelRunner, tokens: TokenSet, leftOut: LeftOut = {}): Promise<MeasuredRows> {
    const source = modelSource(runner, tokens, { rows: leftOut });
    return new MeasuredRows(tokens, leftOut, runner.dIn, await source.largestNorm());
  }

  private constructor(tokens: TokenSet, leftOut: LeftOut, dIn: number, largestNorm: number) {
    this.#tokens = tokens;
    this.#leftOut = leftOut;
    this.#dIn = dIn;
    this.#largestNorm = largestNorm;
  }

  /** @param x activations [rows, dIn] of whole contexts, from number `first` on. @returns rows that are measured, rising */
  in(x: Float32Array, first: number): Uint32Array {
    const { contextSize } = this.#tokens;
    const end = first + x.length / (this.#dIn * contextSize);
    const { places } = selectTokens(this.#tokens, first, end, this.#leftOut);
    const rows = places.map((place) => place - first * contextSize);
    if (this.#largestNorm === Infinity) return rows;
    const norms = rowNorms(x, this.#dIn);
    return rows.filter((row) => norms[row] <= this.#largestNorm);
  }
}
