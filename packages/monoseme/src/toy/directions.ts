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

/** Rows that are worked on together: what is read of a matrix beside them serves all. */
const TILE = 4;

/** After so many of Newton's steps nothing changes any more. */
const STEPS = 5;

/**
 * Push unit directions apart: W ← rows of W (n/d · WᵀW)^(−1/2) with n rows of width d, scaled to length 1 again.
 *
 * Where there are more rows than the width, the sum of all squared cosines is least when WᵀW = (n/d) I. SynthSAEBench takes
 * 100 Adam steps down the same sum. The root by the iteration of Newton and Schulz on WᵀW. Cost 3·n·d² + 30·d³.
 * Mutates rows.
 */
export function spreadRows_(rows: Float32Array, width: number): void {
  const gram = gramOfColumns(rows, width).map((value) => (width * width * value) / rows.length);
  const root = gram.map((_, i) => (i % (width + 1) === 0 ? 1 : 0));
  for (let step = 0; step < STEPS; step++) {
    // All are polynomials of WᵀW: symmetric, and their order in a product does not matter.
    const factors = gram.map((value, i) => (i % (width + 1) === 0 ? 1.5 : 0) - 0.5 * value);
    multiply_(root, factors, width);
    multiply_(gram, factors, width);
    multiply_(gram, factors, width);
  }
  multiply_(rows, root, width);
  normalizeRows_(rows, width);
}

/** rows ← rows · M for a symmetric matrix M, [width, width]. Sums in f64. Mutates rows. */
function multiply_(rows: Float32Array, symmetric: Float32Array, width: number): void {
  const nRows = rows.length / width;
  for (let start = 0; start < nRows; start += TILE) {
    const [a, b, c, d] = tileOf(rows, start, width);
    const present = Math.min(TILE, nRows - start);
    for (let k = 0; k < width; k++) {
      const at = k * width;
      let [sumA, sumB, sumC, sumD] = [0, 0, 0, 0];
      for (let i = 0; i < width; i++) {
        const factor = symmetric[at + i];
        sumA += a[i] * factor;
        sumB += b[i] * factor;
        sumC += c[i] * factor;
        sumD += d[i] * factor;
      }
      const sums = [sumA, sumB, sumC, sumD];
      for (let row = 0; row < present; row++) rows[(start + row) * width + k] = sums[row];
    }
  }
}

/** WᵀW, [width, width]. Sums in f64. */
function gramOfColumns(rows: Float32Array, width: number): Float32Array {
  const gram = new Float64Array(width * width);
  for (let start = 0; start * width < rows.length; start += TILE) {
    const [a, b, c, d] = tileOf(rows, start, width);
    for (let i = 0; i < width; i++) {
      const [ai, bi, ci, di] = [a[i], b[i], c[i], d[i]];
      for (let k = i, at = i * width; k < width; k++)
        gram[at + k] += ai * a[k] + bi * b[k] + ci * c[k] + di * d[k];
    }
  }
  for (let i = 0; i < width; i++) for (let k = 0; k < i; k++) gram[i * width + k] = gram[k * width + i];
  return Float32Array.from(gram);
}

/** Copies of four rows from `start` on, those that are missing as zeros. */
function tileOf(rows: Float32Array, start: number, width: number): Float64Array[] {
  return Array.from({ length: TILE }, (_, row) => {
    const copy = new Float64Array(width);
    copy.set(rows.subarray((start + row) * width, (start + row + 1) * width));
    return copy;
  });
}
