import type { Codes, CodesByLatent } from '../kernels/contract.ts';

/**
 * The gradient of a weight matrix as `updateRows` takes it: row j is Σ over the pairs of latent j of
 * coefficient · row. The matrix itself is never stored.
 */
export interface SparseSum {
  readonly byLatent: CodesByLatent;
  /** [nnz], in the order of `byLatent.pairIndices`' targets. */
  readonly coefficients: Float32Array;
  /** [byLatent.nRows, width] */
  readonly rows: Float32Array;
}

/** a + b. When both stand on the same rows these are shared, else those of b follow those of a. */
export function plus(a: SparseSum, b: SparseSum): SparseSum {
  const shareRows = a.rows === b.rows;
  const { dSae } = a.byLatent;
  const rowOffset = shareRows ? 0 : a.byLatent.nRows;
  const pairOffset = a.coefficients.length;
  const nPairs = pairOffset + b.coefficients.length;
  const latentPointers = new Uint32Array(dSae + 1);
  const rowIndices = new Uint32Array(nPairs);
  const pairIndices = new Uint32Array(nPairs);
  let end = 0;
  const append = (from: CodesByLatent, latent: number, rowsFrom: number, pairsFrom: number) => {
    const [start, stop] = [from.latentPointers[latent], from.latentPointers[latent + 1]];
    for (let i = start; i < stop; i++, end++) {
      rowIndices[end] = from.rowIndices[i] + rowsFrom;
      pairIndices[end] = from.pairIndices[i] + pairsFrom;
    }
  };
  for (let latent = 0; latent < dSae; latent++) {
    append(a.byLatent, latent, 0, 0);
    append(b.byLatent, latent, rowOffset, pairOffset);
    latentPointers[latent + 1] = end;
  }
  return {
    byLatent: { nRows: rowOffset + b.byLatent.nRows, dSae, latentPointers, rowIndices, pairIndices },
    coefficients: joined(a.coefficients, b.coefficients),
    rows: shareRows ? a.rows : joined(a.rows, b.rows),
  };
}

/** The sum whose row j is scales[j] · matrix[j]: a pull of every weight row along itself. */
export function rowMultiples(matrix: Float32Array, scales: Float32Array): SparseSum {
  const dSae = scales.length;
  const ascending = (n: number) => Uint32Array.from({ length: n }, (_, i) => i);
  return {
    byLatent: {
      nRows: dSae,
      dSae,
      latentPointers: ascending(dSae + 1),
      rowIndices: ascending(dSae),
      pairIndices: ascending(dSae),
    },
    coefficients: scales,
    rows: matrix,
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

/** Σ over the rows of a matrix, times a factor, [width], f64. */
export function sumOfRows(rows: Float32Array, width: number, factor: number): Float64Array {
  const sums = new Float64Array(width);
  for (let start = 0; start < rows.length; start += width) {
    for (let i = 0; i < width; i++) sums[i] += rows[start + i];
  }
  for (let i = 0; i < width; i++) sums[i] = factor * sums[i];
  return sums;
}

export function total(values: Float32Array | Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum;
}

function joined(a: Float32Array, b: Float32Array): Float32Array {
  const out = new Float32Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}
