import { closeSync, readSync } from 'node:fs';
import { MonosemeError } from '../errors.ts';
import type { TokenSequence } from './token-text.ts';

/** Tokens of a page, and pages that are kept: 16 MiB, in which four million tokens have room. */
const PAGE = 1024;
const PAGES = 4096;
const BYTES = 4;

/**
 * Tokens in a file (u32, little-endian), read a piece at a time. Pieces shorter than a page come out of pages that are kept,
 * so that places looked at again and again cost no reading. Memory: 16 MiB at most.
 */
export class TokenFile implements TokenSequence {
  readonly length: number;
  readonly #file: number;
  /** Which page each slot holds, −1 for none: page p has slot p mod PAGES. */
  readonly #numbers = new Int32Array(PAGES).fill(-1);
  readonly #pages: Uint32Array[] = [];

  /** @param file descriptor, which this object closes; @param length tokens of it that count */
  constructor(file: number, length: number) {
    this.#file = file;
    this.length = length;
  }

  /** @throws {MonosemeError} ERR_FILE */
  subarray(from: number, to: number): Uint32Array {
    const page = Math.floor(from / PAGE);
    if (to > (page + 1) * PAGE) return this.#read(from, Math.min(to, this.length));
    return this.#page(page).subarray(from - page * PAGE, to - page * PAGE);
  }

  close(): void {
    closeSync(this.#file);
  }

  #page(page: number): Uint32Array {
    const slot = page % PAGES;
    if (this.#numbers[slot] !== page) {
      this.#pages[slot] = this.#read(page * PAGE, Math.min(this.length, (page + 1) * PAGE));
      this.#numbers[slot] = page;
    }
    return this.#pages[slot];
  }

  #read(from: number, to: number): Uint32Array {
    const tokens = new Uint32Array(Math.max(0, to - from));
    const bytes = new Uint8Array(tokens.buffer);
    for (let done = 0; done < bytes.length;) {
      const n = readSync(this.#file, bytes, done, bytes.length - done, from * BYTES + done);
      if (n === 0)
        throw new MonosemeError('ERR_FILE', 'A file of tokens ended early.', 'Run the same command again.');
      done += n;
    }
    return tokens;
  }
}
