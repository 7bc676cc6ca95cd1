import type { TokenizerJson } from './tokenizer-json.ts';
import { stepsOf, vocabEntries } from './tokenizer-json.ts';

/**
 * The bytes of every token by id, with holes at ids without a token. Three spellings are known: byte-level
 * (each character stands for one byte), SentencePiece (`▁` for a space, `<0xNN>` for a byte) and plain text,
 * which is taken as it is.
 */
export function tokenBytes(json: TokenizerJson): (Uint8Array | undefined)[] {
  const toBytes = isByteLevel(json) ? byteLevelBytes : isSentencePiece(json) ? sentencePieceBytes : utf8;
  const bytes: (Uint8Array | undefined)[] = [];
  for (const [token, id] of vocabEntries(json)) bytes[id] = toBytes(token);
  for (const { content, id } of json.added_tokens) bytes[id] = utf8(content);
  return bytes;
}

/** Bytes as text for reading: characters as they are, bytes that make up no whole character as `\xNN`. */
export function visibleText(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length;) {
    const length = characterLength(bytes, at);
    text += length
      ? new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(at, at + length))
      : `\\x${bytes[at].toString(16).padStart(2, '0')}`;
    at += length || 1;
  }
  return text;
}

/** The length of the well-formed UTF-8 character that starts at a byte, or 0 when none does. */
function characterLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at];
  const length =
    first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length < 2) return length;
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(at, at + length));
    return at + length <= bytes.length ? length : 0;
  } catch {
    return 0;
  }
}

function isByteLevel(json: TokenizerJson): boolean {
  return stepsOf(json.decoder)
    .concat(stepsOf(json.pre_tokenizer))
    .some(({ type }) => type === 'ByteLevel');
}

function isSentencePiece(json: TokenizerJson): boolean {
  return stepsOf(json.decoder)
    .concat(stepsOf(json.pre_tokenizer), stepsOf(json.normalizer))
    .some((step) => step.type === 'Metaspace' || step.content === '▁');
}

function byteLevelBytes(token: string): Uint8Array {
  const bytes = Array.from(token, (character) => BYTE_OF.get(character));
  // A token with a character outside the byte alphabet was added by hand and stands for itself.
  return bytes.includes(undefined) ? utf8(token) : Uint8Array.from(bytes as number[]);
}

function sentencePieceBytes(token: string): Uint8Array {
  const byte = /^<0x([0-9A-F]{2})>$/.exec(token);
  return byte ? Uint8Array.of(parseInt(byte[1], 16)) : utf8(token.replaceAll('▁', ' '));
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/**
 * The byte-level alphabet (GPT-2, Radford et al. 2019): a byte that prints in Latin-1 is written as itself, the
 * n-th of the others as U+0100 + n.
 */
const BYTE_OF: ReadonlyMap<string, number> = byteAlphabet();

function byteAlphabet(): Map<string, number> {
  const alphabet = new Map<string, number>();
  let others = 0;
  for (let byte = 0; byte < 256; byte++) {
    const prints = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    alphabet.set(String.fromCharCode(prints ? byte : 0x100 + others++), byte);
  }
  return alphabet;
}
