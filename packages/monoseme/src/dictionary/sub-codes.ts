import type { Codes } from '../kernels/contract.ts';

/** Some of the pairs of a batch. */
export interface SubCodes {
  readonly codes: Codes;
  /** Where the pairs of `codes` stand in the whole, ascending. */
  readonly pairs: Uint32Array;
}

/** The pairs whose entry of a mask is 1. */
export function subCodes(acts: Codes, mask: Uint8Array): SubCodes {
  const { nRows, dSae, latentIndices, values } = acts;
  let count = 0;
  for (let pair = 0; pair < mask.length; pair++) count += mask[pair];
  const pairs = new Uint32Array(count);
  const kept = { latentIndices: new Uint32Array(count), values: new Float32Array(count) };
  const rowPointers = new Uint32Array(nRows + 1);
  let end = 0;
  for (let row = 0; row < nRows; row++) {
    for (let pair = acts.rowPointers[row]; pair < acts.rowPointers[row + 1]; pair++) {
      if (mask[pair] === 0) continue;
      kept.latentIndices[end] = latentIndices[pair];
      kept.values[end] = values[pair];
      pairs[end++] = pair;
    }
    rowPointers[row + 1] = end;
  }
  return { codes: { nRows, dSae, rowPointers, ...kept }, pairs };
}
