import type { TokenSet } from '../corpus/index.ts';
import { decode, type Dictionary, encode } from '../dictionary/index.ts';
import { isInterruption, MonosemeError, throwIfAborted } from '../errors.ts';
import type { KernelBackend } from '../kernels/contract.ts';
import type { ModelBatch, ModelRunner, Outcomes } from '../model/index.ts';
import { hashSeed } from '../random/index.ts';
import { bootstrapIntervals, type Interval, MIN_BLOCKS } from './bootstrap.ts';
import { densityIntervals, MAX_DENSITY_BLOCKS } from './density-intervals.ts';
import { type DensityClusters, densityClusters } from './clusters.ts';
import { type DirectionFigures, directionFigures } from './directions.ts';
import { downstreamFigures, reconstructionFigures, type TokenCounts, type TokenFigures } from './figures.ts';
import { type ProgressFile, readProgress, removeProgress, writeProgress } from './progress-file.ts';
import { type DensityFigures, densityFigures, ReconstructionSums, totalVariance } from './reconstruction.ts';
import { addRow, COLUMN, N_COLUMNS, type Sums, sumsOf } from './sums.ts';
import { type TokenGroups, tokenGroups } from './token-groups.ts';

/** Contexts whose activations are in memory at once: 4,096 tokens at the usual 256. */
const CONTEXTS_PER_BATCH = 16;
/** Contexts from which the mean activation is taken, spread evenly over the text: some 32,000 tokens. */
const MEAN_CONTEXTS = 128;
/** Running the model on costs three times as much as all else, and this many tokens make its figures precise. */
const DOWNSTREAM_TOKENS = 131_072;
const SAVE_INTERVAL_MS = 20_000;

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

/** Sums of the tokens so far, in groups; tables are [groups, N_COLUMNS]. */
interface Tally {
  readonly sums: ReconstructionSums;
  readonly blocks: Float64Array;
  readonly positions: Float64Array;
  readonly sources: Float64Array;
  /** [density blocks, dSae]: tokens on which a latent is active; and the tokens of each block. */
  readonly blockFired: Float64Array;
  readonly blockTokens: Float64Array;
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
  await measureAll(input, groups, mean, tally);
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

/** Go through the text, from where an earlier run stopped; save now and then, and when interrupted. */
async function measureAll(
  input: EvaluateInput,
  groups: TokenGroups,
  mean: Float32Array,
  tally: Tally,
): Promise<void> {
  const { tokens, signal, progressFile, onProgress } = input;
  const { sums, ...tables } = tally;
  const { total, sumX, firedTokens } = sums;
  const arrays = { total, sumX, firedTokens, ...tables };
  let context = progressFile ? await readProgress(progressFile, arrays) : 0;
  let savedAt = performance.now();
  try {
    while (context < tokens.nContexts) {
      throwIfAborted(signal);
      const end = Math.min(context + CONTEXTS_PER_BATCH, tokens.nContexts);
      await addContexts(input, groups, mean, tally, [context, end]);
      context = end;
      onProgress?.(context * tokens.contextSize, tokens.tokens.length);
      if (!progressFile || performance.now() - savedAt < SAVE_INTERVAL_MS) continue;
      await writeProgress(progressFile, arrays, context);
      savedAt = performance.now();
    }
  } catch (error) {
    if (progressFile && isInterruption(error)) await writeProgress(progressFile, arrays, context);
    throw error;
  }
}

async function addContexts(
  { dictionary, backend, runner, tokens, downstreamTokens = DOWNSTREAM_TOKENS }: EvaluateInput,
  groups: TokenGroups,
  mean: Float32Array,
  { sums, blocks, positions, sources, blockFired, blockTokens }: Tally,
  [first, end]: readonly [number, number],
): Promise<void> {
  const { contextSize } = tokens;
  const start = first * contextSize;
  const batch = await runner.openBatch(tokens.tokens.subarray(start, end * contextSize), contextSize);
  try {
    const x = batch.activations;
    const codes = await encode(dictionary, backend, x, x.length / mean.length);
    const reconstructions = await decode(dictionary, backend, codes, x);
    const isChosen = evenlySpread(tokens.nContexts, Math.ceil(downstreamTokens / contextSize));
    const chosen = Array.from({ length: end - first }, (_, i) => i).filter((i) => isChosen(first + i));
    const fillRow = await downstream(batch, chosen, reconstructions, mean, contextSize);
    sums.add(x, reconstructions, codes, (row, token) => {
      fillRow(row, token);
      const block = Math.floor((groups.blockOf[start + token] * blockTokens.length) / groups.nBlocks);
      blockTokens[block]++;
      for (let pair = codes.rowPointers[token]; pair < codes.rowPointers[token + 1]; pair++)
        blockFired[block * codes.dSae + codes.latentIndices[pair]]++;
      addRow(blocks, groups.blockOf[start + token], row, 0);
      addRow(positions, groups.positionOf[token % contextSize], row, 0);
      addRow(sources, groups.sourceOf[start + token], row, 0);
    });
  } finally {
    await batch.close();
  }
}

const EDITS = ['Reconstructed', 'ZeroAblated', 'MeanAblated'] as const;

/** Whether item i is among about `wanted` of `n`, spread evenly; all when there are no more. */
function evenlySpread(n: number, wanted: number): (i: number) => boolean {
  const share = Math.min(1, wanted / n);
  return (i) => Math.floor((i + 1) * share) > Math.floor(i * share);
}

/** Run the model on from the three edits of the chosen contexts; what it says of a token goes into the token's row. */
async function downstream(
  batch: ModelBatch,
  chosen: readonly number[],
  reconstructions: Float32Array,
  mean: Float32Array,
  contextSize: number,
): Promise<(row: Float64Array, token: number) => void> {
  const n = chosen.length;
  const size = contextSize * mean.length;
  const edited = new Float32Array(EDITS.length * n * size);
  chosen.forEach((context, i) => {
    edited.set(reconstructions.subarray(context * size, (context + 1) * size), i * size);
    for (let at = (2 * n + i) * size; at < (2 * n + i + 1) * size; at += mean.length) edited.set(mean, at);
  });
  const contexts = Uint32Array.from({ length: EDITS.length * n }, (_, i) => chosen[i % n]);
  const outcomes = n === 0 ? undefined : await batch.outcomes(edited, { contexts });
  const places = new Map(chosen.map((context, i) => [context, i]));
  return (row, token) => {
    row.fill(0, COLUMN.downstream);
    const position = token % contextSize;
    const place = places.get(Math.floor(token / contextSize));
    if (place !== undefined) outcomeRow(row, outcomes!, [place, n], position, contextSize);
  };
}

/** Write what the model says of one position of context `place` of `n` into `row`. */
function outcomeRow(
  row: Float64Array,
  outcomes: Outcomes,
  [place, n]: readonly [number, number],
  position: number,
  contextSize: number,
): void {
  const nTargets = contextSize - 1;
  row[COLUMN.downstream] = 1;
  EDITS.forEach((edit, e) => {
    const at = e * n + place;
    row[COLUMN[`kl${edit}`]] = outcomes.divergences[at * contextSize + position];
    row[COLUMN[`agree${edit}`]] = outcomes.agreements[at * contextSize + position];
    if (position < nTargets) row[COLUMN[`loss${edit}`]] = outcomes.losses[at * nTargets + position];
  });
  if (position === nTargets) return;
  row[COLUMN.predictions] = 1;
  row[COLUMN.loss] = outcomes.originalLosses[place * nTargets + position];
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
  return `No confidence intervals: the text has ${nDocuments} documents, and ${MIN_BLOCKS} are needed.`;
}
