import { once } from 'node:events';
import { createGzip } from 'node:zlib';

/**
 * JSON lines that are packed as they are added, in a thread of its own: only the packed ones are held, and the next are made
 * meanwhile.
 */
export class PackedLines {
  /** Lines added. */
  count = 0;
  readonly #gzip = createGzip();
  readonly #packed: Uint8Array[] = [];
  #taken: Promise<unknown> | undefined;

  constructor() {
    this.#gzip.on('data', (bytes: Uint8Array) => this.#packed.push(bytes));
  }

  /** Waits until the lines before these are packed. */
  async add(rows: readonly object[]): Promise<void> {
    if (rows.length === 0) return;
    this.count += rows.length;
    const lines = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
    await this.#taken;
    this.#taken = this.#gzip.write(lines) ? undefined : once(this.#gzip, 'drain');
  }

  /** The file. */
  async end(): Promise<Uint8Array> {
    await this.#taken;
    const ended = once(this.#gzip, 'end');
    this.#gzip.end();
    await ended;
    return Buffer.concat(this.#packed);
  }
}
