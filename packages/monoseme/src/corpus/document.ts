/** What a role says in a text, in UTF-16 code units. */
export interface RoleSpan {
  readonly role: string;
  readonly start: number;
  readonly end: number;
}

/**
 * One piece of text. `id` is unique within a corpus and stable between runs; `source` names its kind. A conversation has
 * the parts of its roles, rising and apart; what none covers is markup.
 */
export type Document = { id: string; source: string; text: string; roles?: readonly RoleSpan[] };

/** The longest piece, in UTF-16 code units (about 16 KB of English). */
export const MAX_PIECE_LENGTH = 16_384;

/**
 * Whether a document is kept for validation and evaluation: one in twenty, by its id alone, so that every
 * stage and every machine agrees without a list. Nothing is ever trained on a held-out document.
 */
export function isHeldOut(id: string): boolean {
  return fnv1a32(id) % 20 === 0;
}

/** FNV-1a, 32 bits, over the UTF-8 bytes of the text (Fowler, Noll and Vo). */
export function fnv1a32(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/**
 * Cut a long text into pieces of at most `maxLength` UTF-16 code units, each as long as the best boundary
 * allows. A piece ends after the last blank line of its second half, else after the last line, sentence or
 * word there, else anywhere but inside a surrogate pair. The pieces joined are the text.
 */
export function splitText(text: string, maxLength: number = MAX_PIECE_LENGTH): string[] {
  const pieces: string[] = [];
  let start = 0;
  while (text.length - start > maxLength) {
    const end = cutPoint(text, start, start + maxLength);
    pieces.push(text.slice(start, end));
    start = end;
  }
  if (start < text.length || pieces.length === 0) pieces.push(text.slice(start));
  return pieces;
}

/** Where {@link splitText} ends a piece that starts at `start` and may go to `limit`. */
export function cutPoint(text: string, start: number, limit: number): number {
  const earliest = start + Math.ceil((limit - start) / 2);
  const half = text.slice(earliest, limit);
  for (const boundary of ['\n\n', '\n', '. ', ' ']) {
    const at = half.lastIndexOf(boundary);
    if (at >= 0) return earliest + at + boundary.length;
  }
  const splitsPair = /^[\ud800-\udbff][\udc00-\udfff]$/.test(text.slice(limit - 1, limit + 1));
  return splitsPair && limit - 1 > start ? limit - 1 : limit;
}

/**
 * The documents of one text: itself under `id`, or its pieces under `id#0`, `id#1` …. Blank texts and blank
 * pieces give none. A conversation's roles go with its pieces.
 */
export function toDocuments(
  source: string,
  id: string,
  text: string,
  roles?: readonly RoleSpan[],
): Document[] {
  const pieces = splitText(text);
  let from = 0;
  return pieces
    .map((piece, i) => {
      const document = { id: pieces.length === 1 ? id : `${id}#${i}`, source, text: piece };
      const start = from;
      from += piece.length;
      return roles ? { ...document, roles: rolesWithin(roles, start, from) } : document;
    })
    .filter((document) => document.text.trim() !== '');
}

function rolesWithin(roles: readonly RoleSpan[], from: number, to: number): RoleSpan[] {
  return roles
    .filter(({ start, end }) => start < to && end > from)
    .map(({ role, start, end }) => ({
      role,
      start: Math.max(start, from) - from,
      end: Math.min(end, to) - from,
    }));
}
