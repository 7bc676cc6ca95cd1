import { SplitPreTokenizer } from './library.ts';
import type { Step, TokenizerJson } from './tokenizer-json.ts';
import { stepsOf } from './tokenizer-json.ts';

/** Cuts a text into words that can be encoded one by one; undefined for a text that must be encoded whole. */
export type Splitter = (text: string) => string[] | undefined;

/** How byte-level tokenizers of GPT-2's kind split text when they bring no pattern of their own. */
const GPT2_WORDS = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/**
 * The word splitter of a tokenizer, or undefined when words are not encoded independently of each other or are
 * cut in another way than by one pattern.
 */
export function wordSplitter(json: TokenizerJson): Splitter | undefined {
  if (json.normalizer !== null || json.model.type !== 'BPE') return undefined;
  if (stepsOf(json.post_processor).some(({ type }) => type !== 'ByteLevel')) return undefined;
  const split = splitterOf(stepsOf(json.pre_tokenizer));
  if (!split) return undefined;
  const added = json.added_tokens.map(({ content }) => content);
  // Added tokens are looked for before words are; a text that names one is rare and goes the slow way.
  return (text) => (added.some((token) => text.includes(token)) ? undefined : split(text));
}

function splitterOf(steps: Step[]): ((text: string) => string[]) | undefined {
  const [first, second] = steps;
  if (steps.length === 1 && isByteLevel(first, true)) return (text) => text.match(GPT2_WORDS) ?? [];
  const isPattern = first?.type === 'Split' && first.behavior === 'Isolated' && first.invert === false;
  if (steps.length !== 2 || !isPattern || !isByteLevel(second, false)) return undefined;
  const splitter = new SplitPreTokenizer(first);
  return (text) => splitter.pre_tokenize_text(text);
}

function isByteLevel(step: Step, useRegex: boolean): boolean {
  return (
    step.type === 'ByteLevel' && step.add_prefix_space === false && (step.use_regex ?? true) === useRegex
  );
}
