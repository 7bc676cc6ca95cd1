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
  const kept = { ...codesFor(buffers, 'a part', nRows, count), dSae: codes.dSae };
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

/**
 * The pairs of some rows above the bar of their latent, before all those of the rows that come after; and the others.
 *
 * @param bars [dSae]
 * @param buffers where they go, under the names of one step
 */
export function partedCodes(
  { nRows, dSae, rowPointers, latentIndices, values }: Codes,
  bars: Float32Array,
  after: Codes,
  buffers: Buffers,
): { above: Codes; others: Codes } {
  const nPairs = values.length;
  const above = codesFor(buffers, 'above', nRows + after.nRows, nPairs + after.values.length);
  const others = codesFor(buffers, 'others', nRows, nPairs);
  let [nAbove, nOthers] = [0, 0];
  for (let row = 0; row < nRows; row++) {
    for (let pair = rowPointers[row]; pair < rowPointers[row + 1]; pair++) {
      const [latent, value] = [latentIndices[pair], values[pair]];
      if (value > bars[latent]) {
        above.latentIndices[nAbove] = latent;
        above.values[nAbove++] = value;
      } else {
        others.latentIndices[nOthers] = latent;
        others.values[nOthers++] = value;
      }
    }
    above.rowPointers[row + 1] = nAbove;
    others.rowPointers[row + 1] = nOthers;
  }
  for (let row = 1; row <= after.nRows; row++)
    above.rowPointers[nRows + row] = nAbove + after.rowPointers[row];
  above.latentIndices.set(after.latentIndices, nAbove);
  above.values.set(after.values, nAbove);
  const ofPairs = ({ latentIndices, values, ...codes }: Omit<Codes, 'dSae'>, n: number): Codes => ({
    ...codes,
    dSae,
    latentIndices: latentIndices.subarray(0, n),
    values: values.subarray(0, n),
  });
  return { above: ofPairs(above, nAbove + after.values.length), others: ofPairs(others, nOthers) };
}

/** Places for so many pairs. */
function codesFor(buffers: Buffers, name: string, nRows: number, nPairs: number): Omit<Codes, 'dSae'> {
  return {
    nRows,
    rowPointers: buffers.indices(`pointers of ${name}`, nRows + 1).fill(0, 0, 1),
    latentIndices: buffers.indices(`latents of ${name}`, nPairs),
    values: buffers.floats(`values of ${name}`, nPairs),
  };
}

/** Codes of one row in which every latent is active. */
export function oneFullRow(buffers: Buffers, values: Float32Array): Codes {
  const dSae = values.length;
  const rowPointers = Uint32Array.of(0, dSae);
  return { nRows: 1, dSae, rowPointers, latentIndices: buffers.ascending(dSae), values };
}
