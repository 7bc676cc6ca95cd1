import { closeSync, mkdirSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileError } from '../errors.ts';
import { TokenFile } from './token-file.ts';
import { type DocumentSpan, documentsWithin, type TokenSink, type TokenText } from './token-text.ts';

/** Bytes that are written and read at once. */
const PIECE = 2 ** 20;

/** A text on disk. */
export interface TextFile extends TokenText {
  /** Give the disk's space back. */
  close(): void;
}

/**
 * Writes a text to disk as it is read, so that memory does not grow with it. The files lose their names at once: their space
 * is free when they are closed or the process ends, however it does. Roles of tokens are not kept.
 */
export class TextFileWriter implements TokenSink {
  readonly #folder: string;
  readonly #tokens: Pieces;
  readonly #documents: Pieces;

  /** @param folder is made with the first bytes that are written: by text that cannot be read, as a rule none */
  constructor(folder: string) {
    this.#folder = folder;
    this.#tokens = new Pieces(() => unnamedFile(folder, 'tokens'));
    this.#documents = new Pieces(() => unnamedFile(folder, 'documents'));
  }

  /** @throws {MonosemeError} ERR_DISK_FULL, ERR_FILE */
  add(ids: Uint32Array | readonly number[]): void {
    const { buffer, byteOffset, byteLength } = ids instanceof Uint32Array ? ids : Uint32Array.from(ids);
    this.#guarded(() => this.#tokens.add(new Uint8Array(buffer, byteOffset, byteLength)));
  }

  /** @throws as {@link TextFileWriter.add} */
  addDocument({ id, source, start, length }: DocumentSpan): void {
    const line = `${JSON.stringify([id, source, start, length])}\n`;
    this.#guarded(() => this.#documents.add(Buffer.from(line)));
  }

  /** The first `total` tokens, whole contexts. @throws as {@link TextFileWriter.add} */
  finish(total: number, contextSize: number): TextFile {
    const [tokens, documents] = this.#guarded(() => [this.#tokens.finish(), this.#documents.finish()]);
    return textFile(tokens, documents, total, contextSize);
  }

  /** Instead of finishing. */
  close(): void {
    this.#tokens.close();
    this.#documents.close();
  }

  #guarded<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw fileError(error, `write to ${this.#folder}`);
    }
  }
}

/** The text in two open files. A function of its own: what it returns does not hold the writer and its buffers. */
function textFile(tokens: number, documents: number, total: number, contextSize: number): TextFile {
  const sequence = new TokenFile(tokens, total);
  return {
    tokens: sequence,
    contextSize,
    nContexts: total / contextSize,
    documents: { [Symbol.iterator]: () => documentsWithin(readSpans(documents), total) },
    close() {
      sequence.close();
      closeSync(documents);
    },
  };
}

/** Bytes that go to a file some at a time. */
class Pieces {
  readonly #open: () => number;
  readonly #bytes = new Uint8Array(PIECE);
  #length = 0;
  #file: number | undefined;

  constructor(open: () => number) {
    this.#open = open;
  }

  add(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      if (this.#length === PIECE) this.finish();
      const some = bytes.subarray(done, done + PIECE - this.#length);
      this.#bytes.set(some, this.#length);
      this.#length += some.length;
      done += some.length;
    }
  }

  /** Write what is left. @returns the file */
  finish(): number {
    const file = (this.#file ??= this.#open());
    for (let done = 0; done < this.#length;) done += writeSync(file, this.#bytes, done, this.#length - done);
    this.#length = 0;
    return file;
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
  }
}

function unnamedFile(folder: string, name: string): number {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${name}-${process.pid}.partial`);
  const file = openSync(path, 'w+');
  unlinkSync(path);
  return file;
}

function* readSpans(file: number): Generator<DocumentSpan> {
  const bytes = Buffer.alloc(PIECE);
  const decoder = new TextDecoder();
  /** One string for all documents of a source. */
  const sources = new Map<string, string>();
  let rest = '';
  for (let at = 0; ;) {
    const n = readSync(file, bytes, 0, PIECE, at);
    at += n;
    const lines = (rest + decoder.decode(bytes.subarray(0, n), { stream: n > 0 })).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      const [id, source, start, length] = JSON.parse(line) as [string, string, number, number];
      if (!sources.has(source)) sources.set(source, source);
      yield { id, source: sources.get(source)!, start, length };
    }
    if (n === 0) return;
  }
}
