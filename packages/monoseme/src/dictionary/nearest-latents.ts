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
 * For every direction of `from` in order, those of `to` whose cosine with it is largest (only positive ones).
 *
 * Cost 2·nFrom·nTo·width on the backend. Ties go to the lower latent.
 *
 * @param from [nFrom, width] @param to [nTo, width]; a row of length 0 is near to none
 */
export async function* nearestDirections(
  backend: KernelBackend,
  from: Float32Array,
  to: Float32Array,
  width: number,
  n: number,
  signal?: AbortSignal,
): AsyncGenerator<Neighbours> {
  const [nFrom, nTo] = [from.length / width, to.length / width];
  expectLength('from', from, Math.floor(nFrom), width);
  expectLength('to', to, Math.floor(nTo), width);
  const unit = unitRows(to, width);
  const b_enc = new Float32Array(nTo);
  for (let start = 0; start < nFrom; start += ROWS_PER_BLOCK) {
    throwIfAborted(signal);
    const nRows = Math.min(ROWS_PER_BLOCK, nFrom - start);
    const x = unitRows(from.subarray(start * width, (start + nRows) * width), width);
    const selection = { kind: 'topK', k: Math.min(n, nTo) } as const;
    const codes = await backend.encode({ x, nRows, dIn: width, dSae: nTo, W_enc: unit, b_enc, selection });
    for (let row = 0; row < nRows; row++) {
      const first = codes.rowPointers[row];
      const pairs = Array.from({ length: codes.rowPointers[row + 1] - first }, (_, i) => first + i);
      pairs.sort((a, b) => codes.values[b] - codes.values[a] || a - b);
      yield {
        latents: Uint32Array.from(pairs, (pair) => codes.latentIndices[pair]),
        cosines: Float32Array.from(pairs, (pair) => codes.values[pair]),
      };
    }
  }
}

/**
 * For every latent in order, the others whose directions are nearest by cosine (only positive ones), as
 * {@link nearestDirections} finds them.
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
  let latent = 0;
  // One more: a latent is its own nearest.
  for await (const { latents, cosines } of nearestDirections(backend, W_dec, W_dec, dIn, n + 1, signal)) {
    const kept = [...latents.keys()].filter((place) => latents[place] !== latent).slice(0, n);
    yield {
      latents: Uint32Array.from(kept, (place) => latents[place]),
      cosines: Float32Array.from(kept, (place) => cosines[place]),
    };
    latent++;
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
