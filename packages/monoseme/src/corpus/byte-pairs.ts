import type { TokenizerJson } from './tokenizer-json.ts';

/** Settings of a BPE model under which words are encoded in other ways than by merging alone. */
const OTHER_WAYS = ['dropout', 'continuing_subword_prefix', 'end_of_word_suffix'] as const;

/**
 * Byte-pair encoding of single words, bytes first (Sennrich et al. 2016; Radford et al. 2019): of all neighbouring pairs the
 * one whose merge was learned first is joined, the leftmost of equals, until none is left. For words as texts hold them,
 * whose pairs are soon looked through; several times as fast as the library, whose queue pays for long ones.
 */
export class BytePairs {
  /** Id of the token of each byte. */
  readonly #idOfByte: Int32Array;
  /** Rank of the merge of a pair of ids, by left · vocabulary + right. */
  readonly #ranks = new Map<number, number>();
  /** Id that the merge of a rank makes. */
  readonly #merged: number[] = [];
  readonly #vocabSize: number;
  /** Tokens by their bytes, where a word that is one is not merged at all. */
  readonly #wholeWords = new Map<string, number>();

  private constructor(idOfByte: Int32Array, vocabSize: number) {
    this.#idOfByte = idOfByte;
    this.#vocabSize = vocabSize;
  }

  /**
   * The encoder of a byte-level BPE tokenizer, given the bytes of its tokens; undefined where its words are encoded in
   * another way.
   */
  static of(json: TokenizerJson, bytes: readonly (Uint8Array | undefined)[]): BytePairs | undefined {
    const model = json.model as TokenizerJson['model'] & Record<string, unknown>;
    const { vocab, merges } = model;
    if (Array.isArray(vocab) || !Array.isArray(merges) || OTHER_WAYS.some((key) => model[key]))
      return undefined;
    const idOfByte = new Int32Array(256).fill(-1);
    for (const id of Object.values(vocab)) if (bytes[id]?.length === 1) idOfByte[bytes[id][0]] = id;
    if (idOfByte.includes(-1)) return undefined;
    const pairs = new BytePairs(idOfByte, bytes.length);
    for (const merge of merges as (string | [string, string])[]) {
      const [left, right] = typeof merge === 'string' ? merge.split(' ') : merge;
      if (!pairs.#learn(vocab[left], vocab[right], vocab[left + right])) return undefined;
    }
    if (model.ignore_merges)
      for (const id of Object.values(vocab)) pairs.#wholeWords.set(keyOf(bytes[id]!), id);
    return pairs;
  }

  /** The ids of a word. */
  encode(word: string): number[] {
    const bytes = Buffer.from(word);
    const whole = this.#wholeWords.size > 0 ? this.#wholeWords.get(keyOf(bytes)) : undefined;
    if (whole !== undefined) return [whole];
    const ids = Array.from(bytes, (byte) => this.#idOfByte[byte]);
    for (;;) {
      let at = 0;
      let first = Infinity;
      for (let i = 1; i < ids.length; i++) {
        const rank = this.#ranks.get(ids[i - 1] * this.#vocabSize + ids[i]);
        if (rank === undefined || rank >= first) continue;
        first = rank;
        at = i;
      }
      if (first === Infinity) return ids;
      ids[at - 1] = this.#merged[first];
      ids.splice(at, 1);
    }
  }

  #learn(left: number | undefined, right: number | undefined, merged: number | undefined): boolean {
    if (left === undefined || right === undefined || merged === undefined) return false;
    const key = left * this.#vocabSize + right;
    if (!this.#ranks.has(key)) this.#ranks.set(key, this.#merged.length);
    this.#merged.push(merged);
    return true;
  }
}

function keyOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
