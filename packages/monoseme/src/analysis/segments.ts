import type { DocumentSpan, TokenSet } from '../corpus/index.ts';
import { MonosemeError } from '../errors.ts';
import type { TokenBytes } from './context-text.ts';

/** A text as one tokenizer cuts it. */
export interface CutText {
  readonly tokens: TokenSet;
  /** `specialIds`: tokens that stand for no text. */
  readonly vocabulary: TokenBytes & { readonly specialIds: readonly number[] };
}

/**
 * One text as two tokenizers cut it: the pieces between the places where both cut, numbered along the text. Where one
 * tokenizer has `whale` and `s` and the other `wh` and `ales`, the piece is `whales`.
 */
export interface Segments {
  /** [tokens of a], [tokens of b]: the piece of each token; −1 for special tokens and for text that only one side has. */
  readonly ofTokens: readonly [Int32Array, Int32Array];
  readonly n: number;
}

/**
 * Line up two token sets of the same documents by the bytes of their text. A document goes as far as both sides have it
 * and say the same: tokenizers that change text (lower case, unknown characters) lose what follows the first change. A
 * space that one of them puts before a document is passed over.
 *
 * @throws {MonosemeError} ERR_MISMATCH when nothing lines up
 */
export function alignTokens(a: CutText, b: CutText): Segments {
  const ofTokens = [a, b].map(({ tokens }) => new Int32Array(tokens.tokens.length).fill(-1));
  const inB = new Map(b.tokens.documents.map((document, place) => [document.id, place]));
  let n = 0;
  let next = 0;
  for (const document of a.tokens.documents) {
    const place = inB.get(document.id);
    // Both sides have the documents in one order; one that comes again under the same name takes part once.
    if (place === undefined || place < next) continue;
    next = place + 1;
    const cuts = [cutsOf(a, document), cutsOf(b, b.tokens.documents[place])] as const;
    n = addSegments(cuts, ofTokens, n);
  }
  if (n > 0) return { ofTokens: [ofTokens[0], ofTokens[1]], n };
  throw new MonosemeError(
    'ERR_MISMATCH',
    'The two tokenizers have no piece of text in common.',
    'Compare models over text that both tokenizers keep as it is.',
  );
}

/** The tokens of a document that stand for text. */
interface Cuts {
  /** Places in the token set. */
  readonly places: readonly number[];
  /** Bytes of the document up to the end of each. */
  readonly ends: readonly number[];
  readonly text: Buffer;
}

function cutsOf({ tokens: { tokens }, vocabulary }: CutText, { start, length }: DocumentSpan): Cuts {
  const { specialIds, vocabSize } = vocabulary;
  const places: number[] = [];
  const ends: number[] = [];
  const parts: Uint8Array[] = [];
  let end = 0;
  for (let place = start; place < start + length; place++) {
    const id = tokens[place];
    if (id >= vocabSize || specialIds.includes(id)) continue;
    const bytes = vocabulary.tokenBytes(id);
    end += bytes.length;
    places.push(place);
    ends.push(end);
    parts.push(bytes);
  }
  return { places, ends, text: Buffer.concat(parts) };
}

/** Number the pieces of a document from `first`. Returns the number of the next piece. */
function addSegments(cuts: readonly [Cuts, Cuts], ofTokens: readonly Int32Array[], first: number): number {
  const [a, b] = cuts;
  const shift = [leadingSpace(a.text, b.text), leadingSpace(b.text, a.text)];
  const same = commonLength(a.text.subarray(shift[0]), b.text.subarray(shift[1]));
  const endA = (i: number) => a.ends[i] - shift[0];
  const endB = (j: number) => b.ends[j] - shift[1];
  let n = first;
  for (let [i, j] = [0, 0]; ; n++) {
    const [fromA, fromB] = [i, j];
    while (i < a.ends.length && j < b.ends.length && endA(i) !== endB(j)) {
      if (endA(i) < endB(j)) i++;
      else j++;
    }
    if (i === a.ends.length || j === b.ends.length || endA(i) > same) return n;
    for (let at = fromA; at <= i; at++) ofTokens[0][a.places[at]] = n;
    for (let at = fromB; at <= j; at++) ofTokens[1][b.places[at]] = n;
    i++;
    j++;
  }
}

/** 1 when a text begins with a space that the other one lacks. */
function leadingSpace(text: Buffer, other: Buffer): 0 | 1 {
  return text[0] === 0x20 && other[0] !== 0x20 && text.length > 1 && text[1] === other[0] ? 1 : 0;
}

function commonLength(a: Buffer, b: Buffer): number {
  const length = Math.min(a.length, b.length);
  let n = 0;
  while (n < length && a[n] === b[n]) n++;
  return n;
}
