import type { LeftOut } from '../activations/index.ts';
import type { TokenSet } from '../corpus/index.ts';
import type { Dictionary } from '../dictionary/index.ts';
import { MonosemeError, throwIfAborted } from '../errors.ts';
import type { KernelBackend } from '../kernels/contract.ts';
import type { ModelRunner } from '../model/index.ts';
import { MAX_DENSITY_BLOCKS } from './density-intervals.ts';
import { directionFigures } from './directions.ts';
import { emptyTally, type EvaluationReport, evaluationReport } from './evaluation-report.ts';
import { expectReconstructs } from './expect-reconstructs.ts';
import { measureContexts } from './measure-contexts.ts';
import { MeasuredRows } from './measured-rows.ts';
import { type ProgressFile, removeProgress } from './progress-file.ts';
import { positionNames, tokenGroups } from './token-groups.ts';

/** Contexts from which the mean activation is taken, spread evenly over the text: some 32,000 tokens. */
const MEAN_CONTEXTS = 128;

export interface EvaluateInput {
  readonly dictionary: Dictionary;
  readonly backend: KernelBackend;
  /** Started with `suffix: true`. */
  readonly runner: ModelRunner;
  readonly tokens: TokenSet;
  /** Of a crosscoder: the source that is measured, and the runners of all its sources, {@link runner} among them. */
  readonly crosscoder?: { readonly part: number; readonly runners: readonly ModelRunner[] };
  /**
   * Rows that the dictionary is not for: they are in no figure, and stay as the model gives them where it runs on from
   * edited activations.
   */
  readonly leftOut?: LeftOut;
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
 * position, of whole contexts spread evenly over the text. Of a crosscoder all sources are encoded, and one of them is measured, in its
 * model, where the others are as they were. The mean activation, for the mean ablation, is that of up to 128
 * contexts spread over the text. Memory does not depend on the amount of text, but for its tokens 168 bytes a document and 512
 * a latent. An interrupted run goes on from `progressFile` and gives the same figures, bit by bit.
 *
 * @throws {MonosemeError} ERR_MISMATCH when dictionary and hook differ in width, ERR_EMPTY_TEXT, ERR_MODEL for a model
 * that takes a fixed number of contexts at once, ERR_INTERRUPTED
 */
export async function evaluateDictionary(input: EvaluateInput): Promise<EvaluationReport> {
  checkInput(input);
  const { dictionary, backend, tokens, signal, progressFile } = input;
  const { dSae } = dictionary.config;
  const groups = tokenGroups(tokens);
  const measured = await MeasuredRows.of(input.runner, tokens, input.leftOut);
  const mean = await meanActivation(input, measured);
  const tally = emptyTally(mean, dSae, {
    blocks: groups.nBlocks,
    positions: groups.positions.length,
    sources: groups.sources.length,
    densityBlocks: Math.min(MAX_DENSITY_BLOCKS, groups.nBlocks),
  });
  await measureContexts(input, groups, { measured, mean }, tally);
  const directions = await directionFigures(dictionary, backend, signal);
  if (progressFile) await removeProgress(progressFile);
  return evaluationReport(
    {
      nDocuments: groups.nDocuments,
      positions: positionNames(groups.positions),
      sources: groups.sources,
      nLeftOut: tokens.tokens.length - tally.sums.nTokens,
      seed: input.seed,
    },
    tally,
    directions,
  );
}

function checkInput({ dictionary, runner, tokens, crosscoder }: EvaluateInput): void {
  expectReconstructs(dictionary, runner.dIn, runner.hookName, crosscoder?.part);
  if (tokens.nContexts === 0)
    throw new MonosemeError(
      'ERR_EMPTY_TEXT',
      `The text is shorter than one context of ${tokens.contextSize} tokens.`,
      'Give more text.',
    );
}

async function meanActivation(
  { runner, tokens, signal }: EvaluateInput,
  measured: MeasuredRows,
): Promise<Float32Array> {
  const { dIn } = runner;
  const { contextSize, nContexts } = tokens;
  const n = Math.min(MEAN_CONTEXTS, nContexts);
  const sums = new Float64Array(dIn);
  let nRows = 0;
  for (let i = 0; i < n; i++) {
    throwIfAborted(signal);
    const context = Math.floor((i * nContexts) / n);
    const part = tokens.tokens.subarray(context * contextSize, (context + 1) * contextSize);
    const x = await runner.activations(part, contextSize);
    const rows = measured.in(x, context);
    nRows += rows.length;
    for (const row of rows) for (let d = 0; d < dIn; d++) sums[d] += x[row * dIn + d];
    runner.recycle(x);
  }
  if (nRows > 0) return Float32Array.from(sums, (sum) => sum / nRows);
  throw new MonosemeError('ERR_EMPTY_TEXT', 'Every token of the text is left out.', 'Leave fewer out.');
}
