/*
 * Normalisation of every row by its own mean and spread (Gao et al. 2024; SAELens's `layer_norm`):
 *
 *   z = (x − μ) / (σ + 1e-5),  x̂ = σ ẑ + μ,  μ = mean(x),  σ² = Σ(x − μ)² / (width − 1)
 *
 * The factor differs from row to row, so no weights can hold it: a dictionary that was trained so says it in its
 * configuration.
 */

const EPSILON = 1e-5;

/** z of every row, a new array. */
export function layerNormalized(x: Float32Array, width: number): Float32Array {
  const out = new Float32Array(x.length);
  for (let start = 0; start < x.length; start += width) {
    const { mean, deviation } = rowMoments(x, start, width);
    const factor = 1 / (deviation + EPSILON);
    for (let i = start; i < start + width; i++) out[i] = (x[i] - mean) * factor;
  }
  return out;
}

/** σ ẑ + μ with the moments of the rows of x, in place. */
export function undoLayerNorm_(reconstructions: Float32Array, x: Float32Array, width: number): void {
  for (let start = 0; start < x.length; start += width) {
    const { mean, deviation } = rowMoments(x, start, width);
    for (let i = start; i < start + width; i++) reconstructions[i] = reconstructions[i] * deviation + mean;
  }
}

/** σ of every row: what one unit of ẑ is worth in x̂. */
export function rowDeviations(x: Float32Array, width: number): Float64Array {
  return Float64Array.from(
    { length: x.length / width },
    (_, row) => rowMoments(x, row * width, width).deviation,
  );
}

function rowMoments(x: Float32Array, start: number, width: number): { mean: number; deviation: number } {
  let sum = 0;
  for (let i = start; i < start + width; i++) sum += x[i];
  const mean = sum / width;
  let squares = 0;
  for (let i = start; i < start + width; i++) squares += (x[i] - mean) ** 2;
  return { mean, deviation: Math.sqrt(squares / Math.max(1, width - 1)) };
}
