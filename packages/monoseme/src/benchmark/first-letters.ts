import type { Tokenizer } from '../corpus/index.ts';
import { hashSeed, Random } from '../random/index.ts';

/** A token that is a word of Latin letters, with a space before it or not. */
export interface LetterWord {
  readonly id: number;
  readonly text: string;
  /** 0 for a, …, 25 for z. */
  readonly letter: number;
}

export const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

/** Words of the vocabulary, at most `limit`, drawn and ordered by the seed. */
export function vocabularyWords(tokenizer: Tokenizer, limit: number, seed: number): LetterWord[] {
  const words: LetterWord[] = [];
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    const text = wordText(tokenizer, id);
    const match = /^ ?([A-Za-z])[A-Za-z]*$/.exec(text);
    if (match) words.push({ id, text, letter: LETTERS.indexOf(match[1].toLowerCase()) });
  }
  const order = new Random(hashSeed(seed, 'letter-words')).permutation(words.length);
  return Array.from(order.subarray(0, limit), (i) => words[i]);
}

/** The text of an id, '' for a hole in the vocabulary. SentencePiece's mark of a word's beginning is a space. */
function wordText(tokenizer: Tokenizer, id: number): string {
  try {
    return tokenizer.tokenText(id).replace(/^▁/, ' ');
  } catch {
    return '';
  }
}

/**
 * The prompt that ends with a word: examples of the task before it, as `⏎ word has the first letter: W`.
 * Source  SAEBench's absorption, which reads the activation at the word. What follows the word cannot change that in a
 *         causal model, so it is left out; the word is put in as its token, never tokenised again.
 */
export function letterPrompts(
  tokenizer: Tokenizer,
  words: readonly LetterWord[],
  nExamples: number,
  seed: number,
): Uint32Array[] {
  const { separatorId } = tokenizer;
  const head = separatorId === undefined ? [] : [separatorId];
  const lineEnd = tokenizer.encode('\n');
  const answers = Array.from(LETTERS, (letter) =>
    tokenizer.encode(` has the first letter: ${letter.toUpperCase()}\n`),
  );
  return words.map((word) => {
    const random = new Random(hashSeed(seed, 'letter-prompt', word.id));
    const others = drawOthers(words, word, nExamples, random);
    const lines = others.flatMap(({ id, letter }) => [id, ...answers[letter]]);
    return Uint32Array.from([...head, ...lineEnd, ...lines, word.id]);
  });
}

function drawOthers(words: readonly LetterWord[], word: LetterWord, n: number, random: Random): LetterWord[] {
  const drawn: LetterWord[] = [];
  while (drawn.length < Math.min(n, words.length - 1)) {
    const other = words[random.integer(words.length)];
    if (other !== word && !drawn.includes(other)) drawn.push(other);
  }
  return drawn;
}
