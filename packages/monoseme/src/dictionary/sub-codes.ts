import type { Codes } from '../kernels/contract.ts';
import { Buffers } from '../tensor/index.ts';

/**
 * The pairs whose entry of a mask is `part`.
 *
 * @param buffers where they go, under the names of one step; arrays of their own when absent
 */
export function codesOfPart(
  codes: Codes,
  mask: Uint8Array,
  part: 0 | 1,
  buffers: Buffers = new Buffers(),
): Codes {
  const { nRows, rowPointers, latentIndices, values } = codes;
  let count = 0;
  for (let pair = 0; pair < mask.length; pair++) if (mask[pair] === part) count++;
  const kept = emptyCodes(codes, count, buffers);
  let end = 0;
  for (let row = 0; row < nRows; row++) {
    for (let pair = rowPointers[row]; pair < rowPointers[row + 1]; pair++) {
      if (mask[pair] !== part) continue;
      kept.latentIndices[end] = latentIndices[pair];
      kept.values[end++] = values[pair];
    }
    kept.rowPointers[row + 1] = end;
  }
  return kept;
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
function emptyCodes(
  { nRows, dSae }: Pick<Codes, 'nRows' | 'dSae'>,
  nPairs: number,
  buffers = new Buffers(),
): Codes {
  return {
    nRows,
    dSae,
    rowPointers: buffers.indices('pointers of a part', nRows + 1).fill(0, 0, 1),
    latentIndices: buffers.indices('latents of a part', nPairs),
    values: buffers.floats('values of a part', nPairs),
  };
}
