import type { Codes } from '../kernels/contract.ts';

/** The pairs whose entry of a mask is 0, and those whose entry is 1. */
export function partedCodes(codes: Codes, mask: Uint8Array): [Codes, Codes] {
  const { rowPointers, latentIndices, values } = codes;
  let count = 0;
  for (let pair = 0; pair < mask.length; pair++) count += mask[pair];
  const [without, masked] = [emptyCodes(codes, mask.length - count), emptyCodes(codes, count)];
  let [endWithout, endMasked] = [0, 0];
  for (let row = 0; row < codes.nRows; row++) {
    for (let pair = rowPointers[row]; pair < rowPointers[row + 1]; pair++) {
      const isMasked = mask[pair] === 1;
      const end = isMasked ? endMasked++ : endWithout++;
      const part = isMasked ? masked : without;
      part.latentIndices[end] = latentIndices[pair];
      part.values[end] = values[pair];
    }
    without.rowPointers[row + 1] = endWithout;
    masked.rowPointers[row + 1] = endMasked;
  }
  return [without, masked];
}

/** Codes of as many rows with places for so many pairs. */
function emptyCodes({ nRows, dSae }: Codes, nPairs: number): Codes {
  return {
    nRows,
    dSae,
    rowPointers: new Uint32Array(nRows + 1),
    latentIndices: new Uint32Array(nPairs),
    values: new Float32Array(nPairs),
  };
}
