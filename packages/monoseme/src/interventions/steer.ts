import type { Dictionary } from '../dictionary/index.ts';
import type { KernelBackend } from '../kernels/index.ts';
import type { Edit, HookedModel, Hooks } from '../model/index.ts';
import { MonosemeError } from '../errors.ts';
import type { Where } from './edits.ts';
import { generate, scoreTokens } from './generate.ts';
import { editLatents, type LatentEdit } from './latent-edits.ts';

export type SteerVersion = readonly LatentEdit[] | ((where: Where) => Edit);

export interface SteerInput {
  readonly hooked: HookedModel;
  /** Whose latents are edited; both only needed for that. */
  readonly dictionary?: Dictionary;
  readonly backend?: KernelBackend;
  /** What is edited: where the dictionary reads. */
  readonly hookName: string;
  readonly prompt: Uint32Array;
  /** Tokens to generate. */
  readonly nTokens: number;
  /**
   * Each makes a continuation: the same latents at several strengths, say. A function makes an edit of any kind that keeps
   * to the rows that it is given ({@link zero}, {@link replace}, {@link resample}, {@link addDirection}).
   */
  readonly versions: readonly SteerVersion[];
  /** Keep what the dictionary does not reconstruct (the default). */
  readonly keepError?: boolean;
  /** Edit only what follows the prompt, and the prompt's last token, from which the first is predicted. */
  readonly onlyGenerated?: boolean;
  readonly temperature?: number;
  readonly seed?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface Continuation {
  readonly tokens: Uint32Array;
  /** Log-probability of each token in nats: under the model that wrote it, … */
  readonly logProbs: Float32Array;
  /** … and under the untouched model. */
  readonly originalLogProbs: Float32Array;
}

export interface Steered {
  readonly original: Continuation;
  /** One of each version. */
  readonly steered: readonly (Continuation & {
    /** Log-probability of each token of the original continuation under the steered model. */
    readonly logProbsOfOriginal: Float32Array;
  })[];
}

/**
 * Continue a prompt as the model is, and with its activations or latents of a dictionary edited. All continuations are generated
 * together and, when sampled, draw the same random numbers: they differ by the edits alone.
 *
 * @throws {MonosemeError} ERR_OPTION, ERR_MISMATCH (dictionary and hook), ERR_INTERRUPTED, what running throws
 */
export async function steer(input: SteerInput): Promise<Steered> {
  const { hooked, prompt, nTokens, versions, temperature, seed = 0, signal, onProgress } = input;
  const n = versions.length + 1;
  const prompts = repeat(prompt, n);
  const hooks = hooksOf(input);
  const { tokens, logProbs } = await generate({
    ...{ hooked, prompts, promptSize: prompt.length, nTokens, temperature, signal, onProgress },
    hooks,
    seeds: new Array<number>(n).fill(seed),
  });
  const of = (values: Float32Array, i: number) => values.slice(i * nTokens, (i + 1) * nTokens);
  const text = (i: number) => join(prompt, tokens.subarray(i * nTokens, (i + 1) * nTokens));
  const size = prompt.length + nTokens;
  const all = concat(Array.from({ length: n }, (_, i) => text(i)));
  const originalLogProbs = await scoreTokens(hooked, all, size, nTokens);
  // Each version has the number of context that it was generated with: what it draws for a place stays the same.
  const ofOriginal = await scoreTokens(hooked, repeat(text(0), n), size, nTokens, hooks);
  const continuation = (i: number): Continuation => ({
    tokens: tokens.slice(i * nTokens, (i + 1) * nTokens),
    logProbs: of(logProbs, i),
    originalLogProbs: of(originalLogProbs, i),
  });
  return {
    original: continuation(0),
    steered: versions.map((_, i) => ({ ...continuation(i + 1), logProbsOfOriginal: of(ofOriginal, i + 1) })),
  };
}

/** Edits of a batch whose context v + 1 holds version v; context 0 is the untouched one. */
function hooksOf(input: SteerInput): Hooks {
  const { dictionary, backend, hookName, versions, keepError, prompt } = input;
  const from = input.onlyGenerated ? prompt.length - 1 : 0;
  const edits = versions.map((version, v): Edit => {
    const where: Where = (position, context) => context === v + 1 && position >= from;
    if (typeof version === 'function') return version(where);
    if (dictionary && backend) return editLatents(dictionary, backend, version, { keepError, where });
    throw new MonosemeError('ERR_OPTION', 'Latents were to be edited without a dictionary.', 'Give one.');
  });
  return { [hookName]: edits };
}

const repeat = (row: Uint32Array, n: number): Uint32Array => concat(new Array<Uint32Array>(n).fill(row));

const join = (a: Uint32Array, b: Uint32Array): Uint32Array => concat([a, b]);

function concat(parts: readonly Uint32Array[]): Uint32Array {
  const out = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
