import { encode } from '../dictionary/index.ts';
import type { Tokenizer } from '../corpus/index.ts';
import { MonosemeError } from '../errors.ts';
import type { Codes } from '../kernels/contract.ts';
import { absorptionOf, decoderCosines } from './absorbed.ts';
import { codeColumns, largestPlaces } from './code-columns.ts';
import { type BenchmarkSubject, lastActivations } from './examples.ts';
import { LETTERS, letterPrompts, type LetterWord, vocabularyWords } from './first-letters.ts';
import { fitProbe, type Probe, probeScore } from './probe.ts';
import { sparseLogistic } from './sparse-logistic.ts';
import { turn } from './turn.ts';

/** As SAEBench 0.6.0 has them. */
const L1 = 0.01;
const MAX_MAIN_LATENTS = 10;
const F1_JUMP = 0.03;
const MIN_PROBE_F1 = 0.6;
/** SAEBench takes a model for unfit when it has fewer letters. */
export const ENOUGH_LETTERS = 20;
/** One word in five is for testing. */
const TEST_SHARE = 0.2;
/** Words of a letter that a probe needs on either side. */
const MIN_WORDS = 5;

export interface LetterAbsorption {
  readonly letter: string;
  /** F1 of the probe on the activation; below 0.6 the letter does not count. */
  readonly probeF1: number;
  readonly counts: boolean;
  /** The latents of the letter, best first. */
  readonly mainLatents: readonly number[];
  /** F1 of a probe on these latents alone. */
  readonly latentF1: number;
  /** Test words of the letter that the probe finds; the two shares are of them. */
  readonly nFound: number;
  readonly fraction: number;
  readonly full: number;
}

export interface LetterAbsorptions {
  readonly nWords: number;
  readonly letters: readonly LetterAbsorption[];
  /** Means over the letters that count; undefined when there are none. */
  readonly meanFraction: number | undefined;
  readonly meanFull: number | undefined;
  /** Mean number of main latents beyond the first: a letter split over several. */
  readonly meanSplits: number | undefined;
}

export interface AbsorptionOptions {
  /** Words of the vocabulary, at most. */
  readonly words: number;
  /** Lines of examples before the word. */
  readonly nExamples: number;
  readonly seed: number;
}

/**
 * Feature absorption by first letters: where a latent for "begins with s" stays silent on some words, because a latent of
 * the word itself carries the letter's direction. From the vocabulary alone.
 *
 * Source  Chanin et al. 2024; SAEBench 0.6.0; see docs/evaluation.md for the differences
 * @throws {MonosemeError} ERR_TOKENIZER when too few tokens are words of Latin letters, ERR_INTERRUPTED
 */
export async function firstLetterAbsorption(
  subject: BenchmarkSubject,
  tokenizer: Tokenizer,
  { words: limit, nExamples, seed }: AbsorptionOptions,
): Promise<LetterAbsorptions> {
  const { dictionary, backend } = subject;
  const words = vocabularyWords(tokenizer, limit, seed);
  const x = await lastActivations(subject, letterPrompts(tokenizer, words, nExamples, seed));
  const codes = await encode(dictionary, backend, x, words.length);
  return letterAbsorption(subject, words, x, codes);
}

/**
 * The same from activations of words.
 *
 * @param x [words.length, dIn]: activation at each word; the last fifth of the words is for testing
 * @param codes its latent activations
 */
