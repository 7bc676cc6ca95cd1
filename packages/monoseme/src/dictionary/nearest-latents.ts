import { throwIfAborted } from '../errors.ts';
import type { KernelBackend } from '../kernels/contract.ts';
import { expectLength } from '../tensor/index.ts';

const ROWS_PER_BLOCK = 1024;

export interface Neighbours {
  /** Other latents, nearest first; fewer than asked for where cosines are not positive. */
  readonly latents: Uint32Array;
  readonly cosines: Float32Array;
}

/**
 * For every latent in order, the others whose directions are nearest by cosine (only positive ones).
 *
 * Cost 2·dSae²·dIn on the backend. Ties go to the lower latent.
 *
 * @param W_dec [dSae, dIn]; a row of length 0 has no neighbours
 */
export async function* nearestLatents(
  backend: KernelBackend,
  W_dec: Float32Array,
  dIn: number,
  n: number,
  signal?: AbortSignal,
): AsyncGenerator<Neighbours> {
  const dSae = W_dec.length / dIn;
  expectLength('W_dec', W_dec, Math.floor(dSae), dIn);
  const unit = unitRows(W_dec, dIn);
  for (let start = 0; start < dSae; start += ROWS_PER_BLOCK) {
    throwIfAborted(signal);
    const nRows = Math.min(ROWS_PER_BLOCK, dSae - start);
    const codes = await backend.encode({
      x: unit.subarray(start * dIn, (start + nRows) * dIn),
      nRows,
      dIn,
      dSae,
      W_enc: unit,
      b_enc: new Float32Array(dSae),
      // One more: a latent is its own nearest.
      selection: { kind: 'topK', k: Math.min(n + 1, dSae) },
    });
    for (let row = 0; row < nRows; row++) {
      const pairs: number[] = [];
      for (let pair = codes.rowPointers[row]; pair < codes.rowPointers[row + 1]; pair++) {
        if (codes.latentIndices[pair] !== start + row) pairs.push(pair);
      }
      pairs.sort((a, b) => codes.values[b] - codes.values[a] || a - b);
      yield {
        latents: Uint32Array.from(pairs.slice(0, n), (pair) => codes.latentIndices[pair]),
        cosines: Float32Array.from(pairs.slice(0, n), (pair) => codes.values[pair]),
      };
    }
  }
}

/** Rows [n, width] of length 1; rows of zeros stay. */
export function unitRows(W: Float32Array, width: number): Float32Array {
  const unit = new Float32Array(W.length);
  for (let start = 0; start < W.length; start += width) {
    let square = 0;
    for (let i = 0; i < width; i++) square += W[start + i] ** 2;
    const scale = square > 0 ? 1 / Math.sqrt(square) : 0;
    for (let i = 0; i < width; i++) unit[start + i] = W[start + i] * scale;
  }
  return unit;
}
