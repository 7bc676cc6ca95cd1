import { IndexError } from './index-error.ts';
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
  readonly #sha256: string | undefined;
  #whole: Promise<Uint16Array | Uint32Array> | undefined;
  readonly #blocks = new Map<number, Promise<Uint16Array | Uint32Array>>();

  constructor(file: RemoteFile, { corpus, files }: Manifest) {
    this.#file = file;
    this.contextSize = corpus.context_size;
    this.nTokens = corpus.n_tokens;
    this.#tokenBytes = corpus.token_bytes;
    this.#sha256 = files.find(({ path }) => path === 'corpus/tokens.bin')?.sha256;
  }

  /**
   * All tokens at once, for a search through the text.
   *
   * @throws {IndexError} for a text that is not the one of the manifest, by its hash
   */
  all(): Promise<Uint16Array | Uint32Array> {
    if (!this.#whole) {
      this.#whole = this.#read();
      this.#whole.catch(() => (this.#whole = undefined));
    }
    return this.#whole;
  }

  async #read(): Promise<Uint16Array | Uint32Array> {
    const bytes = await this.#file.whole();
    // Browsers hash only on hosts that they trust: their own machine, and those with a certificate.
    const hash = this.#sha256 && globalThis.crypto?.subtle ? await sha256(bytes) : this.#sha256;
    if (hash === this.#sha256) return this.#view(bytes);
    throw new IndexError(
      'The text is not the one of this index',
      'corpus/tokens.bin has another hash than the manifest says, so the examples would point to wrong words.',
      'Figures, histograms and logits can be read all the same. Copy the whole index again to read its examples.',
    );
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
    return { start, tokens: await this.between(start, end) };
  }

  /** Tokens `start` … `end − 1`. */
  async between(start: number, end: number): Promise<ArrayLike<number>> {
    if (this.nTokens * this.#tokenBytes <= WHOLE_BYTES) return (await this.all()).subarray(start, end);
    const perBlock = BLOCK_BYTES / this.#tokenBytes;
    const tokens: number[] = [];
    for (let block = Math.floor(start / perBlock); block * perBlock < end; block++) {
      const part = await this.#block(block);
      const from = Math.max(0, start - block * perBlock);
      tokens.push(...part.subarray(from, Math.min(part.length, end - block * perBlock)));
    }
    return tokens;
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

async function sha256(bytes: ArrayBuffer): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
