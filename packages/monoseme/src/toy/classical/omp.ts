import type { Codes } from '../../kernels/contract.ts';

/** A correlation or pivot below this share of its size is rounding, not signal. */
const TINY = 1e-10;

/**
 * Orthogonal matching pursuit with unit directions: k times the direction that correlates most with what is left, and
 * after each the least-squares fit of all chosen so far (Pati et al. 1993; with the Gram matrix and a growing Cholesky
 * factor, Rubinstein et al. 2008). Coefficients may be negative. Ties go to the lower index; a row that is explained
 * before takes fewer.
 */
export class MatchingPursuit {
  readonly #directions: Float32Array;
  readonly #width: number;
  readonly #dSae: number;
  /** [dSae, dSae] */
  readonly #gram: Float32Array;

  /** @param directions [dSae, width], rows of length 1 or 0 */
  constructor(directions: Float32Array, width: number) {
    this.#directions = directions;
    this.#width = width;
    this.#dSae = directions.length / width;
    this.#gram = products(directions, directions, width);
  }

  /**
   * Codes of rows [nRows, width] with at most k directions each.
   */
  encode(x: Float32Array, k: number): Codes {
    const width = this.#width;
    const dSae = this.#dSae;
    const nRows = x.length / width;
    const rowPointers = new Uint32Array(nRows + 1);
    const indices: number[] = [];
    const values: number[] = [];
    const most = Math.min(k, width, dSae);
    const pursuit = new Pursuit(this.#gram, dSae, most);
    for (let row = 0; row < nRows; row++) {
      const correlations = products(x.subarray(row * width, (row + 1) * width), this.#directions, width);
      const { chosen, coefficients } = pursuit.run(correlations);
      const order = chosen.map((_, i) => i).sort((a, b) => chosen[a] - chosen[b]);
      for (const i of order) {
        if (coefficients[i] === 0) continue;
        indices.push(chosen[i]);
        values.push(coefficients[i]);
      }
      rowPointers[row + 1] = indices.length;
    }
    const latentIndices = Uint32Array.from(indices);
    return { nRows, dSae, rowPointers, latentIndices, values: Float32Array.from(values) };
  }
}

/** The pursuit of one row after another, in the same memory. */
class Pursuit {
  readonly #gram: Float32Array;
  readonly #dSae: number;
  readonly #most: number;
  /** [most, most], the lower Cholesky factor of the Gram matrix of the chosen. */
  readonly #factor: Float64Array;
  /** [dSae]: ⟨residual, direction⟩ */
  readonly #left: Float64Array;

  constructor(gram: Float32Array, dSae: number, most: number) {
    this.#gram = gram;
    this.#dSae = dSae;
    this.#most = most;
    this.#factor = new Float64Array(most * most);
    this.#left = new Float64Array(dSae);
  }

  run(correlations: Float32Array): { chosen: number[]; coefficients: Float64Array } {
    const left = this.#left;
    left.set(correlations);
    const chosen: number[] = [];
    let coefficients = new Float64Array();
    const start = Math.abs(correlations[largest(left, chosen)]);
    while (chosen.length < this.#most) {
      const next = largest(left, chosen);
      if (!(Math.abs(left[next]) > start * 1e-6) || !this.#grow(chosen, next)) break;
      chosen.push(next);
      coefficients = this.#solve(chosen, correlations);
      left.set(correlations);
      chosen.forEach((latent, i) => {
        const from = latent * this.#dSae;
        for (let j = 0; j < left.length; j++) left[j] -= coefficients[i] * this.#gram[from + j];
      });
    }
    return { chosen, coefficients };
  }

  /** Add a row to the factor. @returns false for a direction in the span of the chosen ones */
  #grow(chosen: readonly number[], next: number): boolean {
    const n = chosen.length;
    const factor = this.#factor;
    let pivot = this.#gram[next * this.#dSae + next];
    for (let i = 0; i < n; i++) {
      let value = this.#gram[next * this.#dSae + chosen[i]];
      for (let k = 0; k < i; k++) value -= factor[n * this.#most + k] * factor[i * this.#most + k];
      value /= factor[i * this.#most + i];
      factor[n * this.#most + i] = value;
      pivot -= value * value;
    }
    if (!(pivot > TINY)) return false;
    factor[n * this.#most + n] = Math.sqrt(pivot);
    return true;
  }

  /** Least squares on the chosen: L Lᵀ c = correlations. */
  #solve(chosen: readonly number[], correlations: Float32Array): Float64Array<ArrayBuffer> {
    const n = chosen.length;
    const factor = this.#factor;
    const at = (i: number, k: number) => factor[i * this.#most + k];
    const solution = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      solution[i] = correlations[chosen[i]];
      for (let k = 0; k < i; k++) solution[i] -= at(i, k) * solution[k];
      solution[i] /= at(i, i);
    }
    for (let i = n - 1; i >= 0; i--) {
      for (let k = i + 1; k < n; k++) solution[i] -= at(k, i) * solution[k];
      solution[i] /= at(i, i);
    }
    return solution;
  }
}

function largest(values: Float64Array, except: readonly number[]): number {
  let best = -1;
  for (let j = 0; j < values.length; j++) {
    if ((best < 0 || Math.abs(values[j]) > Math.abs(values[best])) && !except.includes(j)) best = j;
  }
  return best;
}

/** ⟨a_i, b_j⟩ of the rows of two matrices, [rows of a, rows of b]. */
export function products(a: Float32Array, b: Float32Array, width: number): Float32Array {
  const nRight = b.length / width;
  const out = new Float32Array((a.length / width) * nRight);
  for (let i = 0; i < a.length / width; i++) {
    for (let j = 0; j < nRight; j++) {
      let sum = 0;
      for (let c = 0; c < width; c++) sum += a[i * width + c] * b[j * width + c];
      out[i * nRight + j] = sum;
    }
  }
  return out;
}
