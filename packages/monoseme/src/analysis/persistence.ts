import { totalRows } from '../activations/index.ts';
import { MonosemeError } from '../errors.ts';
import type { Interval } from '../evaluation/index.ts';
import type { Codes, KernelBackend } from '../kernels/contract.ts';
import { hashSeed, Random } from '../random/index.ts';
import { Autocorrelation } from './autocorrelation.ts';
import { type CodedText, codedChunks, expectAutoencoder, type Pass } from './coded-text.ts';
import { activationMoments, eigenvectors, type Moments } from './moments.ts';
import { medianInterval, medianOf, MIN_FIRED } from './universality.ts';

/** Tokens between two activations that are compared; those that fit into a context. */
const LAGS = [1, 2, 4, 8, 16, 32, 64];
/** Latents whose directions are projected on, evenly over all, and tokens of which projections are taken, about. */
const DIRECTIONS = 256;
const PROJECTED_TOKENS = 2 ** 17;
/** Random directions among which each finds the one of nearest variance. */
const CANDIDATES = 1536;

/** What is looked at: activations of latents, projections on decoder directions, on random ones. */
export type PersistenceKind = 'latents' | 'directions' | 'random';

export interface Persistence {
  readonly nTokens: number;
  readonly lags: readonly number[];
  /** [dSae][lags]: autocorrelation of the activation; undefined for a latent that fires on fewer than 20 tokens. */
  readonly latents: readonly (readonly number[] | undefined)[];
  /** [lags]: medians over the latents, over projections on decoder directions, on random ones of the same variance. */
  readonly medians: Readonly<Record<PersistenceKind, readonly (number | undefined)[]>>;
  /** The same for their intervals of 95 %, over latents and over directions; undefined with fewer than 10. */
  readonly intervals: Readonly<Record<PersistenceKind, readonly (Interval | undefined)[]>>;
  /** Largest relative difference of a matched variance. */
  readonly worstMatch: number;
}

/**
 * Whether latents hold on along a text, and more than any direction of the same variance does.
 *
 * Formula  autocorrelation over lags of the latents' activations; of ⟨x, d⟩ with decoder directions d; and of ⟨x, r⟩ with
 *          random directions r of the same variance: of normal vectors g, Σ½g and Σg (Σ the covariance of the activations)
 *          each d gets the one nearest in variance. Decoder directions that persist no more than these follow strong
 *          directions only.
 * Memory   64 bytes a latent; projections on some 131,000 tokens, spread over the text
 * @throws {MonosemeError} ERR_EMPTY_TEXT for contexts of one token; ERR_OPTION for transcoders and crosscoders; ERR_MISMATCH, ERR_INTERRUPTED
 */
export async function persistence(text: CodedText, pass: Pass, seed = 0): Promise<Persistence> {
  expectAutoencoder(text.dictionary);
  const { source, dictionary } = text;
  const { dSae, dIn } = dictionary.config;
  const lags = LAGS.filter((lag) => lag < source.contextSize);
  if (lags.length === 0)
    throw new MonosemeError(
      'ERR_EMPTY_TEXT',
      'Contexts of one token have no later token.',
      'Give a larger --context-size: 2 at least, 65 for every lag.',
    );
  const moments = await activationMoments(source, { signal: pass.signal });
  const own = evenly(dSae, DIRECTIONS).map((latent) =>
    unit(dictionary.weights.W_dec.subarray(latent * dIn, (latent + 1) * dIn)),
  );
  const variances = own.map((direction) => varianceAlong(moments, direction));
  const random = matchedDirections(moments, variances, seed);
  const directions = Float32Array.from(
    [...own, ...random.map(({ direction }) => direction)].flatMap((d) => [...d]),
  );
  const ofLatents = new Autocorrelation(dSae, lags, source.contextSize);
  const ofDirections = new Autocorrelation(2 * own.length, lags, source.contextSize);
  const step = Math.max(1, Math.floor(totalRows(source) / PROJECTED_TOKENS));
  let chunk = 0;
  for await (const { codes, activations } of codedChunks([text], pass)) {
    ofLatents.add(codes[0]);
    if (chunk++ % step === 0)
      ofDirections.add(await projections(pass.backend, activations[0], directions, dIn));
  }
  const latents = Array.from({ length: dSae }, (_, latent) =>
    ofLatents.fired[latent] < MIN_FIRED ? undefined : ofLatents.of(latent),
  );
  const projected = Array.from({ length: 2 * own.length }, (_, column) => ofDirections.of(column));
  const sets = {
    latents: latents.filter((values) => values !== undefined),
    directions: projected.slice(0, own.length),
    random: projected.slice(own.length),
  };
  const ofSets = <T>(summary: (values: readonly number[]) => T) => {
    const byLag = (set: readonly (readonly number[])[]) =>
      lags.map((_, lag) => summary(set.map((values) => values[lag])));
    return { latents: byLag(sets.latents), directions: byLag(sets.directions), random: byLag(sets.random) };
  };
  return {
    ...{ nTokens: ofLatents.nTokens, lags, latents },
    ...{ medians: ofSets(medianOf), intervals: ofSets(medianInterval) },
    worstMatch: Math.max(...random.map(({ variance }, i) => Math.abs(variance / (variances[i] || 1) - 1))),
  };
}

