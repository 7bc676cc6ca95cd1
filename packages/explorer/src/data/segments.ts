import type { Vocabulary } from './vocabulary.ts';

/** A piece of text that is highlighted as one: a token, or several that share a character. */
export interface Segment {
  readonly text: string;
  /** Corpus index of its first token. */
  readonly position: number;
  readonly tokens: readonly number[];
}

/**
 * Cut tokens into segments. A character whose bytes are spread over several tokens joins them to one segment; bytes
 * that make up no character stay alone and are shown as `\xNN`.
 */
export function segmentsOf(tokens: ArrayLike<number>, start: number, vocabulary: Vocabulary): Segment[] {
  const segments: Segment[] = [];
  let i = 0;
  while (i < tokens.length) {
    const joined = joinCharacter(tokens, i, vocabulary);
    if (joined) {
      segments.push({ text: joined.text, position: start + i, tokens: joined.tokens });
      i += joined.tokens.length;
    } else {
      segments.push({ text: vocabulary.text(tokens[i]), position: start + i, tokens: [tokens[i]] });
      i++;
    }
  }
  return segments;
}

/** No character has more than 4 bytes, and every token brings at least one. */
const MOST_TOKENS = 4;
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The character that the tokens from `first` on make up together; undefined when they do not. */
export function joinCharacter(
  tokens: ArrayLike<number>,
  first: number,
  vocabulary: Vocabulary,
): { text: string; tokens: number[] } | undefined {
  const bytes: number[] = [];
  const joined: number[] = [];
  for (let i = first; i < Math.min(tokens.length, first + MOST_TOKENS); i++) {
    const part = vocabulary.partialBytes(tokens[i]);
    if (!part) return undefined;
    bytes.push(...part);
    joined.push(tokens[i]);
    if (joined.length === 1) continue;
    try {
      return { text: decoder.decode(Uint8Array.from(bytes)), tokens: joined };
    } catch {
      // Not whole yet: the next token may complete it.
    }
  }
  return undefined;
}

/** White space that would not be seen, as symbols; a line break keeps none of its effect. */
export function visible(text: string): string {
  return text.replace(/\r?\n/g, '↵').replaceAll('\t', '⇥').replaceAll('\r', '\\r');
}

/** A token's text for lists and labels: spaces shown too. */
export function tokenLabel(text: string): string {
  return visible(text).replaceAll(' ', '␣');
}
