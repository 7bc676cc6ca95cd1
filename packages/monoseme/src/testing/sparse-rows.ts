import type { Codes } from '../kernels/contract.ts';

/** Codes of dense rows [nRows][dSae]: what is not 0 is active. */
export function codesOfRows(rows: readonly (readonly number[])[], dSae: number): Codes {
  const rowPointers = new Uint32Array(rows.length + 1);
  const pairs = rows.map((row) => row.flatMap((value, latent) => (value === 0 ? [] : [[latent, value]])));
  pairs.forEach((row, b) => (rowPointers[b + 1] = rowPointers[b] + row.length));
  return {
    nRows: rows.length,
    dSae,
    rowPointers,
    latentIndices: Uint32Array.from(pairs.flat(), ([latent]) => latent),
    values: Float32Array.from(pairs.flat(), ([, value]) => value),
  };
}
