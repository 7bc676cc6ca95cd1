/** The bytes of every token, by id. */
export interface TokenBytes {
  readonly vocabSize: number;
  tokenBytes(id: number): Uint8Array;
}

/** The text of some tokens, and which characters each of them touches. */
export interface ContextText {
  readonly text: string;
  /** [tokens + 1]: the characters (UTF-16 code units) that token t touches begin at `starts[t]` … */
  readonly starts: Uint32Array;
  /** … and end before `ends[t]`. Tokens that hold parts of one character all touch it. */
  readonly ends: Uint32Array;
}

/** Decode tokens as UTF-8; broken bytes become U+FFFD, one a byte. */
export function contextText(tokens: Uint32Array, vocabulary: TokenBytes): ContextText {
  const parts = Array.from(tokens, (id) =>
    id < vocabulary.vocabSize ? vocabulary.tokenBytes(id) : new Uint8Array(),
  );
  const bytes = Buffer.concat(parts);
  const unitOfByte = new Uint32Array(bytes.length + 1);
  let text = '';
  for (let at = 0; at < bytes.length;) {
    const length = characterLength(bytes, at);
    unitOfByte.fill(text.length, at, at + length);
    text += length === 1 && bytes[at] > 127 ? '\ufffd' : bytes.toString('utf8', at, at + length);
    at += length;
  }
  unitOfByte[bytes.length] = text.length;
  const starts = new Uint32Array(tokens.length);
  const ends = new Uint32Array(tokens.length);
  let byte = 0;
  parts.forEach((part, t) => {
    starts[t] = unitOfByte[byte];
    byte += part.length;
    // The end of the character in which the token's last byte lies.
    const last = part.length === 0 ? undefined : unitOfByte[byte - 1];
    ends[t] = last === undefined ? starts[t] : last + (text.codePointAt(last)! > 0xffff ? 2 : 1);
  });
  return { text, starts, ends };
}

/** Bytes of the UTF-8 character at a place; 1 where there is none. */
function characterLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at];
  const length = lead < 0xc2 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 1;
  if (at + length > bytes.length) return 1;
  for (let i = 1; i < length; i++) if ((bytes[at + i] & 0xc0) !== 0x80) return 1;
  if (length === 3 && ((lead === 0xe0 && bytes[at + 1] < 0xa0) || (lead === 0xed && bytes[at + 1] > 0x9f)))
    return 1;
  if (length === 4 && ((lead === 0xf0 && bytes[at + 1] < 0x90) || (lead === 0xf4 && bytes[at + 1] > 0x8f)))
    return 1;
  return length;
}
