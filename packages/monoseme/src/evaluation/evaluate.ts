import type { TokenSet } from '../corpus/index.ts';
import type { Dictionary } from '../dictionary/index.ts';
import { MonosemeError, throwIfAborted } from '../errors.ts';
import type { KernelBackend } from '../kernels/contract.ts';
import type { ModelRunner } from '../model/index.ts';
import { hashSeed } from '../random/index.ts';
import { bootstrapIntervals, type Interval, MIN_BLOCKS } from './bootstrap.ts';
import { densityIntervals, MAX_DENSITY_BLOCKS } from './density-intervals.ts';
import { type DensityClusters, densityClusters } from './clusters.ts';
import { type DirectionFigures, directionFigures } from './directions.ts';
import { downstreamFigures, reconstructionFigures, type TokenCounts, type TokenFigures } from './figures.ts';
import { CONTEXTS_PER_BATCH, measureContexts, type Tally } from './measure-contexts.ts';
import { type ProgressFile, removeProgress } from './progress-file.ts';
import { type DensityFigures, densityFigures, ReconstructionSums, totalVariance } from './reconstruction.ts';
import { N_COLUMNS, type Sums, sumsOf } from './sums.ts';
import { type TokenGroups, tokenGroups } from './token-groups.ts';

/** Contexts from which the mean activation is taken, spread evenly over the text: some 32,000 tokens. */
const MEAN_CONTEXTS = 128;

/** Figures of some of the tokens. */
export interface GroupFigures {
  /** A source, or a range of positions as `4–7`. */
  readonly name: string;
  readonly counts: TokenCounts;
  /** The explained variance is about the mean of the whole text, so that groups can be compared. */
  readonly figures: TokenFigures;
}

export interface EvaluationReport {
  readonly counts: TokenCounts;
  readonly nDocuments: number;
  readonly figures: TokenFigures & DensityFigures;
  /** 95 % by block bootstrap over documents; undefined with fewer than {@link MIN_BLOCKS} of them. */
  readonly intervals: Partial<Record<keyof (TokenFigures & DensityFigures), Interval>> | undefined;
  readonly byPosition: readonly GroupFigures[];
  readonly bySource: readonly GroupFigures[];
  /** [dSae]: share of tokens on which each latent is active. */
  readonly densities: Float64Array;
  readonly clusters: DensityClusters;
  readonly directions: DirectionFigures;
}

export interface EvaluateInput {
  readonly dictionary: Dictionary;
  readonly backend: KernelBackend;
  /** Started with `suffix: true`. */
  readonly runner: ModelRunner;
  readonly tokens: TokenSet;
  /** Tokens, at most, on which the model is run on from edited activations, spread evenly over the text (131,072). */
  readonly downstreamTokens?: number;
  /** Draws the resamples of the intervals. */
  readonly seed?: number;
  /** Where the sums are kept while the work is unfinished; removed when it is done. */
  readonly progressFile?: ProgressFile;
  readonly signal?: AbortSignal;
  readonly onProgress?: (doneTokens: number, totalTokens: number) => void;
}

/**
 * Measure a dictionary on text that it was not trained on, in one pass.
 *
 * Losses are of the next token, over every position of a context but its last; divergences and agreements over every
 * position, of whole contexts spread evenly over the text. The mean activation, for the mean ablation, is that of up to 128 contexts spread over the text. Memory does
 * not depend on the amount of text, but for its tokens 168 bytes a document and 512 a latent. An interrupted run goes on from
 * `progressFile` and gives the same figures, bit by bit.
 *
 * @throws {MonosemeError} ERR_MISMATCH when dictionary and hook differ in width, ERR_EMPTY_TEXT, ERR_MODEL for a model
 * that takes a fixed number of contexts at once, ERR_INTERRUPTED
 */
export async function evaluateDictionary(input: EvaluateInput): Promise<EvaluationReport> {
  checkInput(input);
  const { dictionary, backend, tokens, signal, progressFile } = input;
  const { dIn, dSae } = dictionary.config;
  const groups = tokenGroups(tokens);
  const mean = await meanActivation(input);
  const nDensityBlocks = Math.min(MAX_DENSITY_BLOCKS, groups.nBlocks);
  const tally: Tally = {
    sums: new ReconstructionSums(dIn, dSae, mean),
    blocks: new Float64Array(groups.nBlocks * N_COLUMNS),
    positions: new Float64Array(groups.positions.length * N_COLUMNS),
    sources: new Float64Array(groups.sources.length * N_COLUMNS),
    blockFired: new Float64Array(nDensityBlocks * dSae),
    blockTokens: new Float64Array(nDensityBlocks),
  };
  await measureContexts(input, groups, mean, tally);
  const directions = await directionFigures(dictionary, backend, signal);
  if (progressFile) await removeProgress(progressFile);
  return report(input, groups, tally, directions);
}

