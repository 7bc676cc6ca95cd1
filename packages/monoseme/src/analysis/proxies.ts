import type { TokenSet } from '../corpus/index.ts';
import { MonosemeError } from '../errors.ts';
import type { Codes } from '../kernels/contract.ts';
import { codesOfDense } from './coded-text.ts';
import { type ContextText, contextText, type TokenBytes } from './context-text.ts';
import { ScriptScores } from './script-scores.ts';
import { SCRIPTS } from './scripts.ts';
import { TEXT_FORMATS } from './text-formats.ts';

/**
 * A computational proxy: a score of every token that says whether it belongs to a concept; positive where it does.
 *
 * - `alphabet`: the paper's log-likelihood ratio of a text of independent, equally likely characters
 * - `script`: the paper's for scripts, log P(script | string) / P(script)
 * - `pattern`: 1 on the tokens that touch a match of a regular expression
 * - `source`: 1 on the tokens of documents of one source
 */
export type Proxy =
  | { readonly kind: 'script'; readonly name: string }
  | {
      readonly kind: 'alphabet';
      readonly name: string;
      readonly characters: string;
      readonly minTokens: 1 | 2;
    }
  | { readonly kind: 'pattern'; readonly name: string; readonly pattern: RegExp }
  | { readonly kind: 'source'; readonly name: string; readonly source: string };

const DIGITS = '0123456789';
const UPPER = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** What is looked for by default: scripts, encodings, DNA, and formats of text. */
export const DEFAULT_PROXIES: readonly Proxy[] = [
  ...SCRIPTS.map((name) => ({ kind: 'script', name }) as const),
  {
    kind: 'alphabet',
    name: 'base64',
    minTokens: 1,
    characters: `${UPPER}${UPPER.toLowerCase()}${DIGITS}+/`,
  },
  { kind: 'alphabet', name: 'hexadecimal', characters: `${DIGITS}abcdef`, minTokens: 1 },
  { kind: 'alphabet', name: 'DNA', characters: 'ACGT', minTokens: 2 },
  { kind: 'alphabet', name: 'digits', characters: DIGITS, minTokens: 1 },
  ...TEXT_FORMATS.map(([name, pattern]) => ({ kind: 'pattern', name, pattern }) as const),
];

/** Log-probability of a character outside an alphabet. */
const IMPOSSIBLE = Math.log(1e-10);

/**
 * Scores of a text by proxies, as sparse codes: column p of a token holds the score by proxy p where it is positive
 * (the paper's proxies are cut at 0).
 */
export class ProxyScorer {
  readonly proxies: readonly Proxy[];
  readonly #tokens: TokenSet;
  readonly #vocabulary: TokenBytes;
  /** By token id: log P(token). */
  readonly #logUnigram: Float64Array;
  readonly #scripts: ScriptScores;

  /** @throws {MonosemeError} ERR_OPTION without proxies, for two of one name, or a regular expression without `g` */
  constructor(proxies: readonly Proxy[], tokens: TokenSet, vocabulary: TokenBytes) {
    checkProxies(proxies);
    this.proxies = proxies;
    this.#tokens = tokens;
    this.#vocabulary = vocabulary;
    const counts = new Float64Array(vocabulary.vocabSize);
    for (const token of tokens.tokens) counts[token]++;
    this.#logUnigram = counts.map((count) => Math.log(Math.max(count, 1) / tokens.tokens.length));
    const scripts = proxies.filter(({ kind }) => kind === 'script').map(({ name }) => name);
    this.#scripts = new ScriptScores(scripts, tokens, vocabulary);
  }

  /** Scores of whole contexts from token `first` on, [nRows, proxies]. */
  score(first: number, nRows: number): Codes {
    const { contextSize } = this.#tokens;
    const d = this.proxies.length;
    const dense = new Float32Array(nRows * d);
    for (let row = 0; row < nRows; row += contextSize) {
      const start = first + row;
      const ids = this.#tokens.tokens.subarray(start, start + contextSize);
      const context = contextText(ids, this.#vocabulary);
      this.proxies.forEach((proxy, p) => {
        const scores = this.#scoresOf(proxy, ids, context, start);
        for (let i = 0; i < ids.length; i++) dense[(row + i) * d + p] = Math.max(0, scores[i]);
      });
    }
    return codesOfDense(dense, nRows, d);
  }

  #scoresOf(proxy: Proxy, ids: Uint32Array, context: ContextText, start: number): ArrayLike<number> {
    if (proxy.kind === 'script') return this.#scripts.of(proxy.name, ids, context);
    if (proxy.kind === 'alphabet') return this.#alphabetScores(proxy, ids, context);
    if (proxy.kind === 'pattern') return patternScores(proxy.pattern, context);
    return Array.from(ids, (_, i) => (sourceAt(this.#tokens, start + i) === proxy.source ? 1 : 0));
  }

  /**
   * max over strings s that end at the token of log P(s | alphabet) − log P(s), P(s) the product of the tokens'
   * frequencies. A longer string is better exactly while what precedes adds more than nothing. Spaces around a token
   * do not count against it.
   */
  #alphabetScores(
    { characters, minTokens }: Extract<Proxy, { kind: 'alphabet' }>,
    ids: Uint32Array,
    { text, starts, ends }: ContextText,
  ): Float64Array {
    const logEach = -Math.log(characters.length);
    const own = Float64Array.from(ids, (id, i) => {
      let score = -(this.#logUnigram[id] ?? IMPOSSIBLE);
      const word = text.slice(starts[i], ends[i]).replace(/^ /, '');
      if (word === '') return IMPOSSIBLE;
      for (const character of word) score += characters.includes(character) ? logEach : IMPOSSIBLE;
      return score;
    });
    // The best string, of one token or more, that ends at the token before.
    let before = -Infinity;
    return own.map((score) => {
      const best = score + (minTokens === 1 ? Math.max(0, before) : before);
      before = score + Math.max(0, before);
      return best;
    });
  }
}

function checkProxies(proxies: readonly Proxy[]): void {
  const names = new Set(proxies.map(({ name }) => name));
  if (proxies.length === 0 || names.size < proxies.length)
    throw new MonosemeError(
      'ERR_OPTION',
      `There are ${proxies.length} proxies with ${names.size} names.`,
      'Give at least one, each with a name of its own.',
    );
  for (const proxy of proxies) {
    if (proxy.kind === 'pattern' && !proxy.pattern.global)
      throw new MonosemeError(
        'ERR_OPTION',
        `The pattern of "${proxy.name}" finds one match.`,
        'Set the flag g.',
      );
  }
}

function patternScores(pattern: RegExp, { text, starts, ends }: ContextText): Float64Array {
  const scores = new Float64Array(starts.length);
  let token = 0;
  for (const match of text.matchAll(pattern)) {
    const end = match.index + match[0].length;
    while (token < starts.length && ends[token] <= match.index) token++;
    for (let i = token; i < starts.length && starts[i] < end; i++) if (ends[i] > match.index) scores[i] = 1;
  }
  return scores;
}

function sourceAt({ documents }: TokenSet, token: number): string | undefined {
  let [low, high] = [0, documents.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (documents[middle].start <= token) low = middle;
    else high = middle;
  }
  return documents[low]?.source;
}
