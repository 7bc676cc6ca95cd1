import type { Codes } from '../../kernels/contract.ts';
import { codesOfDense } from './dense-codes.ts';
import { products } from './omp.ts';

export interface ShrinkageOptions {
  /** λ of ½‖x − Σ_j f_j d_j‖² + λ Σ_j f_j, f ≥ 0. */
  readonly l1Coefficient: number;
  readonly iterations: number;
  /** FISTA (Beck and Teboulle 2009) instead of ISTA: each step starts ahead of the last, along the way it came. */
  readonly accelerated: boolean;
}

/**
 * Sparse codes by iterative shrinkage, f ← max(0, f + (D x − D Dᵀ f − λ)/L), with L the largest eigenvalue of D Dᵀ. What
 * an encoder does in one step is done in many, with the dictionary as it is.
 *
 * @param x [nRows, width]
 * @param directions [dSae, width]
 */
export function shrinkageCodes(
  x: Float32Array,
  directions: Float32Array,
  width: number,
  { l1Coefficient, iterations, accelerated }: ShrinkageOptions,
): Codes {
  const dSae = directions.length / width;
  const nRows = x.length / width;
  const gram = products(directions, directions, width);
  const step = 1 / largestEigenvalue(gram, dSae);
  const codes = new Float32Array(nRows * dSae);
  const gradient = new Float64Array(dSae);
  for (let row = 0; row < nRows; row++) {
    const target = products(x.subarray(row * width, (row + 1) * width), directions, width);
    const code = codes.subarray(row * dSae, (row + 1) * dSae);
    const ahead = new Float64Array(dSae);
    let momentum = 1;
    for (let iteration = 0; iteration < iterations; iteration++) {
      gradient.set(target);
      for (let j = 0; j < dSae; j++) {
        const value = ahead[j];
        if (value === 0) continue;
        for (let i = 0; i < dSae; i++) gradient[i] -= value * gram[j * dSae + i];
      }
      const next = (1 + Math.sqrt(1 + 4 * momentum * momentum)) / 2;
      const push = accelerated ? (momentum - 1) / next : 0;
      for (let j = 0; j < dSae; j++) {
        const shrunk = Math.max(0, ahead[j] + step * (gradient[j] - l1Coefficient));
        ahead[j] = shrunk + push * (shrunk - code[j]);
        code[j] = shrunk;
      }
      momentum = next;
    }
  }
  return codesOfDense(codes, nRows);
}

/** By power iteration from the sum of the rows; a symmetric matrix without negative eigenvalues. */
export function largestEigenvalue(matrix: Float32Array, n: number): number {
  let vector = new Float64Array(n).map((_, i) => 1 + i / n);
  let value = 0;
  for (let iteration = 0; iteration < 100; iteration++) {
    const image = new Float64Array(n);
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) image[i] += matrix[i * n + j] * vector[j];
    value = Math.hypot(...image);
    if (value === 0) return 1;
    vector = image.map((component) => component / value);
  }
  return value;
}
