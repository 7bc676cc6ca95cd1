import { once } from 'node:events';
import type { Transform } from 'node:stream';
import { finished } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

/**
 * JSON lines that are packed as they are added, in a thread of its own: only the packed ones are held, and the next are made
 * meanwhile.
 */
export class PackedLines {
  /** Lines added. */
  count = 0;
  readonly #gzip: Transform;
  readonly #packed: Uint8Array[] = [];
  /** Fulfilled when all is packed, rejected when packing fails. */
  readonly #whole: Promise<void>;
  #taken: Promise<unknown> | undefined;

  constructor(gzip: Transform = createGzip()) {
    this.#gzip = gzip;
    this.#whole = finished(gzip);
    // Whoever adds lines or asks for the file meets the failure.
    this.#whole.catch(() => {});
    gzip.on('data', (bytes: Uint8Array) => this.#packed.push(bytes));
  }

  /** Waits until the lines before these are packed. */
  async add(rows: readonly object[]): Promise<void> {
    if (rows.length === 0) return;
    this.count += rows.length;
    const lines = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
    await this.#taken;
    if (this.#gzip.write(lines)) return;
    this.#taken = Promise.race([once(this.#gzip, 'drain'), this.#whole]);
    this.#taken.catch(() => {});
  }

  /** The file. */
  async end(): Promise<Uint8Array> {
    await this.#taken;
    this.#gzip.end();
    await this.#whole;
    return Buffer.concat(this.#packed);
  }
}
