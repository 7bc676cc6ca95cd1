import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import type { ActivationSource } from '../activations/index.ts';

/** Mean and covariance of activations. */
export interface Moments {
  readonly dIn: number;
  /** [dIn] */
  readonly mean: Float64Array;
  /** [dIn, dIn], row-major. */
  readonly covariance: Float64Array;
}

/** Mean and covariance of the first rows of a source: of whole chunks until there are `maxRows` (16,384). */
export async function activationMoments(
  source: ActivationSource,
  options: { maxRows?: number; signal?: AbortSignal } = {},
): Promise<Moments> {
  const { maxRows = 16_384, signal } = options;
  const { dIn } = source;
  const mean = new Float64Array(dIn);
  const covariance = new Float64Array(dIn * dIn);
  let n = 0;
  for (let chunk = 0; chunk < source.nChunks && n < maxRows; chunk++) {
    const x = await source.readChunk(chunk, signal);
    for (let start = 0; start < x.length; start += dIn, n++) addProducts_(x, start, mean, covariance);
  }
  for (let i = 0; i < dIn; i++) mean[i] /= n;
  for (let i = 0; i < dIn; i++)
    for (let j = i; j < dIn; j++) {
      const value = covariance[i * dIn + j] / n - mean[i] * mean[j];
      covariance[i * dIn + j] = value;
      covariance[j * dIn + i] = value;
    }
  return { dIn, mean, covariance };
}

/** Products on and above the diagonal: those below are the same. */
function addProducts_(x: Float32Array, start: number, sums: Float64Array, products: Float64Array): void {
  const d = sums.length;
  for (let i = 0; i < d; i++) {
    const value = x[start + i];
    sums[i] += value;
    if (value === 0) continue;
    for (let j = i; j < d; j++) products[i * d + j] += value * x[start + j];
  }
}

/** Eigenvectors of a symmetric matrix [d, d] as rows, with their values, the largest first. */
export function eigenvectors(
  matrix: Float64Array,
  d: number,
): { values: Float64Array; vectors: Float64Array[] } {
  const rows = Array.from({ length: d }, (_, i) => matrix.subarray(i * d, (i + 1) * d));
  const found = new EigenvalueDecomposition(new Matrix(rows), { assumeSymmetric: true });
  return {
    values: Float64Array.from(found.realEigenvalues).reverse(),
    vectors: Array.from({ length: d }, (_, i) =>
      Float64Array.from(found.eigenvectorMatrix.getColumn(d - 1 - i)),
    ),
  };
}
