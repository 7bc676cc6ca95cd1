import { setImmediate as nextTurn } from 'node:timers/promises';
import { MonosemeError, throwIfAborted } from '../errors.ts';
import { expectPositiveInteger } from '../tensor/index.ts';
import { ContextRows } from './context-rows.ts';
import type { Document } from './document.ts';
import { isHeldOut } from './document.ts';
import { HeldText } from './held-text.ts';
import { asMarkup, RoleNames } from './roles-of-tokens.ts';
import { shuffleDocuments } from './shuffle-documents.ts';
import { type TextFile, TextFileWriter } from './text-file.ts';
import type { TokenSet, TokenSink } from './token-text.ts';
import type { Tokenizer } from './tokenizer.ts';

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
  const held = new HeldText(limitOf(options));
  const { total, roleNames } = await pack(documents, tokenizer, options, held);
  return held.take(total, options.contextSize, roleNames);
}

/**
 * The same into files without a name in a folder: memory does not grow with the text. Roles are left out.
 *
 * @throws {MonosemeError} as {@link packContexts}, ERR_DISK_FULL, ERR_FILE
 */
export async function packIntoFile(
  documents: AsyncIterable<Document> | Iterable<Document>,
  tokenizer: Tokenizer,
  options: PackOptions,
  folder: string,
): Promise<TextFile> {
  limitOf(options);
  const writer = new TextFileWriter(folder);
  try {
    const { total } = await pack(documents, tokenizer, options, writer);
    return writer.finish(total, options.contextSize);
  } catch (error) {
    writer.close();
    throw error;
  }
}

/** Tokens at most: whole contexts, or no limit. */
function limitOf(options: PackOptions): number {
  const { contextSize, maxTokens = Infinity } = options;
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
  return limit;
}

async function pack(
  documents: AsyncIterable<Document> | Iterable<Document>,
  tokenizer: Tokenizer,
  options: PackOptions,
  sink: TokenSink,
): Promise<{ total: number; roleNames: readonly string[] }> {
  const { contextSize, seed, signal, onProgress } = options;
  const limit = limitOf(options);
  const byDocument = options.packing === 'documents';
  const form = { contextSize, byDocument, beginContext: given(options.beginContext) };
  const rows = new ContextRows(limit, form, sink);
  const roleNames = new RoleNames();
  const begin = options.beginDocument === undefined ? tokenizer.separatorId : options.beginDocument;
  const chosen = choose(documents, options);
  const ordered = seed === undefined ? chosen : shuffleDocuments(chosen, seed);
  let nDocuments = 0;
  let nTokens = 0;
  let turnEnd = performance.now() + TURN_MS;
  for await (const { id, source, text, roles } of ordered) {
    nDocuments++;
    const inner = tokenizer.encode(text);
    // A document that begins or ends with the token already, as conversations do, does not get it twice.
    const before = inner[0] === begin ? [] : given(begin);
    const after = inner.at(-1) === options.endDocument ? [] : given(options.endDocument);
    const ids = framed(inner, before, after);
    nTokens += ids.length;
    const start = rows.length;
    const innerRoles = roles && roleNames.ofTokens(tokenizer, inner, text, roles);
    rows.add(ids, innerRoles && framed(innerRoles, before.map(asMarkup), after.map(asMarkup)));
    if (rows.length > start) sink.addDocument({ id, source, start, length: rows.length - start });
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
  return { total, roleNames: roleNames.names };
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

/** Tokens or their roles between what begins and what ends a document. */
function framed<T extends Uint32Array | Uint8Array>(
  inner: T,
  before: readonly number[],
  after: readonly number[],
): T {
  const all = new (inner.constructor as new (length: number) => T)(
    before.length + inner.length + after.length,
  );
  all.set(before);
  all.set(inner, before.length);
  all.set(after, before.length + inner.length);
  return all;
}

/** The token, as none or one. */
function given(token: number | null | undefined): readonly number[] {
  return token === null || token === undefined ? [] : [token];
}

function tooLittle(documents: number, tokens: number, { contextSize, split, maxTokens }: PackOptions): Error {
  const kind = split === 'heldOut' ? 'held-out ' : split === 'train' ? 'training ' : '';
  const asked = maxTokens === undefined ? '' : ` (at most ${maxTokens} were asked for)`;
  return new MonosemeError(
    'ERR_EMPTY_TEXT',
    `${documents} ${kind}${documents === 1 ? 'document holds' : 'documents hold'} ${tokens} tokens${asked}, but one context takes ${contextSize}.`,
    `Give more text${split === 'all' ? '' : ', all of its documents (--split all)'}, or a smaller context.`,
  );
}
