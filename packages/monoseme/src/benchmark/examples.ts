import type { Tokenizer } from '../corpus/index.ts';
import { type Dictionary, encode } from '../dictionary/index.ts';
import { throwIfAborted } from '../errors.ts';
import type { Codes, KernelBackend } from '../kernels/contract.ts';
import type { ModelRunner } from '../model/index.ts';

/** Tokens whose activations are in memory at once. */
const TOKENS_PER_BATCH = 4096;

/** What goes through the model and the dictionary. */
export interface BenchmarkSubject {
  readonly dictionary: Dictionary;
  readonly backend: KernelBackend;
  readonly runner: Pick<ModelRunner, 'activations' | 'dIn'>;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Texts as a probe sees them. */
export interface ProbeExamples {
  readonly n: number;
  readonly dIn: number;
  /** [n, dIn]: mean activation of each text's tokens. */
  readonly means: Float32Array;
  /** [n, dSae]: mean latent activations; zeros are left out. */
  readonly codes: Codes;
}

/** The first `maxTokens` tokens of a text, after the separator where the tokenizer has one. */
export function textTokens(tokenizer: Tokenizer, text: string, maxTokens: number): Uint32Array {
  const { separatorId } = tokenizer;
  const head = separatorId === undefined ? [] : [separatorId];
  const ids = tokenizer.encode(text);
  return Uint32Array.from([...head, ...ids.subarray(0, Math.max(0, maxTokens - head.length))]);
}

/**
 * Mean activation and mean latent activations of each text, over its tokens but the first `skip` (the separator).
 * Source  SAEBench, which masks special tokens. Texts of one length run together, so nothing is padded.
 *
 * @param texts token ids of each text; longer than `skip`
 */
export async function meanExamples(
  subject: BenchmarkSubject,
  texts: readonly Uint32Array[],
  skip: number,
): Promise<ProbeExamples> {
  const { dictionary, backend, runner } = subject;
  const { dIn, dSae } = dictionary.config;
  const means = new Float32Array(texts.length * dIn);
  const rows: { latents: Uint32Array; values: Float32Array }[] = new Array(texts.length);
  await forBatches(subject, texts, async (batch, length, tokens) => {
    const x = await runner.activations(tokens, length);
    const codes = await encode(dictionary, backend, x, tokens.length);
    batch.forEach((text, i) => {
      const [first, end] = [i * length + skip, (i + 1) * length];
      means.set(meanRow(x, dIn, first, end), text * dIn);
      rows[text] = meanCodes(codes, first, end);
    });
  });
  return { n: texts.length, dIn, means, codes: codesOf(rows, dSae) };
}

/** Activation of the last token of each prompt, [n, dIn]. */
export async function lastActivations(
  subject: BenchmarkSubject,
  prompts: readonly Uint32Array[],
): Promise<Float32Array> {
  const { runner } = subject;
  const last = new Float32Array(prompts.length * runner.dIn);
  await forBatches(subject, prompts, async (batch, length, tokens) => {
    const x = await runner.activations(tokens, length);
    batch.forEach((prompt, i) => {
      const end = (i + 1) * length * runner.dIn;
      last.set(x.subarray(end - runner.dIn, end), prompt * runner.dIn);
    });
  });
  return last;
}

/** Go through texts in batches of one length each. */
async function forBatches(
  { signal, onProgress }: BenchmarkSubject,
  texts: readonly Uint32Array[],
  work: (batch: readonly number[], length: number, tokens: Uint32Array) => Promise<void>,
): Promise<void> {
  const byLength = new Map<number, number[]>();
  texts.forEach(({ length }, i) => {
    const group = byLength.get(length) ?? [];
    group.push(i);
    byLength.set(length, group);
  });
  let done = 0;
  for (const [length, group] of [...byLength].sort(([a], [b]) => a - b)) {
    const perBatch = Math.max(1, Math.floor(TOKENS_PER_BATCH / length));
    for (let first = 0; first < group.length; first += perBatch) {
      throwIfAborted(signal);
      const batch = group.slice(first, first + perBatch);
      const tokens = new Uint32Array(batch.length * length);
      batch.forEach((text, i) => tokens.set(texts[text], i * length));
      await work(batch, length, tokens);
      done += batch.length;
      onProgress?.(done, texts.length);
    }
  }
}

function meanRow(x: Float32Array, width: number, first: number, end: number): Float64Array {
  const sum = new Float64Array(width);
  for (let row = first; row < end; row++) for (let d = 0; d < width; d++) sum[d] += x[row * width + d];
  return sum.map((value) => value / (end - first));
}

function meanCodes({ rowPointers, latentIndices, values }: Codes, first: number, end: number) {
  const sums = new Map<number, number>();
  for (let pair = rowPointers[first]; pair < rowPointers[end]; pair++) {
    sums.set(latentIndices[pair], (sums.get(latentIndices[pair]) ?? 0) + values[pair]);
  }
  const latents = Uint32Array.from(sums.keys()).sort();
  return { latents, values: Float32Array.from(latents, (latent) => sums.get(latent)! / (end - first)) };
}

function codesOf(rows: readonly { latents: Uint32Array; values: Float32Array }[], dSae: number): Codes {
  const rowPointers = new Uint32Array(rows.length + 1);
  rows.forEach(({ latents }, row) => (rowPointers[row + 1] = rowPointers[row] + latents.length));
  const latentIndices = new Uint32Array(rowPointers[rows.length]);
  const values = new Float32Array(latentIndices.length);
  rows.forEach((row, i) => {
    latentIndices.set(row.latents, rowPointers[i]);
    values.set(row.values, rowPointers[i]);
  });
  return { nRows: rows.length, dSae, rowPointers, latentIndices, values };
}
