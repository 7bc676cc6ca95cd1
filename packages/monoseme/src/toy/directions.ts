import type { Random } from '../random/index.ts';

/** Directions uniform on the unit sphere, [nRows, width]. */
export function unitRows(nRows: number, width: number, random: Random): Float32Array {
  const rows = new Float32Array(nRows * width).map(() => random.normal());
  normalizeRows_(rows, width);
  return rows;
}

/** Scale every row to length 1; a row of zeros is left. Mutates rows. */
export function normalizeRows_(rows: Float32Array, width: number): void {
  for (let start = 0; start < rows.length; start += width) {
    let square = 0;
    for (let i = start; i < start + width; i++) square += rows[i] * rows[i];
    const norm = Math.sqrt(square);
    if (norm > 0) for (let i = start; i < start + width; i++) rows[i] /= norm;
  }
}

/**
 * Push unit directions apart: W ← rows of W (3/2 I − 1/2 (width/nRows) WᵀW), scaled to length 1 again.
 *
 * Where there are more rows than the width, the sum of all squared cosines is least when WᵀW = (nRows/width) I; this is
 * Newton's and Schulz's step to that. SynthSAEBench takes 100 Adam steps down the same sum. Cost 4·nRows·width² a step.
 * Mutates rows.
 */
export function spreadRows_(rows: Float32Array, width: number, steps: number): void {
  const nRows = rows.length / width;
  for (let step = 0; step < steps; step++) {
    const gram = gramOfColumns(rows, width);
    const changed = new Float64Array(width);
    for (let start = 0; start < rows.length; start += width) {
      changed.fill(0);
      for (let i = 0; i < width; i++) {
        const value = rows[start + i];
        for (let k = 0; k < width; k++) changed[k] += value * gram[i * width + k];
      }
      for (let i = 0; i < width; i++)
        rows[start + i] = 1.5 * rows[start + i] - 0.5 * (width / nRows) * changed[i];
    }
    normalizeRows_(rows, width);
  }
}

/** WᵀW, [width, width] */
function gramOfColumns(rows: Float32Array, width: number): Float64Array {
  const gram = new Float64Array(width * width);
  for (let start = 0; start < rows.length; start += width) {
    for (let i = 0; i < width; i++) {
      const value = rows[start + i];
      for (let k = 0; k < width; k++) gram[i * width + k] += value * rows[start + k];
    }
  }
  return gram;
}
