import type { FeatureIndex } from './feature-index.ts';
import { tokenTexts } from './segments.ts';
import type { Vocabulary } from './vocabulary.ts';

/** The corpus as one text, and where each token begins in it, [nTokens + 1]. */
export interface CorpusText<T> {
  readonly text: T;
  readonly starts: Uint32Array;
}

/** As it is read, and as bytes of UTF-8 in lower case: the second is there in a tenth of the time. */
interface Texts {
  readonly plain: CorpusText<string>;
  readonly lower: CorpusText<Uint8Array>;
}

const MAKERS: { readonly [form in keyof Texts]: (tokens: Tokens, vocabulary: Vocabulary) => Texts[form] } = {
  plain: plainText,
  lower: lowerText,
};

type Tokens = Uint16Array | Uint32Array;

/** Of the index at hand: what was made last. */
let made: { index: FeatureIndex; texts: Map<keyof Texts, Promise<Texts[keyof Texts]>> } | undefined;

/** The corpus in one of its forms, made once. */
export function corpusText<F extends keyof Texts>(index: FeatureIndex, form: F): Promise<Texts[F]> {
  if (made?.index !== index) made = { index, texts: new Map() };
  const { texts } = made;
  let text = texts.get(form);
  if (!text) {
    text = index.corpus.all().then((tokens) => MAKERS[form](tokens, index.vocabulary));
    text.catch(() => texts.delete(form));
    texts.set(form, text);
  }
  return text as Promise<Texts[F]>;
}

function plainText(tokens: Tokens, vocabulary: Vocabulary): CorpusText<string> {
  const pieces = tokenTexts(tokens, vocabulary);
  const starts = new Uint32Array(pieces.length + 1);
  for (let i = 0; i < pieces.length; i++) starts[i + 1] = starts[i] + pieces[i].length;
  return { text: pieces.join(''), starts };
}

function lowerText(tokens: Tokens, vocabulary: Vocabulary): CorpusText<Uint8Array> {
  const pieces: Uint8Array[] = [];
  const starts = new Uint32Array(tokens.length + 1);
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i];
    const piece = (pieces[token] ??=
      vocabulary.partialBytes(token) ?? encoder.encode(vocabulary.text(token)));
    starts[i + 1] = starts[i] + piece.length;
  }
  const text = new Uint8Array(starts[tokens.length]);
  for (let i = 0; i < tokens.length; i++) {
    const piece = pieces[tokens[i]];
    // A call for each of millions of short pieces would take longer than their bytes.
    for (let k = 0, at = starts[i]; k < piece.length; k++) text[at + k] = piece[k];
  }
  lower_(text);
  return { text, starts };
}

const encoder = new TextEncoder();

/** What is looked for, as the corpus is in its form `lower`. */
export function lowerBytes(text: string): Uint8Array {
  const bytes = encoder.encode(text);
  lower_(bytes);
  return bytes;
}

/**
 * Make letters small. Those keep their form whose small one takes another number of bytes (ẞ, İ and a few), and those
 * beyond the first 65,536 characters.
 */
function lower_(bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (byte < 0x80) {
      if (byte >= 65 && byte <= 90) bytes[i] = byte + 32;
    } else if (byte >= 0xc3 && byte < 0xe0 && continues(bytes[i + 1])) {
      const small = smallOf(((byte & 0x1f) << 6) | (bytes[i + 1] & 0x3f));
      bytes[i] = 0xc0 | (small >> 6);
      bytes[++i] = 0x80 | (small & 0x3f);
    } else if (byte >= 0xe0 && byte < 0xf0 && continues(bytes[i + 1]) && continues(bytes[i + 2])) {
      const small = smallOf(((byte & 0xf) << 12) | ((bytes[i + 1] & 0x3f) << 6) | (bytes[i + 2] & 0x3f));
      bytes[i] = 0xe0 | (small >> 12);
      bytes[++i] = 0x80 | ((small >> 6) & 0x3f);
      bytes[++i] = 0x80 | (small & 0x3f);
    }
  }
}

/** Whether a byte goes on with a character; not one beyond the end. */
function continues(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

let small: Uint16Array | undefined;

/** The small form of a character's code, where it takes as many bytes; else the code. */
function smallOf(code: number): number {
  small ??= Uint16Array.from({ length: 2 ** 16 }, (_, large) => {
    const found = String.fromCharCode(large).toLowerCase();
    return found.length === 1 && byteLength(found.charCodeAt(0)) === byteLength(large)
      ? found.charCodeAt(0)
      : large;
  });
  return small[code];
}

function byteLength(code: number): number {
  return code < 0x80 ? 1 : code < 0x800 ? 2 : 3;
}

/** Where bytes occur in others (Horspool's search): starts and ends in turn. */
export function findBytes(text: Uint8Array, wanted: Uint8Array): number[] {
  const found: number[] = [];
  const last = wanted.length - 1;
  if (last < 0) return found;
  // How far the window moves when it ends with a byte.
  const steps = new Uint32Array(256).fill(wanted.length);
  for (let i = 0; i < last; i++) steps[wanted[i]] = last - i;
  for (let end = last; end < text.length;) {
    const byte = text[end];
    if (byte === wanted[last]) {
      let i = last - 1;
      while (i >= 0 && text[end - last + i] === wanted[i]) i--;
      if (i < 0) found.push(end - last, end + 1);
    }
    end += steps[byte];
  }
  return found;
}
