import type { Codes } from '../kernels/contract.ts';

/**
 * Autocorrelation of columns over lags, pairs of tokens of one context, about the mean over all tokens:
 * (mean of f(t) f(t + l) − mean²) / variance. Streaming; chunks are whole contexts.
 */
export class Autocorrelation {
  readonly lags: readonly number[];
  readonly fired: Float64Array;
  nTokens = 0;
  readonly #contextSize: number;
  readonly #sums: Float64Array;
  readonly #squares: Float64Array;
  /** [columns, lags] */
  readonly #products: Float64Array;
  /** [lags]: pairs of tokens. */
  readonly #pairs: Float64Array;

  constructor(d: number, lags: readonly number[], contextSize: number) {
    this.lags = lags;
    this.#contextSize = contextSize;
    this.fired = new Float64Array(d);
    this.#sums = new Float64Array(d);
    this.#squares = new Float64Array(d);
    this.#products = new Float64Array(d * lags.length);
    this.#pairs = new Float64Array(lags.length);
  }

  add(codes: Codes): void {
    const { nRows, dSae, rowPointers, latentIndices, values } = codes;
    const now = new Float32Array(dSae);
    this.nTokens += nRows;
    for (let row = 0; row < nRows; row++) {
      const [start, end] = [rowPointers[row], rowPointers[row + 1]];
      for (let i = start; i < end; i++) {
        const column = latentIndices[i];
        now[column] = values[i];
        this.#sums[column] += values[i];
        this.#squares[column] += values[i] * values[i];
        this.fired[column]++;
      }
      const left = this.#contextSize - 1 - (row % this.#contextSize);
      for (let l = 0; l < this.lags.length && this.lags[l] <= left; l++)
        this.#addLag(codes, row + this.lags[l], l, now);
      for (let i = start; i < end; i++) now[latentIndices[i]] = 0;
    }
  }

  #addLag({ rowPointers, latentIndices, values }: Codes, row: number, lag: number, now: Float32Array): void {
    const n = this.lags.length;
    this.#pairs[lag]++;
    for (let i = rowPointers[row]; i < rowPointers[row + 1]; i++)
      this.#products[latentIndices[i] * n + lag] += now[latentIndices[i]] * values[i];
  }

  /** [lags]; 0 for a column that does not vary. */
  of(column: number): number[] {
    const mean = this.#sums[column] / this.nTokens;
    const variance = this.#squares[column] / this.nTokens - mean ** 2;
    return this.lags.map((_, lag) => {
      const together = this.#products[column * this.lags.length + lag] / this.#pairs[lag];
      return variance > 0 ? (together - mean ** 2) / variance : 0;
    });
  }
}
