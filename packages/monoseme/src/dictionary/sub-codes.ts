import type { Codes } from '../kernels/contract.ts';

/** The pairs whose entry of a mask is as wanted (1). */
export function subCodes(acts: Codes, mask: Uint8Array, wanted: 0 | 1 = 1): Codes {
  const { nRows, dSae, rowPointers, latentIndices, values } = acts;
  let count = 0;
  for (let pair = 0; pair < mask.length; pair++) if (mask[pair] === wanted) count++;
  const kept = { latentIndices: new Uint32Array(count), values: new Float32Array(count) };
  const keptPointers = new Uint32Array(nRows + 1);
  let end = 0;
  for (let row = 0; row < nRows; row++) {
    for (let pair = rowPointers[row]; pair < rowPointers[row + 1]; pair++) {
      if (mask[pair] !== wanted) continue;
      kept.latentIndices[end] = latentIndices[pair];
      kept.values[end++] = values[pair];
    }
    keptPointers[row + 1] = end;
  }
  return { nRows, dSae, rowPointers: keptPointers, ...kept };
}
