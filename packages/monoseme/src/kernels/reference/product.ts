import { checkProduct } from '../check.ts';
import type { ProductInput } from '../contract.ts';

/** See `KernelBackend.product`. */
export function product(input: ProductInput): Float32Array {
  checkProduct(input);
  const { a, isTransposed = false, b, nRows, inner, width } = input;
  const out = input.sum ?? new Float32Array(nRows * width);
  const sums = new Float64Array(width);
  for (let row = 0; row < nRows; row++) {
    sums.set(out.subarray(row * width, (row + 1) * width));
    for (let k = 0; k < inner; k++) {
      const factor = isTransposed ? a[k * nRows + row] : a[row * inner + k];
      for (let i = 0; i < width; i++) sums[i] += factor * b[k * width + i];
    }
    out.set(sums, row * width);
  }
  return out;
}
