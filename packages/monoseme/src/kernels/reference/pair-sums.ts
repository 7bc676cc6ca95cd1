import { checkPairSums } from '../check.ts';
import type { PairSumsInput } from '../contract.ts';
import { expectPairs } from './expect-pairs.ts';

/** See `KernelBackend.addPairSums`. */
export function addPairSums(input: PairSumsInput): void {
  checkPairSums(input);
  const { a, b, width, sums } = input;
  expectPairs(a);
  expectPairs(b);
  for (let row = 0; row < a.nRows; row++) {
    for (let i = a.rowPointers[row]; i < a.rowPointers[row + 1]; i++) {
      const fa = a.values[i];
      for (let j = b.rowPointers[row]; j < b.rowPointers[row + 1]; j++) {
        const fb = b.values[j];
        const at = width * (a.latentIndices[i] * b.dSae + b.latentIndices[j]);
        sums[at] += fa * fb;
        if (width > 1) sums[at + 1]++;
        if (width === 4) {
          sums[at + 2] += fb * fb;
          sums[at + 3] += fa * fa;
        }
      }
    }
  }
}
