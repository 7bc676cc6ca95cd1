import type { Codes, SparseGradient, SparseSum } from '../kernels/contract.ts';

/** a + b, where nothing is copied: b is one more sum of the gradient. */
export function plus(a: SparseGradient, b: SparseSum): SparseGradient {
  return { ...a, also: [...(a.also ?? []), b] };
}

/** The sum of one pair a latent: row j is factors[j] · rows[rowIndices[j]]. */
export function onePairEach(
  rows: Float32Array,
  nRows: number,
  rowIndices: Uint32Array,
  factors: Float32Array,
): SparseSum {
  const dSae = factors.length;
  const pointers = new Uint32Array(dSae + 1);
  for (let j = 0; j < pointers.length; j++) pointers[j] = j;
  return {
    byLatent: { nRows, dSae, latentPointers: pointers, rowIndices, pairIndices: pointers.subarray(0, dSae) },
    coefficients: factors,
    rows,
  };
}

/** Σ of a quantity of the pairs over the rows in which a latent has one, [dSae], f64. */
export function sumsByLatent(codes: Codes, values: Float32Array): Float64Array {
  const sums = new Float64Array(codes.dSae);
  const { latentIndices } = codes;
  for (let pair = 0; pair < values.length; pair++) sums[latentIndices[pair]] += values[pair];
  return sums;
}

/** factor · value + offset of every value, in `out`. (A loop: `map` calls a function for each.) */
export function affine_(
  out: Float32Array,
  values: Float32Array,
  factor: number,
  offset: number,
): Float32Array {
  for (let i = 0; i < values.length; i++) out[i] = factor * values[i] + offset;
  return out;
}

export function total(values: Float32Array | Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum;
}
