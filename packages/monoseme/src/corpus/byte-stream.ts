import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Decompress } from 'fzstd';
import { fileError, MonosemeError } from '../errors.ts';

/** Where a text comes from: the path of a file, or {@link STDIN}. */
export type TextPlace = string;

/** The name of the standard input as a place. */
export const STDIN = '-';

const READ_BYTES = 2 ** 18;

/**
 * The bytes of a file or of the standard input, in pieces. What begins as gzip (RFC 1952) or zstd (RFC 8878) data is
 * decompressed, whatever its name. Memory does not grow with the length, and the file is closed when the reader stops.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FILE, ERR_FORMAT (compressed data that is broken or cut off), ERR_LIMIT (a
 *   zstd window of more than 128 MiB)
 */
export async function* readBytes(place: TextPlace): AsyncGenerator<Uint8Array> {
  const raw = place === STDIN ? (process.stdin as AsyncIterable<Uint8Array>) : fileBytes(place);
  const { head, all } = await peek(raw);
  if (startsWith(head, GZIP)) yield* gunzip(all, place);
  else if (startsWith(head, ZSTD)) yield* unzstd(all, place);
  else yield* all;
}

/** What to call a place in a message. */
export function placeName(place: TextPlace): string {
  return place === STDIN ? 'the standard input' : place;
}

const GZIP = [0x1f, 0x8b, 0x08];
const ZSTD = [0x28, 0xb5, 0x2f, 0xfd];

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, i) => bytes[i] === byte);
}

async function* fileBytes(path: string): AsyncGenerator<Uint8Array> {
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw fileError(error, `read ${path}`);
  });
  try {
    for (;;) {
      const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } catch (error) {
    throw fileError(error, `read ${path}`);
  } finally {
    await handle.close();
  }
}

/** The first bytes of a stream (at least 16, unless it has fewer), and the whole of it. */
async function peek(
  stream: AsyncIterable<Uint8Array>,
): Promise<{ head: Uint8Array; all: AsyncGenerator<Uint8Array> }> {
  const source = stream[Symbol.asyncIterator]();
  let head = new Uint8Array(0);
  while (head.length < 16) {
    const { done, value } = await source.next();
    if (done) break;
    head = Buffer.concat([head, value]);
  }
  async function* all(): AsyncGenerator<Uint8Array> {
    try {
      if (head.length > 0) yield head;
      for (let next = await source.next(); !next.done; next = await source.next()) yield next.value;
    } finally {
      await source.return?.();
    }
  }
  return { head, all: all() };
}

async function* gunzip(bytes: AsyncGenerator<Uint8Array>, place: TextPlace): AsyncGenerator<Uint8Array> {
  const source = Readable.from(bytes, { objectMode: false });
  const gunzip = createGunzip({ chunkSize: READ_BYTES });
  source.on('error', (error) => gunzip.destroy(error)).pipe(gunzip);
  try {
    for await (const piece of gunzip) yield piece as Uint8Array;
  } catch (error) {
    if (error instanceof MonosemeError) throw error;
    throw brokenData(place, 'gzip', error);
  } finally {
    source.destroy();
  }
}

/** The largest window that `zstd` itself opens without being told to. */
const MAX_WINDOW_BYTES = 2 ** 27;
/** A compressed block of 4 bytes can stand for 128 KiB: so few bytes at once keep what they stand for small. */
const ZSTD_STEP_BYTES = 4096;

async function* unzstd(bytes: AsyncGenerator<Uint8Array>, place: TextPlace): AsyncGenerator<Uint8Array> {
  let ready: Uint8Array[] = [];
  // The library goes on using its block as window: what is handed on is a copy.
  const stream = new Decompress((piece) => void (piece.length > 0 && ready.push(piece.slice())));
  let isFirst = true;
  try {
    for await (const piece of bytes) {
      if (isFirst) expectWindow(piece, place);
      isFirst = false;
      for (let at = 0; at < piece.length; at += ZSTD_STEP_BYTES) {
        stream.push(piece.subarray(at, at + ZSTD_STEP_BYTES));
        yield* ready;
        ready = [];
      }
    }
    stream.push(new Uint8Array(0), true);
    yield* ready;
  } catch (error) {
    if (error instanceof MonosemeError) throw error;
    throw brokenData(place, 'zstd', error);
  }
}

/** The window that a frame asks for, from its header (RFC 8878, 3.1.1.1). */
function expectWindow(head: Uint8Array, place: TextPlace): void {
  const isSingleSegment = (head[4] & 0x20) !== 0;
  if (isSingleSegment) return expectAtMost(contentBytes(head), place);
  const base = 2 ** (10 + (head[5] >> 3));
  expectAtMost(base + (base / 8) * (head[5] & 7), place);
}

/** The length of the content of a frame of a single segment, which is its window. */
function contentBytes(head: Uint8Array): number {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const at = 5 + [0, 1, 2, 4][head[4] & 3];
  const size = head[4] >> 6;
  if (at + 8 > head.length || size === 0) return 0;
  if (size === 1) return view.getUint16(at, true) + 256;
  return size === 2 ? view.getUint32(at, true) : Number(view.getBigUint64(at, true));
}

function expectAtMost(bytes: number, place: TextPlace): void {
  if (bytes <= MAX_WINDOW_BYTES) return;
  throw new MonosemeError(
    'ERR_LIMIT',
    `${placeName(place)} asks for a zstd window of ${bytes} bytes; the limit is ${MAX_WINDOW_BYTES}.`,
    'Compress it without --ultra or --long.',
  );
}

function brokenData(place: TextPlace, kind: string, cause: unknown): MonosemeError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new MonosemeError(
    'ERR_FORMAT',
    `${placeName(place)} is broken or cut off ${kind} data: ${reason}.`,
    'Make or download it again.',
    { cause },
  );
}
