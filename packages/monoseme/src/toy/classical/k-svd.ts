import { inverse, Matrix } from 'ml-matrix';
import { throwIfAborted } from '../../errors.ts';
import type { Codes } from '../../kernels/contract.ts';
import type { Random } from '../../random/index.ts';
import { normalizeRows_ } from '../directions.ts';
import { MatchingPursuit } from './omp.ts';
import { dataPoints } from './simple.ts';

export interface AlternatingOptions {
  readonly dSae: number;
  /** Directions that a row may use. */
  readonly k: number;
  readonly iterations: number;
  readonly random: Random;
  readonly signal?: AbortSignal;
}

/**
 * Dictionaries by turns: codes of all rows by orthogonal matching pursuit, then better directions for these codes. From
 * data points; a direction that no row uses starts again at the row that is explained worst.
 *
 * @param x [nRows, width], centred
 * @param improve_ changes the directions, and may change the values of the codes
 * @returns unit directions [dSae, width]
 */
function alternate(
  x: Float32Array,
  width: number,
  { dSae, k, iterations, random, signal }: AlternatingOptions,
  improve_: (directions: Float32Array, codes: Codes) => void,
): Float32Array {
  const directions = dataPoints(x, width, dSae, random);
  for (let iteration = 0; iteration < iterations; iteration++) {
    throwIfAborted(signal);
    const codes = new MatchingPursuit(directions, width).encode(x, k);
    improve_(directions, codes);
    restartUnused_(directions, codes, x, width);
    normalizeRows_(directions, width);
  }
  return directions;
}

/**
 * Approximate K-SVD (Aharon et al. 2006; Rubinstein et al. 2008): direction after direction, one power step on the error
 * of the rows that use it when it is left out, and their coefficients made to fit.
 */
export function kSvd(x: Float32Array, width: number, options: AlternatingOptions): Float32Array {
  return alternate(x, width, options, (directions, codes) => {
    const { rows, pairs } = pairsByLatent(codes);
    const errors = residuals(x, directions, codes, width);
    for (let j = 0; j < options.dSae; j++) {
      if (pairs[j].length === 0) continue;
      const direction = directions.subarray(j * width, (j + 1) * width);
      for (const pair of pairs[j]) addScaled_(errors, rows[pair], direction, codes.values[pair]);
      direction.fill(0);
      for (const pair of pairs[j])
        for (let i = 0; i < width; i++) direction[i] += codes.values[pair] * errors[rows[pair] * width + i];
      normalizeRows_(direction, width);
      for (const pair of pairs[j]) {
        let coefficient = 0;
        for (let i = 0; i < width; i++) coefficient += direction[i] * errors[rows[pair] * width + i];
        codes.values[pair] = coefficient;
        addScaled_(errors, rows[pair], direction, -coefficient);
      }
    }
  });
}

/** Method of optimal directions (Engan et al. 1999): all directions at once by least squares, D = (Γ Γᵀ)⁻¹ Γ X. */
export function mod(x: Float32Array, width: number, options: AlternatingOptions): Float32Array {
  const { dSae } = options;
  return alternate(x, width, options, (directions, codes) => {
    const gram = Matrix.zeros(dSae, dSae);
    const right = Matrix.zeros(dSae, width);
    const { rowPointers, latentIndices, values } = codes;
    for (let row = 0; row < codes.nRows; row++) {
      for (let a = rowPointers[row]; a < rowPointers[row + 1]; a++) {
        const j = latentIndices[a];
        for (let b = rowPointers[row]; b < rowPointers[row + 1]; b++)
          gram.set(j, latentIndices[b], gram.get(j, latentIndices[b]) + values[a] * values[b]);
        for (let i = 0; i < width; i++) right.set(j, i, right.get(j, i) + values[a] * x[row * width + i]);
      }
    }
    // So little that it decides nothing but makes the matrix one that has an inverse.
    const ridge = 1e-9 * (gram.trace() / dSae) + 1e-12;
    const solved = inverse(gram.add(Matrix.eye(dSae, dSae).mul(ridge))).mmul(right);
    directions.set(solved.to1DArray());
  });
}

/** The row of every pair, and the pairs of every latent. */
function pairsByLatent({ nRows, dSae, rowPointers, latentIndices }: Codes) {
  const rows = new Uint32Array(latentIndices.length);
  const pairs = Array.from({ length: dSae }, (): number[] => []);
  for (let row = 0; row < nRows; row++) {
    for (let pair = rowPointers[row]; pair < rowPointers[row + 1]; pair++) {
      rows[pair] = row;
      pairs[latentIndices[pair]].push(pair);
    }
  }
  return { rows, pairs };
}

/** x − Σ_j γ_j d_j, a new array. */
function residuals(x: Float32Array, directions: Float32Array, codes: Codes, width: number): Float32Array {
  const errors = x.slice();
  const { rowPointers, latentIndices, values } = codes;
  for (let row = 0; row < codes.nRows; row++) {
    for (let pair = rowPointers[row]; pair < rowPointers[row + 1]; pair++) {
      const j = latentIndices[pair];
      addScaled_(errors, row, directions.subarray(j * width, (j + 1) * width), -values[pair]);
    }
  }
  return errors;
}

function addScaled_(rows: Float32Array, row: number, direction: Float32Array, factor: number): void {
  const width = direction.length;
  for (let i = 0; i < width; i++) rows[row * width + i] += factor * direction[i];
}

function restartUnused_(directions: Float32Array, codes: Codes, x: Float32Array, width: number): void {
  const used = new Set(codes.latentIndices);
  if (used.size === directions.length / width) return;
  const errors = residuals(x, directions, codes, width);
  const squares = new Float64Array(codes.nRows);
  errors.forEach((value, i) => (squares[Math.floor(i / width)] += value * value));
  const worst = [...squares.keys()].sort((a, b) => squares[b] - squares[a]);
  for (let j = 0; j < directions.length / width; j++) {
    if (used.has(j)) continue;
    const row = worst.shift() as number;
    directions.set(errors.subarray(row * width, (row + 1) * width), j * width);
  }
}
