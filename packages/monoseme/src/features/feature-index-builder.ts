import type { TokenSequence } from '../corpus/index.ts';
import { MonosemeError } from '../errors.ts';
import type { Codes, KernelBackend } from '../kernels/contract.ts';
import { ActivationHistogram } from './activation-histogram.ts';
import { ActivationMoments } from './activation-moments.ts';
import { ActivationSamples } from './activation-samples.ts';
import { chooseExamples, type Example, type ExampleCounts } from './choose-examples.ts';
import { CoActivation } from './co-activation.ts';
import type { Counts, GatheredArrays } from './index-checkpoint.ts';
import { KeptCodes } from './kept-codes.ts';
import { NearMisses } from './near-misses.ts';
import { type CorrelatedNeurons, NeuronCorrelation } from './neuron-correlation.ts';
import { LatentSorter } from './runs-by-latent.ts';
import { expectLength } from '../tensor/index.ts';
import { TokenMass } from './token-mass.ts';

export interface BuilderOptions extends ExampleCounts {
  readonly dSae: number;
  readonly dIn: number;
  readonly contextSize: number;
  readonly seed: number;
  /** Texts on which the latent stays silent. */
  readonly nNearMisses: number;
  /** Tokens on each side of an example whose activations are stored. */
  readonly windowRadius: number;
}

/** Random firings from which the examples of the fifths are drawn, beside those that are shown as random. */
const SPARE_RANDOM = 18;

/** The paper's 12 intervals beside the top 20; how many examples an interval shows is ours. */
export const DEFAULT_EXAMPLES = {
  nTop: 20,
  nIntervals: 12,
  perInterval: 4,
  perFifth: 2,
  nRandom: 6,
  nNearMisses: 5,
  windowRadius: 16,
} as const;

/**
 * Everything the index says about how latents fire, gathered in one pass over encoded text.
 *
 * Feed it the codes of the corpus in order with {@link addBatch}, then read it latent by latent. Memory depends on
 * the number of latents (see {@link FeatureIndexBuilder.bytesPerLatent}), not on the length of the text; about
 * 25 ns a pair on one core.
 */
export class FeatureIndexBuilder {
  readonly moments: ActivationMoments;
  readonly histogram: ActivationHistogram;
  readonly tokenMass: TokenMass;
  readonly #samples: ActivationSamples;
  readonly #correlation: NeuronCorrelation;
  readonly #kept: KeptCodes;
  #nearMisses: NearMisses | undefined;
  readonly #sorter = new LatentSorter();
  readonly #tokens: TokenSequence;
  readonly #options: BuilderOptions;
  #nTokens = 0;

  /** @param tokens [nContexts · contextSize]: the corpus, which the builder reads but does not copy */
  constructor(tokens: TokenSequence, options: BuilderOptions) {
    checkOptions(tokens, options);
    const { dSae, dIn, contextSize, seed, windowRadius: radius } = options;
    const nRandom = options.nRandom + SPARE_RANDOM;
    this.#tokens = tokens;
    this.#options = options;
    this.moments = new ActivationMoments(dSae, contextSize);
    this.histogram = new ActivationHistogram(dSae);
    this.tokenMass = new TokenMass(dSae);
    this.#samples = new ActivationSamples(tokens, { ...options, nRandom, radius });
    this.#correlation = new NeuronCorrelation(dSae, dIn, seed);
    this.#kept = new KeptCodes(dSae, tokens.length);
  }

  static bytesPerLatent({ nTop, nRandom, windowRadius, dIn }: BuilderOptions): number {
    const moments = 8 * 6 + 4;
    return (
      moments +
      ActivationHistogram.bytesPerLatent +
      TokenMass.bytesPerLatent +
      NeuronCorrelation.bytesPerLatent(dIn) +
      ActivationSamples.bytesPerLatent(nTop, nRandom + SPARE_RANDOM, windowRadius)
    );
  }

  /** All that was gathered so far, for a checkpoint; beside it {@link FeatureIndexBuilder.counts}. */
  arrays(nPairs?: number): GatheredArrays {
    const parts = {
      moments: this.moments.arrays(),
      histogram: this.histogram.arrays(),
      tokenMass: this.tokenMass.arrays(),
      samples: this.#samples.arrays(),
      correlation: this.#correlation.arrays(),
      kept: this.#kept.arrays(nPairs),
    };
    return Object.fromEntries(
      Object.entries(parts).flatMap(([part, arrays]) =>
        Object.entries(arrays).map(([name, array]) => [`${part}.${name}`, array]),
      ),
    );
  }

