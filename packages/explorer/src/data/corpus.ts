import type { Manifest } from './manifest.ts';
import type { RemoteFile } from './remote-file.ts';

/** A corpus up to this size is fetched whole: examples point everywhere into it. */
const WHOLE_BYTES = 16 * 2 ** 20;
const BLOCK_BYTES = 2 ** 15;

/** The tokens that examples point into. */
export class Corpus {
  readonly contextSize: number;
  readonly nTokens: number;
  readonly #file: RemoteFile;
  readonly #tokenBytes: 2 | 4;
  #whole: Uint16Array | Uint32Array | undefined;
  readonly #blocks = new Map<number, Promise<Uint16Array | Uint32Array>>();

  constructor(file: RemoteFile, { corpus }: Manifest) {
    this.#file = file;
    this.contextSize = corpus.context_size;
    this.nTokens = corpus.n_tokens;
    this.#tokenBytes = corpus.token_bytes;
  }

  /** All tokens at once, for a search through the text. */
  async all(): Promise<Uint16Array | Uint32Array> {
    this.#whole ??= this.#view(await this.#file.whole());
    return this.#whole;
  }

  /** Tokens `start` … `end − 1`, cut to the context that holds `inside`. */
  async around(
    inside: number,
    before: number,
    after: number,
  ): Promise<{ start: number; tokens: ArrayLike<number> }> {
    const contextStart = inside - (inside % this.contextSize);
    const start = Math.max(contextStart, inside - before);
    const end = Math.min(contextStart + this.contextSize, inside + after + 1);
    if (this.nTokens * this.#tokenBytes <= WHOLE_BYTES)
      return { start, tokens: (await this.all()).subarray(start, end) };
    const perBlock = BLOCK_BYTES / this.#tokenBytes;
    const tokens: number[] = [];
    for (let block = Math.floor(start / perBlock); block * perBlock < end; block++) {
      const part = await this.#block(block);
      const from = Math.max(0, start - block * perBlock);
      tokens.push(...part.subarray(from, Math.min(part.length, end - block * perBlock)));
    }
    return { start, tokens };
  }

  #block(block: number): Promise<Uint16Array | Uint32Array> {
    let known = this.#blocks.get(block);
    if (!known) {
      const start = block * BLOCK_BYTES;
      const end = Math.min(start + BLOCK_BYTES, this.nTokens * this.#tokenBytes);
      known = this.#file.slice(start, end).then((bytes) => this.#view(bytes));
      known.catch(() => this.#blocks.delete(block));
      this.#blocks.set(block, known);
    }
    return known;
  }

  #view(bytes: ArrayBuffer): Uint16Array | Uint32Array {
    return this.#tokenBytes === 2 ? new Uint16Array(bytes) : new Uint32Array(bytes);
  }
}
