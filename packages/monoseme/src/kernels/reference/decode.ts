import { checkDecode } from '../check.ts';
import type { DecodeInput } from '../contract.ts';
import { expectPairs } from './expect-pairs.ts';

/** See `KernelBackend.decode`. */
export function decode(input: DecodeInput): Float32Array {
  checkDecode(input);
  expectPairs(input.codes);
  const { codes, dOut, W_dec, b_dec } = input;
  const out = new Float32Array(codes.nRows * dOut);
  const sums = new Float64Array(dOut);
  for (let row = 0; row < codes.nRows; row++) {
    for (let i = 0; i < dOut; i++) sums[i] = b_dec ? b_dec[i] : 0;
    for (let pair = codes.rowPointers[row]; pair < codes.rowPointers[row + 1]; pair++) {
      const latent = codes.latentIndices[pair];
      for (let i = 0; i < dOut; i++) sums[i] += codes.values[pair] * W_dec[latent * dOut + i];
    }
    out.set(sums, row * dOut);
  }
  return out;
}
