import { type Interval, MIN_BLOCKS, quantiles, RESAMPLES } from '../evaluation/index.ts';
import { hashSeed, Random } from '../random/index.ts';
import { type CodedText, codedChunks, type Pass } from './coded-text.ts';
import { type Pair, PairSums } from './pair-sums.ts';

/** A latent that is active on fewer tokens has no correlation worth a comparison. */
export const MIN_FIRED = 20;

/** The best match of one latent in the other dictionary. */
export interface Match {
  readonly latent: number;
  readonly nFired: number;
  /** Undefined when the latent is active on too few tokens, or never together with any of the other dictionary. */
  readonly match: number | undefined;
  readonly correlation: number | undefined;
}

export interface Universality {
  readonly nTokens: number;
  /** One entry a latent of the first dictionary, in order. */
  readonly matches: readonly Match[];
  /** Of the correlations there are; undefined without any. */
  readonly median: number | undefined;
  /** 95 %, over resampled latents; undefined with fewer than {@link MIN_BLOCKS} matches. */
  readonly interval: Interval | undefined;
  /** Latents without a match: too rarely active, or alone. */
  readonly nWithout: number;
}

/**
 * How well the latents of one dictionary are found again in another: for each, the largest Pearson correlation of
 * activations over the same tokens.
 *
 * Source  Bricken et al. 2023, universality: the median over A/1 of the best match in B/1 is 0.72, of neurons 0.46
 * @throws {MonosemeError} ERR_MISMATCH, ERR_INTERRUPTED
 */
export async function universality(a: CodedText, b: CodedText, pass: Pass): Promise<Universality> {
  const sums = new PairSums(a.dictionary.config.dSae, b.dictionary.config.dSae, { masked: false });
  for await (const { codes } of codedChunks([a, b], pass)) sums.add(codes[0], codes[1]);
  return universalityOf(sums);
}

export function universalityOf(sums: PairSums): Universality {
  const isCommon = (pair: Pair) => sums.b.fired[pair.b] >= MIN_FIRED;
  const best = sums.best((pair) => (isCommon(pair) ? pair.correlation : -Infinity));
  const matches = best.map((pair, latent): Match => {
    const nFired = sums.a.fired[latent];
    const found = pair !== undefined && nFired >= MIN_FIRED && isCommon(pair) ? pair : undefined;
    return { latent, nFired, match: found?.b, correlation: found?.correlation };
  });
  const known = matches.flatMap(({ correlation }) => (correlation === undefined ? [] : [correlation]));
  return {
    nTokens: sums.nTokens,
    matches,
    median: medianOf(known),
    interval: medianInterval(known),
    nWithout: matches.length - known.length,
  };
}

/** The middle value, or the mean of the two; undefined of nothing. */
export function medianOf(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  const sorted = values.toSorted((x, y) => x - y);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

/** Percentile interval of 95 % of the median, by resampling the values; undefined of fewer than {@link MIN_BLOCKS}. */
export function medianInterval(values: readonly number[], seed = 0): Interval | undefined {
  if (values.length < MIN_BLOCKS) return undefined;
  const random = new Random(hashSeed(seed, 'median'));
  const drawn = new Float64Array(values.length);
  const medians = Float64Array.from({ length: RESAMPLES }, () => {
    for (let i = 0; i < drawn.length; i++) drawn[i] = values[random.integer(values.length)];
    drawn.sort();
    return (drawn[(drawn.length - 1) >> 1] + drawn[drawn.length >> 1]) / 2;
  });
  return quantiles(medians);
}
