import type { Vocabulary } from './vocabulary.ts';

/** A piece of text that is highlighted as one: a token, or several that share a character. */
export interface Segment {
  readonly text: string;
  /** Corpus index of its first token. */
  readonly position: number;
  readonly tokens: readonly number[];
}

/**
 * Cut tokens into segments. Where characters are spread over tokens, each is shown with the token that its first byte
 * is in, and a token in which no character begins joins the one before it.
 */
export function segmentsOf(tokens: ArrayLike<number>, start: number, vocabulary: Vocabulary): Segment[] {
  const segments: Segment[] = [];
  tokenTexts(tokens, vocabulary).forEach((text, i) => {
    const last = segments.at(-1);
    if (text === '' && last && vocabulary.partialBytes(tokens[i]))
      segments[segments.length - 1] = { ...last, tokens: [...last.tokens, tokens[i]] };
    else segments.push({ text, position: start + i, tokens: [tokens[i]] });
  });
  return segments;
}

/** The text that each token of a sequence begins; bytes that are part of no character as `\xNN`. */
export function tokenTexts(tokens: ArrayLike<number>, vocabulary: Vocabulary): string[] {
  const texts: string[] = [];
  for (let i = 0; i < tokens.length;) {
    let end = i;
    while (end < tokens.length && vocabulary.partialBytes(tokens[end])) end++;
    if (end === i) texts.push(vocabulary.text(tokens[i++]));
    else {
      const parts = Array.from({ length: end - i }, (_, k) => vocabulary.partialBytes(tokens[i + k])!);
      for (const text of joinedTexts(parts)) texts.push(text);
      i = end;
    }
  }
  return texts;
}

function joinedTexts(parts: readonly Uint8Array[]): string[] {
  const texts = parts.map(() => '');
  const owners = parts.flatMap((part, i) => Array<number>(part.length).fill(i));
  const bytes = Uint8Array.from(parts.flatMap((part) => [...part]));
  for (let at = 0; at < bytes.length;) {
    const character = characterAt(bytes, at);
    texts[owners[at]] += character?.text ?? `\\x${bytes[at].toString(16).padStart(2, '0')}`;
    at += character?.length ?? 1;
  }
  return texts;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function characterAt(bytes: Uint8Array, at: number): { text: string; length: number } | undefined {
  const first = bytes[at];
  const length =
    first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > bytes.length) return undefined;
  try {
    return { text: decoder.decode(bytes.subarray(at, at + length)), length };
  } catch {
    return undefined;
  }
}

/** White space that would not be seen, as symbols; a line break keeps none of its effect. */
export function visible(text: string): string {
  // Most tokens have none, and thousands of them are drawn at once.
  if (!/[\n\r\t]/.test(text)) return text;
  return text.replace(/\r?\n/g, '↵').replaceAll('\t', '⇥').replaceAll('\r', '\\r');
}

/** A token's text for lists and labels: spaces shown too, but not in what stands for a token without a text. */
export function tokenLabel(text: string): string {
  if (text.startsWith('⟨') && text.endsWith('⟩')) return text;
  return visible(text).replaceAll(' ', '␣');
}