function checkInput({ dictionary, runner, tokens }: EvaluateInput): void {
  const { dIn, targetHookName, sources } = dictionary.config;
  if (targetHookName !== undefined || sources)
    throw new MonosemeError(
      'ERR_OPTION',
      `The dictionary is a ${sources ? 'crosscoder' : 'transcoder'}: it does not reconstruct the one tensor it reads.`,
      'Autoencoders of one hook point are evaluated.',
    );
  if (runner.dIn !== dIn)
    throw new MonosemeError(
      'ERR_MISMATCH',
      `The dictionary reads ${dIn} inputs, but ${runner.hookName} is ${runner.dIn} wide.`,
      'Choose the hook that the dictionary was trained on.',
    );
  if (tokens.nContexts === 0)
    throw new MonosemeError(
      'ERR_EMPTY_TEXT',
      `The text is shorter than one context of ${tokens.contextSize} tokens.`,
      'Give more text.',
    );
}

async function meanActivation({ dictionary, runner, tokens, signal }: EvaluateInput): Promise<Float32Array> {
  const { dIn } = dictionary.config;
  const { contextSize, nContexts } = tokens;
  const n = Math.min(MEAN_CONTEXTS, nContexts);
  const sums = new Float64Array(dIn);
  for (let first = 0; first < n; first += CONTEXTS_PER_BATCH) {
    throwIfAborted(signal);
    const chosen = new Uint32Array(Math.min(CONTEXTS_PER_BATCH, n - first) * contextSize);
    for (let i = 0; i * contextSize < chosen.length; i++) {
      const start = Math.floor(((first + i) * nContexts) / n) * contextSize;
      chosen.set(tokens.tokens.subarray(start, start + contextSize), i * contextSize);
    }
    const x = await runner.activations(chosen, contextSize);
    for (let row = 0; row < x.length; row += dIn) for (let d = 0; d < dIn; d++) sums[d] += x[row + d];
  }
  return Float32Array.from(sums, (sum) => sum / (n * contextSize));
}

function report(
  { seed = 0 }: EvaluateInput,
  groups: TokenGroups,
  { sums, blocks, positions, sources, blockFired, blockTokens }: Tally,
  directions: DirectionFigures,
): EvaluationReport {
  const all = sumsOf(sums.total);
  const variance = totalVariance(all, sums.sumX);
  // The mean of a resample is taken to be that of the text, so its variance is in the same proportion.
  const scale = all.deviations > 0 ? variance / all.deviations : 1;
  const figuresOf = (part: Sums): TokenFigures => ({
    ...reconstructionFigures(part, part.deviations * scale),
    ...downstreamFigures(part),
  });
  const densities = sums.firedTokens.map((fired) => fired / all.tokens);
  const positionName = ([low, high]: readonly [number, number]) =>
    low === high ? `${low}` : `${low}–${high}`;
  const intervals = bootstrapIntervals(blocks, figuresOf, hashSeed(seed, 'bootstrap'));
  const ofDensity = densityIntervals(blockFired, blockTokens, hashSeed(seed, 'density-bootstrap'));
  return {
    counts: countsOf(all),
    nDocuments: groups.nDocuments,
    figures: { ...figuresOf(all), ...densityFigures(sums.firedTokens, all.tokens) },
    intervals: intervals && { ...intervals, ...ofDensity },
    byPosition: byGroup(positions, groups.positions.map(positionName), figuresOf),
    bySource: byGroup(sources, groups.sources, figuresOf),
    densities,
    clusters: densityClusters({ densities, ...directions }),
    directions,
  };
}

function byGroup(
  table: Float64Array,
  names: readonly string[],
  figuresOf: (sums: Sums) => TokenFigures,
): GroupFigures[] {
  return names.map((name, row) => {
    const sums = sumsOf(table, row);
    return { name, counts: countsOf(sums), figures: figuresOf(sums) };
  });
}

function countsOf({ tokens, downstream, predictions }: Sums): TokenCounts {
  return { tokens, downstream, predictions };
}

/** Why a report has no intervals, for people. */
export function intervalNote({ nDocuments }: Pick<EvaluationReport, 'nDocuments'>): string {
  const documents = nDocuments === 1 ? '1 document' : `${nDocuments} documents`;
  return `No confidence intervals: the text has ${documents}, and ${MIN_BLOCKS} are needed.`;
}
