import { MonosemeError } from '../errors.ts';
import type { Codes } from '../kernels/contract.ts';

/**
 * The firings of one batch sorted by latent: the run of latent j is `starts[j]` … `starts[j + 1] − 1`, ascending in
 * position. A statistic that walks one latent at a time keeps that latent's counters in the cache.
 */
export interface RunsByLatent {
  /** [dSae + 1] */
  readonly starts: Uint32Array;
  /** [nnz or more]: index into the token corpus. */
  readonly positions: Uint32Array;
  /** [nnz or more], all positive. */
  readonly values: Float32Array;
}

/** Sorts batches by latent. Its arrays are used again for the next batch: a result holds until then. */
export class LatentSorter {
  #positions = new Uint32Array(0);
  #values = new Float32Array(0);

  /**
   * Sort the pairs of a batch by latent (counting sort). Pairs with a value of 0 or less are left out: they do not
   * fire.
   *
   * @param firstPosition corpus index of the batch's first row
   * @throws {MonosemeError} ERR_NOT_FINITE for NaN or infinity
   */
  sort(codes: Codes, firstPosition: number): RunsByLatent {
    const { nRows, dSae, rowPointers, latentIndices, values } = codes;
    const starts = runStarts(codes);
    if (this.#values.length < starts[dSae]) {
      this.#positions = new Uint32Array(2 * starts[dSae]);
      this.#values = new Float32Array(2 * starts[dSae]);
    }
    const next = starts.slice(0, dSae);
    const positions = this.#positions;
    const sorted = this.#values;
    for (let row = 0; row < nRows; row++) {
      const end = rowPointers[row + 1];
      for (let pair = rowPointers[row]; pair < end; pair++) {
        if (!(values[pair] > 0)) continue;
        const slot = next[latentIndices[pair]]++;
        positions[slot] = firstPosition + row;
        sorted[slot] = values[pair];
      }
    }
    return { starts, positions, values: sorted };
  }
}

function runStarts({ nRows, dSae, rowPointers, latentIndices, values }: Codes): Uint32Array {
  const starts = new Uint32Array(dSae + 1);
  const nPairs = rowPointers[nRows];
  for (let pair = 0; pair < nPairs; pair++) {
    const value = values[pair];
    if (value > 0 && value < Infinity) starts[latentIndices[pair] + 1]++;
    else if (!(value <= 0 && value > -Infinity)) throw notFinite(value, latentIndices[pair]);
  }
  for (let latent = 0; latent < dSae; latent++) starts[latent + 1] += starts[latent];
  return starts;
}

function notFinite(value: number, latent: number): MonosemeError {
  return new MonosemeError(
    'ERR_NOT_FINITE',
    `Latent ${latent} has the activation ${value}.`,
    'Check the weights of the dictionary and the activations of the model.',
  );
}
