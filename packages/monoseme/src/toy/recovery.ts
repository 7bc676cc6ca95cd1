import type { KernelBackend } from '../kernels/contract.ts';
import { expectLength } from '../tensor/index.ts';
import { normalizeRows_ } from './directions.ts';
import { largestMatching } from './matching.ts';

/** How well the directions of a dictionary are those of the truth. Lengths do not count; zero rows match nothing. */
export interface Recovery {
  /** Mean over the true features of the largest cosine with any latent. */
  readonly mmcs: number;
  /** Mean over the latents of the largest cosine with any true feature. */
  readonly mmcsReverse: number;
  /** Share of the true features whose largest cosine exceeds 0.9. */
  readonly above09: number;
  /**
   * Mean |cosine| of the pairs of the best one-to-one matching of latents and features, the one in which its sum is
   * largest; as many pairs as the fewer of both.
   */
  readonly mcc: number;
  /** Different features among the latents' best matches (by |cosine|), as a share of the latents. */
  readonly uniqueness: number;
  /** [dSae]: the true feature that the matching gives each latent, −1 for none. */
  readonly featureOfLatent: Int32Array;
}

/**
 * Cost 2·nFeatures·dSae·width on the backend, and a matching.
 *
 * @param features [nFeatures, width]
 * @param W_dec [dSae, width]
 * @throws {MonosemeError} ERR_SHAPE
 */
export async function recovery(
  backend: KernelBackend,
  features: Float32Array,
  W_dec: Float32Array,
  width: number,
): Promise<Recovery> {
  const nFeatures = Math.floor(features.length / width);
  const dSae = Math.floor(W_dec.length / width);
  expectLength('features', features, nFeatures, width);
  expectLength('W_dec', W_dec, dSae, width);
  const cosines = await rowCosines(backend, W_dec, features, width);
  const bestOfFeature = new Float64Array(nFeatures).fill(-1);
  const bestOfLatent = new Float64Array(dSae).fill(-1);
  const distinct = new Set<number>();
  for (let j = 0; j < dSae; j++) {
    let best = 0;
    for (let i = 0; i < nFeatures; i++) {
      const cosine = cosines[j * nFeatures + i];
      bestOfFeature[i] = Math.max(bestOfFeature[i], cosine);
      bestOfLatent[j] = Math.max(bestOfLatent[j], cosine);
      if (Math.abs(cosine) > Math.abs(cosines[j * nFeatures + best])) best = i;
    }
    distinct.add(best);
  }
  const { featureOfLatent, mcc } = matched(cosines, dSae, nFeatures);
  return {
    mmcs: mean(bestOfFeature),
    mmcsReverse: mean(bestOfLatent),
    above09: mean(bestOfFeature.map((cosine) => (cosine > 0.9 ? 1 : 0))),
    mcc,
    uniqueness: distinct.size / dSae,
    featureOfLatent,
  };
}

function matched(cosines: Float32Array, dSae: number, nFeatures: number) {
  const pairs = Math.min(dSae, nFeatures);
  const featureOfLatent = new Int32Array(dSae).fill(-1);
  const isWide = dSae > nFeatures;
  const weights = new Float32Array(cosines.length);
  for (let j = 0; j < dSae; j++) {
    for (let i = 0; i < nFeatures; i++)
      weights[isWide ? i * dSae + j : j * nFeatures + i] = Math.abs(cosines[j * nFeatures + i]);
  }
  const columns = largestMatching(weights, pairs, Math.max(dSae, nFeatures));
  let sum = 0;
  columns.forEach((column, row) => {
    const [latent, feature] = isWide ? [column, row] : [row, column];
    featureOfLatent[latent] = feature;
    sum += Math.abs(cosines[latent * nFeatures + feature]);
  });
  return { featureOfLatent, mcc: sum / pairs };
}

/** Cosines of the rows of two matrices, [rows of a, rows of b]; 0 with a zero row. */
function rowCosines(
  backend: KernelBackend,
  a: Float32Array,
  b: Float32Array,
  width: number,
): Promise<Float32Array> {
  const [left, right] = [a.slice(), b.slice()];
  normalizeRows_(left, width);
  normalizeRows_(right, width);
  const [nRows, nColumns] = [left.length / width, right.length / width];
  const columns = new Float32Array(right.length);
  for (let column = 0; column < nColumns; column++)
    for (let i = 0; i < width; i++) columns[i * nColumns + column] = right[column * width + i];
  return backend.product({ a: left, b: columns, nRows, inner: width, width: nColumns });
}

function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * Share of the latents whose direction lies in a plane: at least 0.9 of its length does. A dictionary has no latent for a
 * circle; it lays several around it.
 *
 * @param plane [2, width], orthonormal
 */
export function shareInPlane(plane: Float32Array, W_dec: Float32Array, width: number): number {
  const rows = W_dec.slice();
  normalizeRows_(rows, width);
  let inside = 0;
  for (let start = 0; start < rows.length; start += width) {
    let [first, second] = [0, 0];
    for (let i = 0; i < width; i++) {
      first += rows[start + i] * plane[i];
      second += rows[start + i] * plane[width + i];
    }
    if (Math.hypot(first, second) >= 0.9) inside++;
  }
  return inside / (rows.length / width);
}
