import type { TokenSet } from '../corpus/index.ts';
import { decode, encode } from '../dictionary/index.ts';
import { MonosemeError, throwIfAborted } from '../errors.ts';
import type { Codes } from '../kernels/contract.ts';
import type { BenchmarkSubject } from './examples.ts';

/** Contexts whose activations are in memory at once. */
const CONTEXTS_PER_BATCH = 16;
/** Numbers of bins from 0 to a latent's largest activation. Each divides the next: the finest counts give all. */
export const BIN_COUNTS: readonly number[] = [2, 4, 8, 16, 32, 64, 128];
const FINEST = BIN_COUNTS[BIN_COUNTS.length - 1];
/** What rounding the activations may cost of the explained variance. */
const MAX_LOSS = 0.01;

/** The code in which activations are rounded to the middle of one of `bins` bins. */
export interface DescriptionLength {
  readonly bins: number;
  /** Σ_j H(fires) + P(fires) · H(bin | fires), in bits a token: which latents fire, and how much. */
  readonly bits: number;
  /** Of bits: which latents fire. */
  readonly bitsOfFiring: number;
  /** With the rounded activations; NaN for constant activations. */
  readonly explainedVariance: number;
}

export interface MinimumDescription {
  readonly nTokens: number;
  readonly explainedVariance: number;
  readonly lengths: readonly DescriptionLength[];
  /** The shortest within 0.01 of the explained variance; undefined when none is. */
  readonly shortest: DescriptionLength | undefined;
}

/**
 * Minimum description length: how many bits a token's latent activations take when each latent is coded on its own.
 *
 * Source  Ayonrinde, Pearce and Sharkey 2024; see docs/evaluation.md for where SAEBench differs. Two passes: the largest
 * activation of each latent, then the counts [dSae, 128] and the errors at every number of bins.
 * @throws {MonosemeError} ERR_EMPTY_TEXT, ERR_INTERRUPTED
 */
export async function minimumDescription(
  subject: BenchmarkSubject,
  tokens: TokenSet,
): Promise<MinimumDescription> {
  if (tokens.nContexts === 0)
    throw new MonosemeError('ERR_EMPTY_TEXT', 'The text is shorter than one context.', 'Give more text.');
  const { dictionary, backend } = subject;
  const { dIn, dSae } = dictionary.config;
  const maxima = new Float32Array(dSae);
  const sums = { n: 0, x: new Float64Array(dIn), squares: 0, error: 0 };
  await forCodes(subject, tokens, [0, 2], (_, { latentIndices, values }) => {
    for (let pair = 0; pair < values.length; pair++)
      maxima[latentIndices[pair]] = Math.max(maxima[latentIndices[pair]], values[pair]);
  });
  const counts = new Uint32Array(dSae * FINEST);
  const errors = new Float64Array(BIN_COUNTS.length);
  await forCodes(subject, tokens, [1, 2], async (x, codes) => {
    countBins(counts, codes, maxima);
    addVariance(sums, x, dIn);
    sums.error += squaredError(x, await decode(dictionary, backend, codes, x));
    for (const [i, bins] of BIN_COUNTS.entries())
      errors[i] += squaredError(x, await decode(dictionary, backend, rounded(codes, maxima, bins), x));
  });
  const mean = sums.x.map((value) => value / sums.n);
  const variance = sums.squares - sums.n * mean.reduce((sum, value) => sum + value * value, 0);
  const explained = (error: number) => (variance > 0 ? 1 - error / variance : NaN);
  const lengths = BIN_COUNTS.map((bins, i) => ({
    ...{ bins, ...bitsOf(counts, dSae, bins, sums.n) },
    explainedVariance: explained(errors[i]),
  }));
  const explainedVariance = explained(sums.error);
  const faithful = lengths.filter((length) => length.explainedVariance >= explainedVariance - MAX_LOSS);
  const shortest = faithful.sort((a, b) => a.bits - b.bits).at(0);
  return { nTokens: sums.n, explainedVariance, lengths, shortest };
}

async function forCodes(
  { dictionary, backend, runner, signal, onProgress }: BenchmarkSubject,
  { tokens, contextSize, nContexts }: TokenSet,
  [pass, passes]: readonly [number, number],
  work: (x: Float32Array, codes: Codes) => void | Promise<void>,
): Promise<void> {
  for (let context = 0; context < nContexts; context += CONTEXTS_PER_BATCH) {
    throwIfAborted(signal);
    const end = Math.min(context + CONTEXTS_PER_BATCH, nContexts) * contextSize;
    const x = await runner.activations(tokens.subarray(context * contextSize, end), contextSize);
    await work(x, await encode(dictionary, backend, x, x.length / dictionary.config.dIn));
    onProgress?.(pass * tokens.length + end, passes * tokens.length);
  }
}

/** The bin of an activation: 0 to bins − 1; the largest is in the last. */
function binOf(value: number, maximum: number, bins: number): number {
  return Math.min(bins - 1, Math.floor((bins * value) / maximum));
}

function countBins(counts: Uint32Array, { latentIndices, values }: Codes, maxima: Float32Array): void {
  for (let pair = 0; pair < values.length; pair++) {
    const latent = latentIndices[pair];
    counts[latent * FINEST + binOf(values[pair], maxima[latent], FINEST)]++;
  }
}

/** Every activation at the middle of its bin. */
function rounded(codes: Codes, maxima: Float32Array, bins: number): Codes {
  const values = codes.values.map((value, pair) => {
    const maximum = maxima[codes.latentIndices[pair]];
    return ((binOf(value, maximum, bins) + 0.5) * maximum) / bins;
  });
  return { ...codes, values };
}

function addVariance(
  sums: { n: number; x: Float64Array; squares: number },
  x: Float32Array,
  dIn: number,
): void {
  for (let i = 0; i < x.length; i++) {
    sums.x[i % dIn] += x[i];
    sums.squares += x[i] * x[i];
  }
  sums.n += x.length / dIn;
}

function squaredError(x: Float32Array, reconstructions: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += (x[i] - reconstructions[i]) ** 2;
  return sum;
}

/**
 * Bits a token of all latents.
 *
 * @param counts [dSae, 128]: tokens on which each latent was active in each bin
 */
export function bitsOf(
  counts: Uint32Array,
  dSae: number,
  bins: number,
  nTokens: number,
): { bits: number; bitsOfFiring: number } {
  const joined = FINEST / bins;
  let [ofFiring, ofSize] = [0, 0];
  for (let latent = 0; latent < dSae; latent++) {
    const binned = new Float64Array(bins);
    for (let bin = 0; bin < FINEST; bin++) binned[Math.floor(bin / joined)] += counts[latent * FINEST + bin];
    const fired = binned.reduce((sum, count) => sum + count, 0);
    if (fired === 0) continue;
    ofFiring += entropy([fired / nTokens, 1 - fired / nTokens]);
    ofSize += (fired / nTokens) * entropy(binned.map((count) => count / fired));
  }
  return { bits: ofFiring + ofSize, bitsOfFiring: ofFiring };
}

function entropy(shares: ArrayLike<number>): number {
  let bits = 0;
  for (let i = 0; i < shares.length; i++) if (shares[i] > 0) bits -= shares[i] * Math.log2(shares[i]);
  return bits;
}
