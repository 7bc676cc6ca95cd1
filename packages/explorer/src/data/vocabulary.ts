import { IndexError } from './index-error.ts';

/** Texts of the tokens; for those that are only a part of a character, their bytes. */
export class Vocabulary {
  readonly texts: readonly string[];
  /** How often each token occurs in the corpus. */
  readonly counts: readonly number[];
  readonly #bytes = new Map<number, Uint8Array>();
  /** By token: 1 for those in `#bytes`. Most are not, and are asked for millions of times. */
  readonly #isPartial: Uint8Array;

  constructor(json: { texts?: unknown; counts?: unknown; bytes?: unknown }) {
    if (!Array.isArray(json?.texts) || !Array.isArray(json.counts))
      throw new IndexError(
        'The vocabulary is damaged',
        'vocabulary.json has no texts.',
        'Build the index again.',
      );
    this.texts = json.texts as string[];
    this.counts = json.counts as number[];
    this.#isPartial = new Uint8Array(this.texts.length);
    for (const [id, hex] of Object.entries((json.bytes ?? {}) as Record<string, string>)) {
      const pairs = hex.match(/../g) ?? [];
      this.#isPartial[Number(id)] = 1;
      this.#bytes.set(
        Number(id),
        Uint8Array.from(pairs, (pair) => parseInt(pair, 16)),
      );
    }
  }

  text(token: number): string {
    return this.texts[token] ?? `⟨${token}⟩`;
  }

  /** The bytes of a token that is not whole characters; undefined for the others. */
  partialBytes(token: number): Uint8Array | undefined {
    return this.#isPartial[token] === 1 ? this.#bytes.get(token) : undefined;
  }

  /** Tokens of the corpus in whose text a pattern matches, the most frequent first. */
  matching(pattern: RegExp, limit: number): number[] {
    const found = this.texts.flatMap((text, token) =>
      this.counts[token] > 0 && pattern.test(text) ? [token] : [],
    );
    return found.sort((a, b) => this.counts[b] - this.counts[a]).slice(0, limit);
  }

  /**
   * Tokens whose text contains `query`, best first: the same text, the same but for spaces at its ends, the same but
   * for case, then those that contain it; each by how often they occur.
   */
  search(query: string, limit: number): number[] {
    const lower = query.toLowerCase();
    const bare = lower.trim();
    if (bare === '' && query === '') return [];
    const found: { token: number; rank: number }[] = [];
    this.texts.forEach((text, token) => {
      if (this.counts[token] === 0) return;
      const small = text.toLowerCase();
      if (!small.includes(lower)) return;
      const rank = text === query ? 0 : text.trim() === query.trim() ? 1 : small.trim() === bare ? 2 : 3;
      found.push({ token, rank });
    });
    found.sort((a, b) => a.rank - b.rank || this.counts[b.token] - this.counts[a.token]);
    return found.slice(0, limit).map(({ token }) => token);
  }
}
