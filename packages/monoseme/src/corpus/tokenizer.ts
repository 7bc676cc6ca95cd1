import { MonosemeError } from '../errors.ts';
import { BytePairs } from './byte-pairs.ts';
import { LibraryTokenizer } from './library.ts';
import { tokenBytes, visibleText } from './token-bytes.ts';
import type { TokenizerJson } from './tokenizer-json.ts';
import { checkTokenizerJson, readTokenizerFile } from './tokenizer-json.ts';
import type { Splitter } from './word-splitter.ts';
import { wordSplitter } from './word-splitter.ts';

/** Tokens that begin a text or part two texts, the likelier first. */
const SEPARATORS = ['<|endoftext|>', '<|begin_of_text|>', '<bos>', '<s>', '[BOS]', '[CLS]', '</s>', '<eos>'];

/** Words remembered at once: most of what a corpus of some 10 million tokens says, in about 30 MB. */
const MAX_REMEMBERED_WORDS = 2 ** 17;
const MAX_REMEMBERED_LENGTH = 64;

/**
 * A model's own tokenizer, from its `tokenizer.json`. `@huggingface/tokenizers` does the tokenising; where the
 * file splits texts into words by one pattern (as GPT-2's kind do), each word is encoded once ({@link BytePairs}) and
 * remembered, which changes no id and is several times faster.
 */
export class Tokenizer {
  /** One more than the largest id. */
  readonly vocabSize: number;
  /** The id that precedes every document in a token stream; undefined when the vocabulary has none. */
  readonly separatorId: number | undefined;
  /** Ids of the special tokens (BOS, padding, …), rising. */
  readonly specialIds: readonly number[];
  readonly #library: LibraryTokenizer;
  /** By id; holes where an id has no token. */
  readonly #bytes: readonly (Uint8Array | undefined)[];
  readonly #split: Splitter | undefined;
  readonly #pairs: BytePairs | undefined;
  readonly #words = new Map<string, readonly number[]>();

  /**
   * @param json the parsed content of a tokenizer.json
   * @param options.separator the token to use as document separator instead of the one found by name
   * @throws {MonosemeError} ERR_TOKENIZER when it is not one, or not of a kind that can be run
   */
  constructor(json: unknown, options: { separator?: string } = {}) {
    const checked = checkTokenizerJson(json);
    try {
      this.#library = new LibraryTokenizer(checked, { clean_up_tokenization_spaces: false });
      this.#library.encode('a b', { add_special_tokens: false });
    } catch (cause) {
      throw new MonosemeError(
        'ERR_TOKENIZER',
        `The tokenizer cannot be built: ${(cause as Error).message.split('\n')[0]}.`,
        'Use a tokenizer.json of the Hugging Face format.',
        { cause },
      );
    }
    this.#bytes = tokenBytes(checked);
    this.vocabSize = this.#bytes.length;
    this.#split = wordSplitter(checked);
    this.#pairs = this.#split && BytePairs.of(checked, this.#bytes);
    this.specialIds = checked.added_tokens
      .filter(({ special }) => special)
      .map(({ id }) => id)
      .sort((a, b) => a - b);
    this.separatorId = this.#findSeparator(checked, options.separator);
  }

  /**
   * The tokenizer of a file.
   *
   * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FILE, ERR_LIMIT (over 128 MiB), ERR_TOKENIZER
   */
  static open(file: string, options: { separator?: string } = {}): Tokenizer {
    return new Tokenizer(readTokenizerFile(file), options);
  }

  /**
   * Drop the words remembered so far. Tens of megabytes of small objects slow down every collection of garbage that
   * comes after, so long work that tokenises no more should not carry them.
   */
  forgetWords(): void {
    this.#words.clear();
  }

  /**
   * The ids of a text, without special tokens around it. As in the libraries of the model's makers, the name of
   * a special token inside the text becomes that token.
   */
  encode(text: string): Uint32Array {
    const words = this.#split?.(text);
    if (!words) return Uint32Array.from(this.#encodeWhole(text));
    const ids: number[] = [];
    for (const word of words) {
      const encoded = this.#encodeWord(word);
      for (let i = 0; i < encoded.length; i++) ids.push(encoded[i]);
    }
    return Uint32Array.from(ids);
  }

  /**
   * The text of ids. Of a byte-level tokenizer it is the tokens' bytes read as UTF-8, so that
   * `decode(encode(text)) === text` for every well-formed text; broken sequences become U+FFFD.
   *
   * @throws {MonosemeError} ERR_TOKENIZER for an id outside the vocabulary
   */
  decode(ids: Iterable<number>): string {
    const parts = Array.from(ids, (id) => this.tokenBytes(id));
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.concat(parts));
  }

  /**
   * The exact bytes that a token stands for (UTF-8 where the tokenizer is not byte-level).
   *
   * @throws {MonosemeError} ERR_TOKENIZER for an id outside the vocabulary
   */
  tokenBytes(id: number): Uint8Array {
    const bytes = this.#bytes[id];
    if (bytes) return bytes;
    throw new MonosemeError(
      'ERR_TOKENIZER',
      `The token id ${id} is not in the vocabulary of ${this.vocabSize}.`,
      'Check that the tokens and the tokenizer belong together.',
    );
  }

  /** The id of a token by its name. @throws {MonosemeError} ERR_TOKENIZER when the vocabulary has none of that name */
  tokenId(name: string): number {
    const id = this.#library.token_to_id(name);
    if (id !== undefined) return id;
    throw new MonosemeError(
      'ERR_TOKENIZER',
      `The token "${name}" is not in the vocabulary.`,
      'Name a token of the tokenizer.',
    );
  }

  /** The text of one token for reading: bytes that are no whole character are shown as `\xNN`. */
  tokenText(id: number): string {
    return visibleText(this.tokenBytes(id));
  }

  #encodeWhole(text: string): number[] {
    const { ids } = this.#library.encode(text, { add_special_tokens: false });
    if (ids.every((id) => Number.isInteger(id))) return ids;
    throw new MonosemeError(
      'ERR_TOKENIZER',
      'The tokenizer has no token for a part of the text, and no token for the unknown.',
      'Check that its vocabulary is complete.',
    );
  }

  #encodeWord(word: string): readonly number[] {
    const known = this.#words.get(word);
    if (known) return known;
    if (word.length > MAX_REMEMBERED_LENGTH) return this.#encodeWhole(word);
    const ids = this.#pairs?.encode(word) ?? this.#encodeWhole(word);
    if (this.#words.size >= MAX_REMEMBERED_WORDS) this.#words.clear();
    this.#words.set(word, ids);
    return ids;
  }

  #findSeparator(json: TokenizerJson, wanted: string | undefined): number | undefined {
    const special = new Map(
      json.added_tokens.filter(({ special }) => special).map(({ content, id }) => [content, id]),
    );
    if (wanted === undefined) {
      const name = SEPARATORS.find((separator) => special.has(separator));
      return name === undefined ? undefined : special.get(name);
    }
    return this.tokenId(wanted);
  }
}
