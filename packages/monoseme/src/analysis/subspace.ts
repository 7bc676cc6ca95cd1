import type { Dictionary } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';

/** How much of the latents' decoder directions lies in a subspace. */
export interface SubspaceOverlap {
  /** Dimensions of the subspace, and the share of a random direction that lies in it on average: k / dIn. */
  readonly rank: number;
  readonly expected: number;
  /** [dSae]: ‖P d‖² / ‖d‖²; 0 for a direction of length 0. */
  readonly shares: Float64Array;
}

/**
 * Overlap of every latent with the span of some vectors, by their orthonormal basis (Gram and Schmidt).
 *
 * @param vectors [n, dIn]
 * @throws {MonosemeError} ERR_SHAPE for vectors of another width, or all of length 0
 */
export function subspaceOverlap({ config, weights }: Dictionary, vectors: Float32Array): SubspaceOverlap {
  const { dIn, dSae } = config;
  const basis = orthonormal(vectors, dIn);
  if (vectors.length % dIn !== 0 || basis.length === 0)
    throw new MonosemeError(
      'ERR_SHAPE',
      `A subspace of ${vectors.length} numbers does not span anything in ${dIn} dimensions.`,
      `Give a matrix [n, ${dIn}] whose rows are not all 0.`,
    );
  const shares = Float64Array.from({ length: dSae }, (_, latent) => {
    const row = weights.W_dec.subarray(latent * dIn, (latent + 1) * dIn);
    const square = dot(row, row);
    const inside = basis.reduce((sum, vector) => sum + dot(row, vector) ** 2, 0);
    return square > 0 ? inside / square : 0;
  });
  return { rank: basis.length, expected: basis.length / dIn, shares };
}

/** An orthonormal basis of the span of the rows [n, dIn]. */
export function orthonormal(vectors: Float32Array, dIn: number): Float64Array[] {
  const basis: Float64Array[] = [];
  for (let start = 0; start + dIn <= vectors.length; start += dIn) {
    const own = Float64Array.from(vectors.subarray(start, start + dIn));
    const length = Math.sqrt(dot(own, own));
    // Twice, because one round loses digits where vectors are nearly dependent.
    for (const vector of [...basis, ...basis]) {
      const part = dot(own, vector);
      for (let i = 0; i < dIn; i++) own[i] -= part * vector[i];
    }
    const left = Math.sqrt(dot(own, own));
    if (left > 1e-6 * length) basis.push(own.map((value) => value / left));
  }
  return basis;
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
