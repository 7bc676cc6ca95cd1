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

/** The rows of one after those of the other. */
export function stackedCodes(above: Codes, below: Codes): Codes {
  const nAbove = above.values.length;
  const stacked = emptyCodes(
    { nRows: above.nRows + below.nRows, dSae: above.dSae },
    nAbove + below.values.length,
  );
  stacked.rowPointers.set(above.rowPointers);
  for (let row = 1; row <= below.nRows; row++)
    stacked.rowPointers[above.nRows + row] = nAbove + below.rowPointers[row];
  for (const name of ['latentIndices', 'values'] as const) {
    stacked[name].set(above[name]);
    stacked[name].set(below[name], nAbove);
  }
  return stacked;
}

/** Codes of as many rows with places for so many pairs. */
function emptyCodes({ nRows, dSae }: Pick<Codes, 'nRows' | 'dSae'>, nPairs: number): Codes {
  return {
    nRows,
    dSae,
    rowPointers: new Uint32Array(nRows + 1),
    latentIndices: new Uint32Array(nPairs),
    values: new Float32Array(nPairs),
  };
}
