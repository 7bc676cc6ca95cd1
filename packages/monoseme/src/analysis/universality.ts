import { type Interval, MIN_BLOCKS } from '../evaluation/index.ts';
import { totalRows } from '../activations/index.ts';
import { type CodedText, codedChunks, codesOfDense, type Pass } from './coded-text.ts';
import { neurons } from './controls.ts';
import type { Pair, PairSums } from './pair-sums.ts';
import { PairSummer } from './pair-summer.ts';
import { inStep, segmentCodes } from './segment-codes.ts';
import type { Segments } from './segments.ts';

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
  /** Tokens compared; pieces of text, where the tokenizers differ. */
  readonly nTokens: number;
  /** One entry a latent of the first dictionary, in order. */
  readonly matches: readonly Match[];
  /** Of the correlations there are; undefined without any. */
  readonly median: number | undefined;
  /** 95 %, over latents; undefined with fewer than {@link MIN_BLOCKS} matches. */
  readonly interval: Interval | undefined;
  /** Latents without a match: too rarely active, or alone. */
  readonly nWithout: number;
}

/** Tokens, about, on which neurons are compared: they are few, and all of them fire often. */
const NEURON_TOKENS = 2 ** 17;

/** The latents of a with those of b, and a's neurons with b's. */
export interface UniversalityWithNeurons {
  readonly latents: Universality;
  readonly neurons: Universality;
}

/**
 * How well the latents of one dictionary are found again in another: for each, the largest Pearson correlation of
 * activations over the same tokens; the same for the neurons that they read, on some 131,000 tokens spread over the
 * text. One pass.
 *
 * Source  Bricken et al. 2023, universality: the median over A/1 of the best match in B/1 is 0.72, of neurons 0.46
 * @throws {MonosemeError} ERR_MISMATCH, ERR_INTERRUPTED
 */
export async function universality(a: CodedText, b: CodedText, pass: Pass): Promise<UniversalityWithNeurons> {
  const summer = productsOf(pass, a.dictionary.config.dSae, b.dictionary.config.dSae);
  const cells = productsOf(pass, a.source.dIn, b.source.dIn);
  const step = Math.max(1, Math.floor(totalRows(a.source) / NEURON_TOKENS));
  let chunk = 0;
  for await (const { codes, activations } of codedChunks([a, b], pass)) {
    await summer.add(codes[0], codes[1]);
    if (chunk++ % step !== 0) continue;
    const [ofA, ofB] = [a, b].map(({ source }, i) =>
      codesOfDense(activations[i], codes[0].nRows, source.dIn),
    );
    await cells.add(ofA, ofB);
  }
  return {
    latents: universalityOf(await summer.finish()),
    neurons: universalityOf(await cells.finish()),
  };
}

/**
 * The same for models with different tokenizers: over pieces of text instead of tokens ({@link alignTokens}), a latent
 * being as active on a piece as on the token of it where it is most active. Neurons are compared on the first 131,000
 * pieces, in a second pass.
 *
 * With one tokenizer it differs from {@link universality} only in that special tokens take no part.
 *
 * @throws {MonosemeError} ERR_MISMATCH, ERR_INTERRUPTED
 */
export async function universalityBySegment(
  texts: readonly [CodedText, CodedText],
  { ofTokens }: Segments,
  pass: Pass,
): Promise<UniversalityWithNeurons> {
  const compare = async ([a, b]: readonly CodedText[], enough: number, { onProgress, ...pass }: Pass) => {
    const summer = productsOf(pass, a.dictionary.config.dSae, b.dictionary.config.dSae);
    const ofA = segmentCodes(a, ofTokens[0], { ...pass, onProgress });
    for await (const [codesA, codesB] of inStep(ofA, segmentCodes(b, ofTokens[1], pass))) {
      await summer.add(codesA, codesB);
      if (summer.nTokens >= enough) break;
    }
    return universalityOf(await summer.finish());
  };
  const cells = texts.map(({ source }) => ({ source, dictionary: neurons(source.dIn) }));
  return {
    latents: await compare(texts, Infinity, pass),
    neurons: await compare(cells, NEURON_TOKENS, { ...pass, onProgress: undefined }),
  };
}

function productsOf({ backend }: Pass, dA: number, dB: number): PairSummer {
  return new PairSummer(backend, dA, dB, { masked: false, counted: false });
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

/**
 * Interval of 95 % of the median of a population of which the values are a sample, between two of them: those at ranks
 * n/2 ± 1.96 · √n/2, outwards (the binomial distribution of how many lie below the median). Undefined of fewer than
 * {@link MIN_BLOCKS}.
 */
export function medianInterval(values: readonly number[]): Interval | undefined {
  const n = values.length;
  if (n < MIN_BLOCKS) return undefined;
  const sorted = values.toSorted((x, y) => x - y);
  const reach = (1.96 * Math.sqrt(n)) / 2;
  return [
    sorted[Math.max(0, Math.floor(n / 2 - reach) - 1)],
    sorted[Math.min(n - 1, Math.ceil(n / 2 + reach))],
  ];
}
