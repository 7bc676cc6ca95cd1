import { setImmediate as nextTurn } from 'node:timers/promises';
import { MonosemeError, throwIfAborted } from '../errors.ts';
import { expectPositiveInteger } from '../tensor/index.ts';
import type { Document } from './document.ts';
import { isHeldOut } from './document.ts';
import { shuffleDocuments } from './shuffle-documents.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Where a document lies in a token set: `length` tokens from `start`, its separator the first of them. */
export type DocumentSpan = { id: string; source: string; start: number; length: number };

/**
 * A rectangle of tokens without padding: `tokens` is [nContexts, contextSize], row-major. Packed as a stream, the rows
 * follow each other, so that a document may run over several rows and a row may hold several documents; packed by
 * documents, a row holds tokens of one.
 */
export type TokenSet = {
  tokens: Uint32Array;
  contextSize: number;
  nContexts: number;
  /** In the order of the rows. Documents that fell off the end are not listed; the last may be cut. */
  documents: DocumentSpan[];
};

export type PackOptions = {
  contextSize: number;
  /** Stop once there are this many tokens (rounded down to whole contexts). Default: all. */
  maxTokens?: number;
  /** Which documents: those for training, those held out ({@link isHeldOut}), or all. */
  split: 'train' | 'heldOut' | 'all';
  /** Draws the order of the documents ({@link shuffleDocuments}). Default: the order given. */
  seed?: number;
  /**
   * `stream` (default): one document after another, cut into contexts. `documents`: each document into contexts of its
   * own; what is left of it, less than a context, is dropped, and so is a document shorter than one.
   */
  packing?: 'stream' | 'documents';
  /** Token before each document. Default: the tokenizer's separator when it has one; null for none. */
  beginDocument?: number | null;
  /** Token after each document (EOS). Default: none. */
  endDocument?: number | null;
  /** First token of each context (BOS), in place of one more of the text. Default: none. */
  beginContext?: number | null;
  signal?: AbortSignal;
  /** Called with the tokens so far and `maxTokens`, which may be infinite. */
  onProgress?: (done: number, total: number) => void;
};

/** How long to work before other work of the process gets its turn. */
const TURN_MS = 30;

/**
 * Tokenise documents as they come and cut them into contexts. What is left over at the end, less than a context, is
 * dropped. Reading stops when there are tokens enough.
 *
 * @throws {MonosemeError} ERR_EMPTY_TEXT when there is less than one context of tokens, ERR_OPTION, ERR_INTERRUPTED, and
 *   what reading the documents throws
 */
export async function packContexts(
  documents: AsyncIterable<Document> | Iterable<Document>,
  tokenizer: Tokenizer,
  options: PackOptions,
): Promise<TokenSet> {
  const { contextSize, maxTokens = Infinity, seed, signal, onProgress } = options;
  expectPositiveInteger('contextSize', contextSize);
  if (maxTokens !== Infinity) expectPositiveInteger('maxTokens', maxTokens);
  const limit = Math.floor(maxTokens / contextSize) * contextSize;
  if (limit === 0) throw tooLittle(0, 0, options);
  if (given(options.beginContext).length === contextSize)
    throw new MonosemeError(
      'ERR_OPTION',
      'A context of one token that begins with one of its own has room for no text.',
      'Take longer contexts.',
    );

  const rows = new ContextRows(limit, options);
  const begin = options.beginDocument === undefined ? tokenizer.separatorId : options.beginDocument;
  const chosen = choose(documents, options);
  const ordered = seed === undefined ? chosen : shuffleDocuments(chosen, seed);
  const spans: DocumentSpan[] = [];
  let nDocuments = 0;
  let nTokens = 0;
  let turnEnd = performance.now() + TURN_MS;
  for await (const { id, source, text } of ordered) {
    nDocuments++;
    const ids = framed(tokenizer.encode(text), begin, options.endDocument);
    nTokens += ids.length;
    const start = rows.length;
    rows.add(ids);
    if (rows.length > start) spans.push({ id, source, start, length: rows.length - start });
    if (rows.length >= limit) break;
    if (performance.now() < turnEnd) continue;
    await nextTurn();
    throwIfAborted(signal);
    onProgress?.(rows.length, limit);
    turnEnd = performance.now() + TURN_MS;
  }
  throwIfAborted(signal);

  const total = rows.length - (rows.length % contextSize);
  if (total === 0) throw tooLittle(nDocuments, nTokens, options);
  return {
    tokens: rows.take(total),
    contextSize,
    nContexts: total / contextSize,
    documents: spans
      .filter(({ start }) => start < total)
      .map((span) => ({ ...span, length: Math.min(span.length, total - span.start) })),
  };
}

async function* choose(
  documents: AsyncIterable<Document> | Iterable<Document>,
  { split, signal }: PackOptions,
): AsyncGenerator<Document> {
  for await (const document of documents) {
    throwIfAborted(signal);
    if (split === 'all' || isHeldOut(document.id) === (split === 'heldOut')) yield document;
  }
}

/** The ids of a document between the tokens that begin and end it. */
function framed(ids: Uint32Array, begin?: number | null, end?: number | null): Uint32Array {
  const before = given(begin);
  const after = given(end);
  const all = new Uint32Array(before.length + ids.length + after.length);
  all.set(before);
  all.set(ids, before.length);
  all.set(after, before.length + ids.length);
  return all;
}

/** The token, as none or one. */
function given(token: number | null | undefined): readonly number[] {
  return token === null || token === undefined ? [] : [token];
}

/** Tokens held before it is known how many there will be. */
const FIRST_CAPACITY = 2 ** 24;

/** Contexts as they fill, up to a limit of tokens. */
class ContextRows {
  /** Tokens so far. */
  length = 0;
  #tokens: Uint32Array;
  readonly #limit: number;
  readonly #contextSize: number;
  readonly #byDocument: boolean;
  readonly #beginContext: readonly number[];

  constructor(limit: number, { contextSize, packing, beginContext }: PackOptions) {
    this.#limit = limit;
    this.#contextSize = contextSize;
    this.#byDocument = packing === 'documents';
    this.#beginContext = given(beginContext);
    this.#tokens = new Uint32Array(Math.min(limit, FIRST_CAPACITY));
  }

  /** Add the tokens of a document, as many as the limit allows. */
  add(ids: Uint32Array): void {
    for (let at = 0; at < ids.length && this.length < this.#limit;) {
      const isStart = this.length % this.#contextSize === 0;
      // A document that begins the context with the same token does not get it twice.
      const first = isStart && ids[at] !== this.#beginContext[0] ? this.#beginContext : [];
      const room = this.#contextSize - (this.length % this.#contextSize) - first.length;
      const taken = ids.subarray(at, at + room);
      if (this.#byDocument && taken.length < room) return;
      this.#append(first);
      this.#append(taken);
      at += taken.length;
    }
  }

  /** The first `total` tokens. */
  take(total: number): Uint32Array {
    return total === this.#tokens.length ? this.#tokens : this.#tokens.slice(0, total);
  }

  #append(ids: ArrayLike<number>): void {
    if (this.length + ids.length > this.#tokens.length) {
      const larger = new Uint32Array(Math.min(this.#limit, 2 * (this.length + ids.length)));
      larger.set(this.#tokens);
      this.#tokens = larger;
    }
    this.#tokens.set(ids, this.length);
    this.length += ids.length;
  }
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
