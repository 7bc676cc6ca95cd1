import type { Weights } from './dictionary.ts';

/** Rows shorter than this are folded as if they were this long, as SAELens does. */
const LEAST_NORM = 1e-8;

/** Lengths of the rows of a matrix, [nRows]. */
export function rowNorms(matrix: Float32Array, nRows: number): Float64Array {
  const width = matrix.length / nRows;
  return Float64Array.from({ length: nRows }, (_, row) => {
    let square = 0;
    for (let i = row * width; i < (row + 1) * width; i++) square += matrix[i] * matrix[i];
    return Math.sqrt(square);
  });
}

/**
 * The same dictionary for inputs that are not scaled by s.
 *
 * Every form here is positively homogeneous: with x_s = s·x, an encoder with biases and thresholds b gives s times
 * what it gives on x with b/s. So all biases and thresholds are divided by s, and the directions stay as they are.
 * (`r_mag` of a gated encoder is the logarithm of a ratio and stays too.)
 */
export function foldInputScale(weights: Weights, scale: number): Weights {
  const divided = (vector: Float32Array) => vector.map((value) => value / scale);
  return {
    ...weights,
    b_enc: divided(weights.b_enc),
    b_dec: divided(weights.b_dec),
    ...(weights.threshold && { threshold: divided(weights.threshold) }),
    ...(weights.b_mag && { b_mag: divided(weights.b_mag) }),
  };
}

/**
 * The same reconstructions with decoder rows of length 1: latent activations grow by what the rows lose.
 * Encoder rows, biases and thresholds are multiplied by the length n_j = max(‖W_dec[j]‖, 1e-8).
 */
export function foldDecoderNorms(weights: Weights): Weights {
  const dSae = weights.b_enc.length;
  const norms = rowNorms(weights.W_dec, dSae).map((norm) => Math.max(norm, LEAST_NORM));
  const width = weights.W_dec.length / dSae;
  const times = (vector: Float32Array) => vector.map((value, j) => value * norms[j]);
  return {
    ...weights,
    W_enc: weights.W_enc.map((value, i) => value * norms[Math.floor(i / width)]),
    W_dec: weights.W_dec.map((value, i) => value / norms[Math.floor(i / width)]),
    b_enc: times(weights.b_enc),
    ...(weights.threshold && { threshold: times(weights.threshold) }),
    ...(weights.b_mag && { b_mag: times(weights.b_mag) }),
  };
}
