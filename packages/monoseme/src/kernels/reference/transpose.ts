import { checkCodes } from '../check.ts';
import type { Codes, CodesByLatent } from '../contract.ts';
import { expectPairs } from './expect-pairs.ts';

/** See `KernelBackend.transpose`. A counting sort: rows are visited in order, so each latent's rows ascend. */
export function transpose(codes: Codes): CodesByLatent {
  checkCodes(codes);
  expectPairs(codes);
  const { nRows, dSae, rowPointers, latentIndices } = codes;
  const latentPointers = new Uint32Array(dSae + 1);
  for (const latent of latentIndices) latentPointers[latent + 1]++;
  for (let latent = 0; latent < dSae; latent++) latentPointers[latent + 1] += latentPointers[latent];
  const next = latentPointers.slice(0, dSae);
  const rowIndices = new Uint32Array(latentIndices.length);
  const pairIndices = new Uint32Array(latentIndices.length);
  for (let row = 0; row < nRows; row++) {
    for (let pair = rowPointers[row]; pair < rowPointers[row + 1]; pair++) {
      const place = next[latentIndices[pair]]++;
      rowIndices[place] = row;
      pairIndices[place] = pair;
    }
  }
  return { nRows, dSae, latentPointers, rowIndices, pairIndices };
}