  get counts(): Counts {
    const { nTokens, nPairs } = this.#kept;
    return { nTokens: this.#nTokens, nTokensKept: nTokens, nPairsKept: nPairs };
  }

  /** A builder that has seen nothing takes the counts of a checkpoint. @returns the arrays to fill from it */
  resume({ nTokens, nTokensKept, nPairsKept }: Counts): GatheredArrays {
    this.#nTokens = nTokens;
    this.#kept.resume(nTokensKept, nTokensKept < nTokens);
    return this.arrays(nPairsKept);
  }

  /** Tokens seen so far. */
  get nTokens(): number {
    return this.#nTokens;
  }

  /**
   * Add the codes of the next tokens of the corpus.
   *
   * @param codes whole contexts; every value > 0 is a firing
   * @param x [nRows, dIn]: the activations that were encoded
   * @param firstToken corpus index of the first row: batches come in order, without gaps
   * @throws {MonosemeError} ERR_SHAPE, ERR_NOT_FINITE
   */
  addBatch(codes: Codes, x: Float32Array, firstToken: number): void {
    this.#checkBatch(codes, firstToken);
    expectLength('The activations', x, codes.nRows, this.#options.dIn);
    this.#correlation.addRows(x, firstToken);
    const { starts, positions, values } = this.#sorter.sort(codes, firstToken);
    const tokens = this.#tokens.subarray(firstToken, firstToken + codes.nRows);
    const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
    for (let latent = 0; latent < this.#options.dSae; latent++) {
      const start = starts[latent];
      const end = starts[latent + 1];
      if (start === end) continue;
      const nBefore = this.moments.nFired[latent];
      this.#correlation.addRun(latent, nBefore, x, firstToken, positions, values, start, end);
      this.moments.addRun(latent, positions, values, start, end);
      const max = this.moments.max[latent];
      this.histogram.addRun(latent, bits, start, end, max);
      this.#samples.addRun(latent, positions, values, start, end, max);
      this.tokenMass.addRun(latent, tokens, firstToken, positions, values, start, end);
    }
    this.#kept.add(codes);
    this.#nTokens += codes.nRows;
  }

  /** Examples of a latent's firing, see {@link chooseExamples}; none if it never fired. */
  firingExamples(latent: number): Example[] {
    const max = this.moments.max[latent];
    if (!(max > 0)) return [];
    const fifths = [0.2, 0.4, 0.6, 0.8].map((q) => this.histogram.quantile(latent, q, max));
    return chooseExamples(this.#samples, latent, max, this.#options.contextSize, this.#options, fifths);
  }

  /** The same, and behind them its near misses. */
  examples(latent: number): Example[] {
    const { contextSize, windowRadius, nNearMisses } = this.#options;
    const examples = this.firingExamples(latent);
    if (examples.length === 0) return [];
    this.#nearMisses ??= new NearMisses(this.#tokens, this.#kept, contextSize, windowRadius);
    return [...examples, ...this.#nearMisses.of(latent, this.tokenMass.of(latent), examples, nNearMisses)];
  }

  /** What fires beside each latent. */
  coActivation(backend: KernelBackend): CoActivation {
    return new CoActivation(backend, this.#kept, this.#options.contextSize);
  }

  correlatedNeurons(latent: number, n: number): CorrelatedNeurons {
    return this.#correlation.of(latent, this.moments, this.#nTokens, n);
  }

  /** Tokens that near misses look at. */
  get nTokensKept(): number {
    return this.#kept.nTokens;
  }

  #checkBatch(codes: Codes, firstToken: number): void {
    const { dSae, contextSize } = this.#options;
    const fits =
      codes.dSae === dSae &&
      firstToken === this.#nTokens &&
      codes.nRows % contextSize === 0 &&
      firstToken + codes.nRows <= this.#tokens.length;
    if (fits) return;
    throw new MonosemeError(
      'ERR_SHAPE',
      `Codes of ${codes.nRows} rows and ${codes.dSae} latents at token ${firstToken} do not continue an index of ` +
        `${dSae} latents at token ${this.#nTokens} of ${this.#tokens.length}.`,
      `Pass whole contexts of ${contextSize} tokens, in the order of the corpus.`,
    );
  }
}

function checkOptions(tokens: TokenSequence, options: BuilderOptions): void {
  const limits: Record<Exclude<keyof BuilderOptions, 'seed'>, [number, number]> = {
    dSae: [1, 2 ** 24],
    contextSize: [1, 2 ** 24],
    nTop: [1, 200],
    nIntervals: [1, 12],
    dIn: [1, 2 ** 24],
    perInterval: [0, 10],
    perFifth: [0, 10],
    nNearMisses: [0, 20],
    nRandom: [0, 100],
    windowRadius: [0, 127],
  };
  for (const [name, [least, most]] of Object.entries(limits)) {
    const value = options[name as keyof typeof limits];
    if (Number.isInteger(value) && value >= least && value <= most) continue;
    throw new MonosemeError(
      'ERR_OPTION',
      `${name} is ${value}.`,
      `It takes a whole number from ${least} to ${most}.`,
    );
  }
  if (tokens.length % options.contextSize !== 0 || tokens.length >= 2 ** 31)
    throw new MonosemeError(
      'ERR_SHAPE',
      `The corpus has ${tokens.length} tokens.`,
      `It takes whole contexts of ${options.contextSize} tokens, fewer than 2^31 in all.`,
    );
}
