/*
 * Normalisation of every row by itself. The factor differs from row to row, so no weights can hold it: a dictionary that
 * was trained so says it in its configuration. With a mean μ and a unit σ of the row:
 *
 *   z = (x − μ) / (σ + ε),  x̂ = σ ẑ + μ
 *
 * `layer_norm`             (Gao et al. 2024; SAELens)  μ = mean(x),  σ² = Σ(x − μ)² / (width − 1),  ε = 1e-5
 * `constant_norm_rescale`  (SAELens)                   μ = 0,  σ = ‖x‖ / √width,  ε = 0; a row of zeros stays one, where
 *                          theirs is NaN
 */

export type RowNormalization = 'layer_norm' | 'constant_norm_rescale';

/** ε of `layer_norm`. */
export const EPSILON = 1e-5;

/** z of every row, a new array. */
export function normalizedRows(x: Float32Array, width: number, kind: RowNormalization): Float32Array {
  const out = new Float32Array(x.length);
  for (let start = 0; start < x.length; start += width) {
    const { mean, unit } = momentsOf[kind](x, start, width);
    const factor = kind === 'layer_norm' ? 1 / (unit + EPSILON) : unit > 0 ? 1 / unit : 0;
    for (let i = start; i < start + width; i++) out[i] = (x[i] - mean) * factor;
  }
  return out;
}

/** σ ẑ + μ with the moments of the rows of x, in place. */
export function undoNormalization_(
  reconstructions: Float32Array,
  x: Float32Array,
  width: number,
  kind: RowNormalization,
): void {
  for (let start = 0; start < x.length; start += width) {
    const { mean, unit } = momentsOf[kind](x, start, width);
    for (let i = start; i < start + width; i++) reconstructions[i] = reconstructions[i] * unit + mean;
  }
}

/** σ of every row: what one unit of ẑ is worth in x̂. */
export function rowUnits(x: Float32Array, width: number, kind: RowNormalization): Float64Array {
  return Float64Array.from(
    { length: x.length / width },
    (_, row) => momentsOf[kind](x, row * width, width).unit,
  );
}

const momentsOf = { layer_norm: deviationOf, constant_norm_rescale: lengthOf };

function deviationOf(x: Float32Array, start: number, width: number): { mean: number; unit: number } {
  let sum = 0;
  for (let i = start; i < start + width; i++) sum += x[i];
  const mean = sum / width;
  let squares = 0;
  for (let i = start; i < start + width; i++) squares += (x[i] - mean) ** 2;
  return { mean, unit: Math.sqrt(squares / Math.max(1, width - 1)) };
}

function lengthOf(x: Float32Array, start: number, width: number): { mean: number; unit: number } {
  let squares = 0;
  for (let i = start; i < start + width; i++) squares += x[i] ** 2;
  return { mean: 0, unit: Math.sqrt(squares / width) };
}
