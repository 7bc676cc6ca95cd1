import { columnsOf, gatherRows, sideBySide } from '../activations/index.ts';
import { decode, encode } from '../dictionary/index.ts';
import { GOES_ON, interrupted, isInterruption, throwIfAborted } from '../errors.ts';
import type { Codes } from '../kernels/contract.ts';
import type { ModelBatch, Outcomes } from '../model/index.ts';
import type { EvaluateInput } from './evaluate.ts';
import type { Tally } from './evaluation-report.ts';
import type { MeasuredRows } from './measured-rows.ts';
import { readProgress, writeProgress } from './progress-file.ts';
import { addRow, COLUMN } from './sums.ts';
import type { TokenGroups } from './token-groups.ts';

/** Contexts whose activations are in memory at once: 4,096 tokens at the usual 256. */
export const CONTEXTS_PER_BATCH = 16;
/** Running the model on costs three times as much as all else, and this many tokens make its figures precise. */
const DOWNSTREAM_TOKENS = 131_072;
const SAVE_INTERVAL_MS = 20_000;

/** What the measurement compares with, and of which rows it is. */
interface Terms {
  readonly measured: MeasuredRows;
  /** [dIn]: the mean activation. */
  readonly mean: Float32Array;
}

/**
 * Go through the text, from where an earlier run stopped; save now and then, and when interrupted.
 *
 * While contexts are encoded, the model reads the next ones and runs on from the edits of those before.
 */
export async function measureContexts(
  input: EvaluateInput,
  groups: TokenGroups,
  terms: Terms,
  tally: Tally,
): Promise<void> {
  const { tokens, signal, progressFile, onProgress } = input;
  const { sums, ...tables } = tally;
  const { total, sumX, firedTokens } = sums;
  const arrays = { total, sumX, firedTokens, ...tables };
  let done = progressFile ? await readProgress(progressFile, arrays) : 0;
  let savedAt = performance.now();
  const finish = async (part: EncodedContexts): Promise<void> => {
    await addContexts(input, groups, terms.mean, tally, part);
    done = part.end;
    onProgress?.(done * tokens.contextSize, tokens.tokens.length);
    if (!progressFile || performance.now() - savedAt < SAVE_INTERVAL_MS) return;
    await writeProgress(progressFile, arrays, done);
    savedAt = performance.now();
  };
  let ahead = openContexts(input, done);
  let finishing = Promise.resolve();
  try {
    for (let first = done; first < tokens.nContexts; first += CONTEXTS_PER_BATCH) {
      throwIfAborted(signal);
      const batch = await ahead;
      ahead = openContexts(input, first + CONTEXTS_PER_BATCH);
      const part = await encodeContexts(input, terms.measured, batch!, first);
      await finishing;
      finishing = finish(part);
      // Its failure is seen where it is awaited.
      finishing.catch(() => {});
    }
    await finishing;
  } catch (error) {
    await Promise.allSettled([finishing]);
    await (await ahead.catch(() => undefined))?.close();
    if (!progressFile || !isInterruption(error)) throw error;
    await writeProgress(progressFile, arrays, done);
    throw interrupted(GOES_ON);
  }
}

/** What the model read, encoded and decoded: contexts from `first` on, before `end`. */
interface EncodedContexts {
  readonly batch: ModelBatch;
  /** The rows of the batch that are measured, rising; `codes` and what follows are of these. */
  readonly rows: Uint32Array;
  readonly x: Float32Array;
  readonly codes: Codes;
  readonly reconstructions: Float32Array;
  readonly first: number;
  readonly end: number;
}

/** Let the model read the batch of contexts from `first` on; undefined behind the last. */
async function openContexts(
  { runner, tokens }: EvaluateInput,
  first: number,
): Promise<ModelBatch | undefined> {
  const { contextSize, nContexts } = tokens;
  if (first >= nContexts) return undefined;
  const end = Math.min(first + CONTEXTS_PER_BATCH, nContexts);
  return runner.openBatch(tokens.tokens.subarray(first * contextSize, end * contextSize), contextSize);
}

