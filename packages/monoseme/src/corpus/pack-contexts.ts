import { setImmediate as nextTurn } from 'node:timers/promises';
import { MonosemeError, throwIfAborted } from '../errors.ts';
import { Random, hashSeed } from '../random/index.ts';
import { expectPositiveInteger } from '../tensor/index.ts';
import type { Document } from './document.ts';
import { isHeldOut } from './document.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Where a document lies in a token set: `length` tokens from `start`, its separator the first of them. */
export type DocumentSpan = { id: string; source: string; start: number; length: number };

/**
 * A rectangle of tokens without padding: `tokens` is [nContexts, contextSize], row-major. The rows follow each
 * other in one stream of documents, so a document may run over several rows and a row may hold several documents.
 */
export type TokenSet = {
  tokens: Uint32Array;
  contextSize: number;
  nContexts: number;
  /** In the order of the stream. Documents that fell off its end are not listed; the last may be cut. */
  documents: DocumentSpan[];
};

export type PackOptions = {
  contextSize: number;
  /** Stop once there are this many tokens (rounded down to whole contexts). Default: all. */
  maxTokens?: number;
  /** Which documents: those for training, those held out ({@link isHeldOut}), or all. */
  split: 'train' | 'heldOut' | 'all';
  /** Draws the order of the documents. Default: the order given. */
  seed?: number;
  signal?: AbortSignal;
  /** Called with tokens when `maxTokens` is given, else with documents. */
  onProgress?: (done: number, total: number) => void;
};

/** How long to work before other work of the process gets its turn. */
const TURN_MS = 30;

/**
 * Tokenise documents and cut the stream into contexts. Each document is preceded by the tokenizer's separator
 * when it has one; what is left over at the end, less than a context, is dropped.
 *
 * @throws {MonosemeError} ERR_EMPTY_TEXT when there is less than one context of tokens, ERR_OPTION, ERR_INTERRUPTED
 */
export async function packContexts(
  documents: readonly Document[],
  tokenizer: Tokenizer,
  options: PackOptions,
): Promise<TokenSet> {
  const { contextSize, maxTokens = Infinity, signal, onProgress } = options;
  expectPositiveInteger('contextSize', contextSize);
  if (maxTokens !== Infinity) expectPositiveInteger('maxTokens', maxTokens);
  const chosen = choose(documents, options);
  const limit = Math.floor(maxTokens / contextSize) * contextSize;
  if (chosen.length === 0 || limit === 0) throw tooLittle(chosen.length, 0, options);

  const separator = tokenizer.separatorId === undefined ? [] : [tokenizer.separatorId];
  const parts: Uint32Array[] = [];
  const spans: DocumentSpan[] = [];
  let length = 0;
  let turnEnd = performance.now() + TURN_MS;
  for (let i = 0; i < chosen.length && length < limit; i++) {
    const { id, source, text } = chosen[i];
    const ids = tokenizer.encode(text);
    parts.push(Uint32Array.from(separator), ids);
    spans.push({ id, source, start: length, length: separator.length + ids.length });
    length += separator.length + ids.length;
    if (performance.now() < turnEnd) continue;
    await nextTurn();
    throwIfAborted(signal);
    if (maxTokens === Infinity) onProgress?.(i + 1, chosen.length);
    else onProgress?.(Math.min(length, limit), limit);
    turnEnd = performance.now() + TURN_MS;
  }
  throwIfAborted(signal);

  const total = Math.min(limit, length - (length % contextSize));
  if (total === 0) throw tooLittle(chosen.length, length, options);
  return {
    tokens: join(parts, total),
    contextSize,
    nContexts: total / contextSize,
    documents: spans
      .filter(({ start }) => start < total)
      .map((span) => ({ ...span, length: Math.min(span.length, total - span.start) })),
  };
}

function choose(documents: readonly Document[], { split, seed }: PackOptions): readonly Document[] {
  const chosen =
    split === 'all' ? documents : documents.filter(({ id }) => isHeldOut(id) === (split === 'heldOut'));
  if (seed === undefined) return chosen;
  const order = new Random(hashSeed(seed, 'pack-contexts')).permutation(chosen.length);
  return Array.from(order, (i) => chosen[i]);
}

/** The first `total` ids of the parts. */
function join(parts: readonly Uint32Array[], total: number): Uint32Array {
  const tokens = new Uint32Array(total);
  let at = 0;
  for (const part of parts) {
    if (at >= total) break;
    tokens.set(part.subarray(0, total - at), at);
    at += part.length;
  }
  return tokens;
}

function tooLittle(documents: number, tokens: number, { contextSize, split, maxTokens }: PackOptions): Error {
  const kind = split === 'heldOut' ? 'held-out ' : split === 'train' ? 'training ' : '';
  const asked = maxTokens === undefined ? '' : ` (at most ${maxTokens} were asked for)`;
  return new MonosemeError(
    'ERR_EMPTY_TEXT',
    `${documents} ${kind}documents hold ${tokens} tokens${asked}, but one context takes ${contextSize}.`,
    `Give more text${split === 'all' ? '' : ', all of its documents (--split all)'}, or a smaller context.`,
  );
}
