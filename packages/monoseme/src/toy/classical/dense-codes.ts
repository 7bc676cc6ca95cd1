import type { Codes } from '../../kernels/contract.ts';

/** The values of a dense matrix [nRows, dSae] that are not 0. */
export function codesOfDense(dense: Float32Array, nRows: number): Codes {
  const dSae = dense.length / nRows;
  const rowPointers = new Uint32Array(nRows + 1);
  const indices: number[] = [];
  for (let row = 0; row < nRows; row++) {
    for (let j = 0; j < dSae; j++) if (dense[row * dSae + j] !== 0) indices.push(j);
    rowPointers[row + 1] = indices.length;
  }
  return {
    nRows,
    dSae,
    rowPointers,
    latentIndices: Uint32Array.from(indices),
    values: dense.filter((value) => value !== 0),
  };
}
