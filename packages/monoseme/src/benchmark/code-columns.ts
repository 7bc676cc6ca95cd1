import type { Codes } from '../kernels/contract.ts';

/** Some columns of sparse rows as a dense matrix [nRows, columns.length]. */
export function codeColumns(codes: Codes, columns: ArrayLike<number>): Float32Array {
  const place = new Map(Array.from(columns, (column, i) => [column, i]));
  const dense = new Float32Array(codes.nRows * columns.length);
  for (let row = 0; row < codes.nRows; row++) {
    for (let pair = codes.rowPointers[row]; pair < codes.rowPointers[row + 1]; pair++) {
      const at = place.get(codes.latentIndices[pair]);
      if (at !== undefined) dense[row * columns.length + at] = codes.values[pair];
    }
  }
  return dense;
}

/** Some columns of a dense matrix [n, width] as [n, columns.length]. */
export function denseColumns(x: Float32Array, width: number, columns: ArrayLike<number>): Float32Array {
  const n = x.length / width;
  const k = columns.length;
  return new Float32Array(n * k).map((_, i) => x[Math.floor(i / k) * width + columns[i % k]]);
}

/**
 * Mean over the examples of the class minus mean over the others, [dSae].
 *
 * @param rows which examples; `isPositive` is beside them
 */
export function codeMeanDifference(codes: Codes, rows: Uint32Array, isPositive: Uint8Array): Float64Array {
  const factors = meanFactors(isPositive);
  const difference = new Float64Array(codes.dSae);
  rows.forEach((row, i) => {
    for (let pair = codes.rowPointers[row]; pair < codes.rowPointers[row + 1]; pair++)
      difference[codes.latentIndices[pair]] += factors[isPositive[i]] * codes.values[pair];
  });
  return difference;
}

/** The same of a dense matrix [n, width]: [width]. */
export function denseMeanDifference(
  x: Float32Array,
  width: number,
  rows: Uint32Array,
  isPositive: Uint8Array,
): Float64Array {
  const factors = meanFactors(isPositive);
  const difference = new Float64Array(width);
  rows.forEach((row, i) => {
    for (let d = 0; d < width; d++) difference[d] += factors[isPositive[i]] * x[row * width + d];
  });
  return difference;
}

function meanFactors(isPositive: Uint8Array): readonly [other: number, own: number] {
  const nPositive = isPositive.reduce((sum, one) => sum + one, 0);
  return [-1 / (isPositive.length - nPositive), 1 / nPositive];
}

/** Places of the k largest values, largest first, ties to the lower place; only those for which `isWanted`. */
export function largestPlaces(
  values: Float64Array,
  k: number,
  isWanted: (value: number) => boolean = () => true,
): number[] {
  const places = Array.from(values.keys()).filter((i) => isWanted(values[i]));
  return places.sort((a, b) => values[b] - values[a] || a - b).slice(0, k);
}
