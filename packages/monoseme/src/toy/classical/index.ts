import type { Codes } from '../../kernels/contract.ts';
import type { Random } from '../../random/index.ts';
import { unitRows } from '../directions.ts';
import type { Coder } from '../measure.ts';
import { kSvd, mod } from './k-svd.ts';
import { MatchingPursuit } from './omp.ts';
import { shrinkageCodes } from './shrinkage.ts';
import { dataPoints, fastIca, pca } from './simple.ts';

export interface ClassicalInput {
  /** [nRows, width]: what is learnt from. */
  readonly x: Float32Array;
  readonly width: number;
  readonly dSae: number;
  /** Directions that a row may use. */
  readonly k: number;
  readonly random: Random;
  readonly signal?: AbortSignal;
}

/** A way to directions that is no autoencoder. */
export interface ClassicalMethod {
  readonly name: string;
  readonly source: string;
  /** Unit directions [any number, width] for centred rows. */
  readonly learn: (input: ClassicalInput) => Float32Array;
}

/** Turns of coding and improving. */
const ITERATIONS = 25;

export const CLASSICAL_METHODS: readonly ClassicalMethod[] = [
  {
    name: 'random',
    source: 'uniform on the sphere',
    learn: ({ dSae, width, random }) => unitRows(dSae, width, random),
  },
  {
    name: 'data-points',
    source: 'rows of the data',
    learn: ({ x, width, dSae, random }) => dataPoints(x, width, dSae, random),
  },
  { name: 'pca', source: 'principal components, both signs', learn: ({ x, width }) => pca(x, width) },
  {
    name: 'fast-ica',
    source: 'Hyvärinen 1999, both signs',
    learn: ({ x, width, random }) => fastIca(x, width, random),
  },
  {
    name: 'mod',
    source: 'Engan et al. 1999',
    learn: ({ x, width, ...rest }) => mod(x, width, { ...rest, iterations: ITERATIONS }),
  },
  {
    name: 'k-svd',
    source: 'Aharon et al. 2006, approximate',
    learn: ({ x, width, ...rest }) => kSvd(x, width, { ...rest, iterations: ITERATIONS }),
  },
];

/** Directions learnt by a method from rows, used with orthogonal matching pursuit around the rows' mean. */
export function classicalCoder(method: ClassicalMethod, input: ClassicalInput): Coder {
  const mean = meanOfRows(input.x, input.width);
  return pursuitCoder(method.learn({ ...input, x: minus(input.x, mean) }), mean, input.k);
}

/** Codes of at most k directions by orthogonal matching pursuit, whatever the length of the directions. */
export function pursuitCoder(W_dec: Float32Array, b_dec: Float32Array, k: number): Coder {
  const width = b_dec.length;
  const norms = new Float32Array(W_dec.length / width).map((_, j) =>
    Math.hypot(...W_dec.subarray(j * width, (j + 1) * width)),
  );
  const unit = W_dec.map((value, i) => value / (norms[Math.floor(i / width)] || 1));
  const pursuit = new MatchingPursuit(unit, width);
  const encode = async (x: Float32Array): Promise<Codes> => {
    const codes = pursuit.encode(minus(x, b_dec), k);
    return { ...codes, values: codes.values.map((value, pair) => value / norms[codes.latentIndices[pair]]) };
  };
  return { W_dec, b_dec, encode };
}

/** Codes by ISTA or FISTA. */
export function shrinkageCoder(
  W_dec: Float32Array,
  b_dec: Float32Array,
  l1Coefficient: number,
  accelerated: boolean,
): Coder {
  const options = { l1Coefficient, accelerated, iterations: 100 };
  const encode = async (x: Float32Array) => shrinkageCodes(minus(x, b_dec), W_dec, b_dec.length, options);
  return { W_dec, b_dec, encode };
}

function meanOfRows(x: Float32Array, width: number): Float32Array {
  const sums = new Float64Array(width);
  x.forEach((value, i) => (sums[i % width] += value));
  return Float32Array.from(sums, (sum) => sum / (x.length / width));
}

function minus(x: Float32Array, row: Float32Array): Float32Array {
  return x.map((value, i) => value - row[i % row.length]);
}
