import type { TokenSet } from '../corpus/index.ts';
import { MonosemeError, throwIfAborted } from '../errors.ts';
import { sha256 } from '../formats/index.ts';
import type { ModelRunner } from '../model/index.ts';
import { expectPositiveInteger } from '../tensor/index.ts';
import type { ActivationSource } from './source.ts';

/** Tokens of a chunk, about: small chunks mix well, and this is one call of ONNX Runtime. */
const TOKENS_PER_CHUNK = 2048;

/**
 * The activations of a model, computed when they are read.
 *
 * @param options contextsPerChunk: by default as many as make about 2,048 tokens
 * @throws {MonosemeError} ERR_EMPTY_TEXT without a whole context. readChunk: the runner's errors;
 * ERR_NOT_FINITE naming context, position and document; ERR_INTERRUPTED
 */
export function modelSource(
  runner: ModelRunner,
  tokens: TokenSet,
  options: { contextsPerChunk?: number } = {},
): ActivationSource {
  const { contextSize, nContexts } = tokens;
  const { contextsPerChunk = Math.max(1, Math.floor(TOKENS_PER_CHUNK / contextSize)) } = options;
  expectPositiveInteger('The number of contexts of a chunk', contextsPerChunk);
  if (nContexts === 0)
    throw new MonosemeError(
      'ERR_EMPTY_TEXT',
      `The text has fewer tokens than one context of ${contextSize}.`,
      'Give more text or a smaller context size.',
    );
  const { dIn, hookName, model } = runner;
  const contextsOf = (chunk: number) => Math.min(contextsPerChunk, nContexts - chunk * contextsPerChunk);
  const stream = new Uint8Array(tokens.tokens.buffer, tokens.tokens.byteOffset, tokens.tokens.byteLength);
  return {
    dIn,
    contextSize,
    nChunks: Math.ceil(nContexts / contextsPerChunk),
    description: `${hookName} [${dIn}] of ${model.name}, ${nContexts} contexts of ${contextSize} tokens`,
    hash: sha256(`${model.sha256} ${runner.tensorName} ${contextSize} ${contextsPerChunk} `, stream),
    modelHash: model.sha256,
    chunkRows: (chunk) => contextsOf(chunk) * contextSize,
    async readChunk(chunk, signal) {
      throwIfAborted(signal);
      const start = chunk * contextsPerChunk * contextSize;
      const part = tokens.tokens.subarray(start, start + contextsOf(chunk) * contextSize);
      const activations = await runner.activations(part, contextSize);
      expectFiniteActivations(activations, dIn, tokens, start, hookName);
      return activations;
    },
    async readTokens(chunk) {
      const start = chunk * contextsPerChunk * contextSize;
      return tokens.tokens.subarray(start, start + contextsOf(chunk) * contextSize);
    },
  };
}

/** Name the token where the first NaN or infinity stands. */
function expectFiniteActivations(
  activations: Float32Array,
  dIn: number,
  tokens: TokenSet,
  start: number,
  hookName: string,
): void {
  // x − x is 0 for finite x and NaN otherwise.
  let sum = 0;
  for (let i = 0; i < activations.length; i++) sum += activations[i] - activations[i];
  if (sum === 0) return;
  const index = activations.findIndex((value) => !Number.isFinite(value));
  throw notFinite(tokens, start + Math.floor(index / dIn), `${hookName} is ${activations[index]}`);
}

/** The error for a value that cannot be used, at a token of the set. */
export function notFinite(tokens: TokenSet, token: number, what: string, advice?: string): MonosemeError {
  const { contextSize, documents } = tokens;
  const document = documents.findLast(({ start }) => start <= token);
  const place = `context ${Math.floor(token / contextSize)}, position ${token % contextSize}`;
  return new MonosemeError(
    'ERR_NOT_FINITE',
    `${what} at ${place}${document === undefined ? '' : ` (document ${document.id})`}.`,
    advice ?? 'If the model computes in fp16, take its fp32 version.',
  );
}