async function encodeContexts(
  input: EvaluateInput,
  measured: MeasuredRows,
  batch: ModelBatch,
  first: number,
): Promise<EncodedContexts> {
  const { dictionary, backend, runner, tokens } = input;
  const { part, runners } = input.crosscoder ?? { part: 0, runners: [runner] };
  const widths = runners.map(({ dIn }) => dIn);
  const end = first + batch.activations.length / (runner.dIn * tokens.contextSize);
  const rows = measured.in(batch.activations, first);
  const sources = (await sourceRows(input, batch, [first, end])).map((source, i) =>
    gatherRows(source, widths[i], rows),
  );
  const read = sideBySide(sources, widths);
  const codes = await encode(dictionary, backend, read, rows.length);
  const reconstructions = columnsOf(await decode(dictionary, backend, codes, read), widths, part);
  return { batch, rows, x: sources[part], codes, reconstructions, first, end };
}

/** The activations of contexts at every source of a crosscoder, or at the one hook point. */
async function sourceRows(
  { tokens: { tokens, contextSize }, crosscoder }: EvaluateInput,
  batch: ModelBatch,
  [first, end]: readonly [number, number],
): Promise<Float32Array[]> {
  if (!crosscoder) return [batch.activations];
  const { part, runners } = crosscoder;
  const contexts = tokens.subarray(first * contextSize, end * contextSize);
  return Promise.all(
    runners.map((runner, i) => (i === part ? batch.activations : runner.activations(contexts, contextSize))),
  );
}

async function addContexts(
  { tokens, downstreamTokens = DOWNSTREAM_TOKENS }: EvaluateInput,
  groups: TokenGroups,
  mean: Float32Array,
  { sums, blocks, positions, sources, blockFired, blockTokens }: Tally,
  part: EncodedContexts,
): Promise<void> {
  const { contextSize } = tokens;
  const { batch, rows, x, codes, reconstructions, first, end } = part;
  const start = first * contextSize;
  try {
    const isChosen = evenlySpread(tokens.nContexts, Math.ceil(downstreamTokens / contextSize));
    const chosen = Array.from({ length: end - first }, (_, i) => i).filter((i) => isChosen(first + i));
    const fillRow = await downstream(part, chosen, mean, contextSize);
    sums.add(x, reconstructions, codes, (row, measured) => {
      const token = rows[measured];
      fillRow(row, token);
      const block = Math.floor((groups.blockOf[start + token] * blockTokens.length) / groups.nBlocks);
      blockTokens[block]++;
      for (let pair = codes.rowPointers[measured]; pair < codes.rowPointers[measured + 1]; pair++)
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
  { batch, rows, reconstructions }: EncodedContexts,
  chosen: readonly number[],
  mean: Float32Array,
  contextSize: number,
): Promise<(row: Float64Array, token: number) => void> {
  const n = chosen.length;
  const width = mean.length;
  const size = contextSize * width;
  const edited = new Float32Array(EDITS.length * n * size);
  const places = new Map(chosen.map((context, i) => [context, i]));
  chosen.forEach((context, i) => {
    const own = batch.activations.subarray(context * size, (context + 1) * size);
    for (let edit = 0; edit < EDITS.length; edit++) edited.set(own, (edit * n + i) * size);
  });
  rows.forEach((row, measured) => {
    const place = places.get(Math.floor(row / contextSize));
    if (place === undefined) return;
    const at = (place * contextSize + (row % contextSize)) * width;
    edited.set(reconstructions.subarray(measured * width, (measured + 1) * width), at);
    edited.fill(0, n * size + at, n * size + at + width);
    edited.set(mean, 2 * n * size + at);
  });
  const contexts = Uint32Array.from({ length: EDITS.length * n }, (_, i) => chosen[i % n]);
  const outcomes = n === 0 ? undefined : await batch.outcomes(edited, { contexts });
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
