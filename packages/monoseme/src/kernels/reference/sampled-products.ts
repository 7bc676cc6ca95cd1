import { checkSampledProducts } from '../check.ts';
import type { SampledProductsInput } from '../contract.ts';
import { expectPairs } from './expect-pairs.ts';

/** See `KernelBackend.sampledProducts`. */
export function sampledProducts(input: SampledProductsInput): Float32Array {
  checkSampledProducts(input);
  expectPairs(input.codes);
  const { codes, dOut, rows, W_dec } = input;
  const products = new Float32Array(codes.latentIndices.length);
  for (let row = 0; row < codes.nRows; row++) {
    for (let pair = codes.rowPointers[row]; pair < codes.rowPointers[row + 1]; pair++) {
      const latent = codes.latentIndices[pair];
      let sum = 0;
      for (let i = 0; i < dOut; i++) sum += rows[row * dOut + i] * W_dec[latent * dOut + i];
      products[pair] = sum;
    }
  }
  return products;
}
