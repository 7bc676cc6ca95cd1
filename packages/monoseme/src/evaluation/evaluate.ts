import type { TokenSet } from '../corpus/index.ts';
import { decode, type Dictionary, encode } from '../dictionary/index.ts';
import { MonosemeError, throwIfAborted } from '../errors.ts';
import type { KernelBackend } from '../kernels/contract.ts';
import type { ModelRunner } from '../model/index.ts';
import { type ReconstructionFigures, ReconstructionSums } from './reconstruction.ts';

/** Contexts whose activations and logits are in memory at once: 4,096 tokens at the usual 256. */
const CONTEXTS_PER_BATCH = 16;

export interface EvaluationReport extends ReconstructionFigures {
  readonly nTokens: number;
  /** Mean next-token loss in nats with the activations untouched, and replaced in the three ways. */
  readonly ceLoss: number;
  readonly ceLossReconstructed: number;
  readonly ceLossZeroAblated: number;
  readonly ceLossMeanAblated: number;
  /** (zero − reconstructed) / (zero − original): the share of the loss that the activations save. */
  readonly ceLossScore: number;
  /** The same against the mean activation instead of zero: a stricter baseline. */
  readonly ceLossScoreMean: number;
  /** [dSae]: share of tokens on which each latent is active. */
  readonly densities: Float64Array;
}

export interface EvaluateInput {
  readonly dictionary: Dictionary;
  readonly backend: KernelBackend;
  /** Started with `suffix: true`. */
  readonly runner: ModelRunner;
  readonly tokens: TokenSet;
  readonly signal?: AbortSignal;
  readonly onProgress?: (doneTokens: number, totalTokens: number) => void;
}

/**
 * Measure a dictionary on text that it was not trained on.
 *
 * Losses are of the next token, over every position of a context but its last, in nats. Memory does not depend on the
 * amount of text.
 *
 * @throws {MonosemeError} ERR_MISMATCH when dictionary and hook differ in width, ERR_EMPTY_TEXT, ERR_INTERRUPTED
 */
export async function evaluateDictionary(input: EvaluateInput): Promise<EvaluationReport> {
  const { dictionary, runner, tokens } = input;
  const { dIn, dSae, targetHookName, sources } = dictionary.config;
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
  const mean = await meanActivation(input);
  const sums = new ReconstructionSums(dIn, dSae);
  const losses = { original: 0, reconstructed: 0, zero: 0, mean: 0, count: 0 };
  for (const batchTokens of contextBatches(input)) await addBatch(input, batchTokens, mean, sums, losses);

  const ce = (sum: number) => sum / losses.count;
  const score = (ablated: number) => (ablated - losses.reconstructed) / (ablated - losses.original);
  return {
    nTokens: sums.nTokens,
    ...sums.figures(),
    ceLoss: ce(losses.original),
    ceLossReconstructed: ce(losses.reconstructed),
    ceLossZeroAblated: ce(losses.zero),
    ceLossMeanAblated: ce(losses.mean),
    ceLossScore: score(losses.zero),
    ceLossScoreMean: score(losses.mean),
    densities: sums.firedTokens.map((fired) => fired / sums.nTokens),
  };
}

async function addBatch(
  { dictionary, backend, runner, tokens }: EvaluateInput,
  batchTokens: Uint32Array,
  mean: Float32Array,
  sums: ReconstructionSums,
  losses: { original: number; reconstructed: number; zero: number; mean: number; count: number },
): Promise<void> {
  const batch = await runner.openBatch(batchTokens, tokens.contextSize);
  try {
    const x = batch.activations;
    const codes = await encode(dictionary, backend, x, batchTokens.length);
    const reconstructions = await decode(dictionary, backend, codes, x);
    sums.add(x, reconstructions, codes);
    const original = await batch.losses(x);
    losses.count += original.length;
    losses.original += total(original);
    losses.reconstructed += total(await batch.losses(reconstructions));
    losses.zero += total(await batch.losses(new Float32Array(x.length)));
    losses.mean += total(await batch.losses(repeated(mean, batchTokens.length)));
  } finally {
    await batch.close();
  }
}

async function meanActivation(input: EvaluateInput): Promise<Float32Array> {
  const { dIn } = input.dictionary.config;
  const sums = new Float64Array(dIn);
  let rows = 0;
  for (const batchTokens of contextBatches({ ...input, onProgress: undefined })) {
    const x = await input.runner.activations(batchTokens, input.tokens.contextSize);
    for (let start = 0; start < x.length; start += dIn) {
      for (let i = 0; i < dIn; i++) sums[i] += x[start + i];
    }
    rows += batchTokens.length;
  }
  return Float32Array.from(sums, (sum) => sum / rows);
}

function* contextBatches({ tokens, signal, onProgress }: EvaluateInput): Generator<Uint32Array> {
  const step = CONTEXTS_PER_BATCH * tokens.contextSize;
  const end = tokens.nContexts * tokens.contextSize;
  for (let start = 0; start < end; start += step) {
    throwIfAborted(signal);
    yield tokens.tokens.subarray(start, Math.min(start + step, end));
    onProgress?.(Math.min(start + step, end), end);
  }
}

function repeated(row: Float32Array, nRows: number): Float32Array {
  const out = new Float32Array(row.length * nRows);
  for (let b = 0; b < nRows; b++) out.set(row, b * row.length);
  return out;
}

function total(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum;
}