/** ⟨x, d⟩ of every row with every direction: an encoder whose thresholds keep every value is a matrix product. */
function projections(
  backend: KernelBackend,
  x: Float32Array,
  directions: Float32Array,
  dIn: number,
): Promise<Codes> {
  const n = directions.length / dIn;
  return backend.encode({
    ...{ x, nRows: x.length / dIn, dIn, dSae: n, W_enc: directions, b_enc: new Float32Array(n) },
    selection: { kind: 'threshold', thresholds: new Float32Array(n).fill(-Infinity) },
  });
}

function evenly(n: number, wanted: number): number[] {
  const count = Math.min(n, wanted);
  return Array.from({ length: count }, (_, i) => Math.floor((i * n) / count));
}

function unit(row: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(row);
  const length = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0)) || 1;
  return values.map((value) => value / length);
}

/** dᵀ Σ d */
function varianceAlong({ covariance }: Moments, direction: Float64Array): number {
  return product(covariance, direction).reduce((sum, value, i) => sum + value * direction[i], 0);
}

/** For each variance the random direction of the nearest one. */
function matchedDirections(moments: Moments, wanted: readonly number[], seed: number) {
  const { dIn, covariance } = moments;
  const random = new Random(hashSeed(seed, 'persistence'));
  const maps = [undefined, rootOf(moments), covariance];
  const candidates = Array.from({ length: CANDIDATES }, (_, i) => {
    const normal = Float64Array.from({ length: dIn }, () => random.normal());
    const map = maps[i % maps.length];
    const direction = unit(map ? product(map, normal) : normal);
    return { direction, variance: varianceAlong(moments, direction) };
  });
  return wanted.map((variance) => {
    const distance = (candidate: { variance: number }) => Math.abs(candidate.variance - variance);
    return candidates.reduce((best, next) => (distance(next) < distance(best) ? next : best));
  });
}

/** Σ½ */
function rootOf({ covariance, dIn }: Moments): Float64Array {
  const { values, vectors } = eigenvectors(covariance, dIn);
  const root = new Float64Array(dIn * dIn);
  vectors.forEach((vector, k) => {
    const scale = Math.sqrt(Math.max(0, values[k]));
    for (let i = 0; i < dIn; i++)
      for (let j = 0; j < dIn; j++) root[i * dIn + j] += scale * vector[i] * vector[j];
  });
  return root;
}

function product(matrix: Float64Array, vector: Float64Array): Float64Array {
  const d = vector.length;
  const out = new Float64Array(d);
  for (let i = 0; i < d; i++) {
    let sum = 0;
    for (let k = 0; k < d; k++) sum += matrix[i * d + k] * vector[k];
    out[i] = sum;
  }
  return out;
}