export async function letterAbsorption(
  { dictionary, signal }: Pick<BenchmarkSubject, 'dictionary' | 'signal'>,
  words: readonly LetterWord[],
  x: Float32Array,
  codes: Codes,
): Promise<LetterAbsorptions> {
  const nTrain = Math.ceil((1 - TEST_SHARE) * words.length);
  const all = Uint32Array.from(words.keys());
  const [train, test] = [all.subarray(0, nTrain), all.subarray(nTrain)];
  const letters: LetterAbsorption[] = [];
  for (const [letter, name] of Array.from(LETTERS).entries()) {
    await turn(signal);
    const isOf = (rows: Uint32Array) =>
      Uint8Array.from(rows, (row) => (words[row].letter === letter ? 1 : 0));
    const [ownTrain, ownTest] = [isOf(train), isOf(test)];
    const sum = (flags: Uint8Array) => flags.reduce((total, one) => total + one, 0);
    if (Math.min(sum(ownTrain), sum(ownTest)) < MIN_WORDS) continue;
    const width = dictionary.config.dIn;
    const probe = fitProbe('logistic', { x, width, rows: train, isPositive: ownTrain, balanced: true });
    const probeF1 = f1Of(ownTest, (i) => probeScore(probe, x, test[i]) > 0);
    const main = mainLatents(codes, { train, ownTrain, test, ownTest });
    const found = test.filter((row, i) => ownTest[i] === 1 && probeScore(probe, x, row) > 0);
    const absorbed = absorptions(
      found,
      probe,
      x,
      codes,
      decoderCosines(probe.weights, dictionary),
      main.latents,
    );
    const counts = probeF1 > MIN_PROBE_F1 && found.length > 0;
    const share = (value: (of: { fraction: number; isFull: boolean }) => number) =>
      found.length === 0 ? 0 : absorbed.reduce((total, of) => total + value(of), 0) / found.length;
    letters.push({
      ...{ letter: name, probeF1, counts, mainLatents: main.latents, latentF1: main.f1 },
      ...{ nFound: found.length, fraction: share(({ fraction }) => fraction) },
      full: share(({ isFull }) => (isFull ? 1 : 0)),
    });
  }
  if (letters.length === 0)
    throw new MonosemeError(
      'ERR_TOKENIZER',
      `Of ${words.length} tokens that are words of Latin letters, no letter begins ${MIN_WORDS} for testing.`,
      'First letters need a vocabulary of such words, and more of them (--words).',
    );
  const counted = letters.filter(({ counts }) => counts);
  const mean = (value: (letter: LetterAbsorption) => number) =>
    counted.length === 0 ? undefined : counted.reduce((sum, of) => sum + value(of), 0) / counted.length;
  return {
    ...{ nWords: words.length, letters },
    meanFraction: mean(({ fraction }) => fraction),
    meanFull: mean(({ full }) => full),
    meanSplits: mean(({ mainLatents: { length } }) => length - 1),
  };
}

function absorptions(
  found: Uint32Array,
  probe: Probe,
  x: Float32Array,
  codes: Codes,
  cosines: Float64Array,
  main: readonly number[],
) {
  const length = Math.sqrt(probe.weights.reduce((sum, value) => sum + value * value, 0));
  return Array.from(found, (row) => {
    const pairs = [codes.rowPointers[row], codes.rowPointers[row + 1]] as const;
    const projection = (probeScore(probe, x, row) - probe.bias) / length;
    return absorptionOf(
      codes.latentIndices.subarray(...pairs),
      codes.values.subarray(...pairs),
      cosines,
      new Set(main),
      projection,
    );
  });
}

/**
 * The latents of a letter: the k with the largest positive weights of an L1 probe, k growing as long as each more raises the
 * F1 of a probe on the k by over 0.03.
 */
function mainLatents(
  codes: Codes,
  {
    train,
    ownTrain,
    test,
    ownTest,
  }: Record<'train' | 'test', Uint32Array> & Record<'ownTrain' | 'ownTest', Uint8Array>,
): { latents: number[]; f1: number } {
  const weights = sparseLogistic(codes, train, ownTrain, L1);
  const candidates = largestPlaces(weights, MAX_MAIN_LATENTS, (weight) => weight > 0);
  let best: { latents: number[]; f1: number } = { latents: [], f1: 0 };
  for (let k = 1; k <= candidates.length; k++) {
    const latents = candidates.slice(0, k);
    const x = codeColumns(codes, latents);
    const probe = fitProbe('logistic', { x, width: k, rows: train, isPositive: ownTrain, balanced: true });
    const f1 = f1Of(ownTest, (i) => probeScore(probe, x, test[i]) > 0);
    if (k > 1 && f1 <= best.f1 + F1_JUMP) break;
    best = { latents, f1 };
  }
  return best;
}

/** 2 · both / (said + true); 0 where both are none. */
function f1Of(isTrue: Uint8Array, says: (i: number) => boolean): number {
  let [both, either] = [0, 0];
  isTrue.forEach((truth, i) => {
    const said = says(i) ? 1 : 0;
    both += said & truth;
    either += said + truth;
  });
  return either === 0 ? 0 : (2 * both) / either;
}
