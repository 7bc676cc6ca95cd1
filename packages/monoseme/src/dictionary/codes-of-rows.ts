import type { Codes } from '../kernels/contract.ts';

/** A matrix [nRows, width] as codes in which every column is active: what a product with all columns takes. */
export function codesOfRows(rows: Float32Array, width: number): Codes {
  const nRows = rows.length / width;
  return {
    nRows,
    dSae: width,
    rowPointers: Uint32Array.from({ length: nRows + 1 }, (_, row) => row * width),
    latentIndices: new Uint32Array(rows.length).map((_, i) => i % width),
    values: rows,
  };
}
