import type { SparseGradient } from '../kernels/index.ts';

/** The sums of a gradient, all together, as a matrix [dSae, width]. */
export function denseGradient(
  { also = [], ...own }: SparseGradient,
  dSae: number,
  width: number,
): Float64Array {
  const out = new Float64Array(dSae * width);
  for (const { byLatent, coefficients, rows } of [own, ...also]) {
    for (let j = 0; j < dSae; j++) {
      for (let n = byLatent.latentPointers[j]; n < byLatent.latentPointers[j + 1]; n++) {
        const from = byLatent.rowIndices[n] * width;
        const coefficient = coefficients[byLatent.pairIndices[n]];
        for (let i = 0; i < width; i++) out[j * width + i] += coefficient * rows[from + i];
      }
    }
  }
  return out;
}
