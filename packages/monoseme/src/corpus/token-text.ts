import type { TokenRoles } from './roles-of-tokens.ts';

/** Where a document lies in a text: `length` tokens from `start`, its separator the first of them. */
export type DocumentSpan = { id: string; source: string; start: number; length: number };

/** Tokens by their place: an array, or a file of which pieces are read ({@link TokenFile}). */
export interface TokenSequence {
  readonly length: number;
  /** Tokens `from` … `to − 1`, to be read only: a view or a copy. */
  subarray(from: number, to: number): Uint32Array;
}

/**
 * A rectangle of tokens without padding: `tokens` is [nContexts, contextSize], row-major. Packed as a stream, the rows
 * follow each other, so that a document may run over several rows and a row may hold several documents; packed by
 * documents, a row holds tokens of one.
 */
export interface TokenText {
  readonly tokens: TokenSequence;
  readonly contextSize: number;
  readonly nContexts: number;
  /** In the order of the rows. Documents that fell off the end are not listed; the last may be cut. */
  readonly documents: Iterable<DocumentSpan>;
  /** Where there are conversations. */
  readonly roles?: TokenRoles;
}

/** A text in memory. */
export interface TokenSet extends TokenText {
  readonly tokens: Uint32Array;
  readonly documents: DocumentSpan[];
}

/** Takes a text as it is read. */
export interface TokenSink {
  add(ids: Uint32Array | readonly number[], roles?: Uint8Array): void;
  addDocument(span: DocumentSpan): void;
}

/** Tokens that are looked through at once: a copy of all would grow with the text. */
const PIECE = 2 ** 16;

/** All tokens in order, some at a time. */
export function* tokenPieces(tokens: TokenSequence): Generator<Uint32Array> {
  for (let start = 0; start < tokens.length; start += PIECE)
    yield tokens.subarray(start, Math.min(tokens.length, start + PIECE));
}

/** The documents of the first `total` tokens, the last cut where they end. */
export function* documentsWithin(documents: Iterable<DocumentSpan>, total: number): Generator<DocumentSpan> {
  for (const span of documents) {
    if (span.start >= total) return;
    const length = Math.min(span.length, total - span.start);
    yield length === span.length ? span : { ...span, length };
  }
}
