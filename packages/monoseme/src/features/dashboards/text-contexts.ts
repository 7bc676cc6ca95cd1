import { createHash } from 'node:crypto';
import type { TokenSet } from '../../corpus/index.ts';
import { MonosemeError } from '../../errors.ts';
import type { TokenTexts } from '../vocabulary.ts';

/** Tokens of all examples together, without repeats; at 4 bytes each. */
const MAX_TOKENS = 2 ** 28;

/**
 * The texts of an export's examples as a corpus: each distinct text once, as a context, filled up to the length of the
 * longest with token 0, which has no text. Tokens get numbers in the order in which they are met.
 */
export class TextContexts {
  readonly #ids = new Map<string, number>([['', 0]]);
  readonly #contexts: Uint32Array[] = [];
  readonly #known = new Map<string, number>();
  #longest = 1;
  #nTokens = 0;

  /** The number of the token with this text. */
  id(text: string): number {
    let id = this.#ids.get(text);
    if (id === undefined) {
      id = this.#ids.size;
      this.#ids.set(text, id);
    }
    return id;
  }

  /** The number of the context with this text. @throws {MonosemeError} ERR_LIMIT */
  context(tokens: readonly string[]): number {
    const ids = new Uint32Array(tokens.length);
    for (let i = 0; i < tokens.length; i++) ids[i] = this.id(tokens[i]);
    const key = createHash('sha1').update(ids).digest('base64');
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.#nTokens += ids.length;
    if (this.#nTokens > MAX_TOKENS)
      throw new MonosemeError(
        'ERR_LIMIT',
        `The examples have more than ${MAX_TOKENS} tokens.`,
        'Build an index from the dictionary itself: `monoseme index`.',
      );
    this.#known.set(key, this.#contexts.length);
    this.#longest = Math.max(this.#longest, ids.length);
    return this.#contexts.push(ids) - 1;
  }

  /** Tokens in a context, once all are known. */
  get contextSize(): number {
    return this.#longest;
  }

  tokenSet(source: string): TokenSet {
    const nContexts = Math.max(1, this.#contexts.length);
    const tokens = new Uint32Array(nContexts * this.#longest);
    const documents = this.#contexts.map((ids, i) => {
      const start = i * this.#longest;
      tokens.set(ids, start);
      return { id: `${i}`, source, start, length: ids.length };
    });
    return { tokens, contextSize: this.#longest, nContexts, documents };
  }

  texts(): TokenTexts {
    const texts = [...this.#ids.keys()];
    return {
      vocabSize: texts.length,
      tokenText: (id) => texts[id],
      tokenBytes: (id) => new TextEncoder().encode(texts[id]),
    };
  }
}
