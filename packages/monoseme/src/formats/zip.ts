import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { crc32, inflateRawSync } from 'node:zlib';
import { fileError, MonosemeError } from '../errors.ts';
import { readAt } from './json.ts';
import { LIMITS } from './limits.ts';

/** A published archive of weights has from five to a few hundred entries; many thousands are another kind of file. */
const MAX_ENTRIES = 4096;
/** The directory of as many entries with names of ordinary length. */
const MAX_DIRECTORY = 1 << 20;
/** Deflate cannot make more out of one byte. */
const MAX_RATIO = 1032;
/** Numbers of more bytes than the second are not a hundred times smaller when packed, unless they are all the same. */
const LARGE_RATIO = 100;
const LARGE = 64 * 2 ** 20;

export const END_SIGNATURE = 0x06054b50;
export const END_BYTES = 22;
export const ENTRY_SIGNATURE = 0x02014b50;
export const LOCAL_SIGNATURE = 0x04034b50;

interface Entry {
  readonly method: number;
  readonly packedBytes: number;
  readonly bytes: number;
  readonly offset: number;
  readonly checksum: number;
}

/**
 * Open a zip archive, its entries stored or deflated, also with 64-bit offsets. Lengths are compared with the size of
 * the file, or bound what inflating may give, before anything is allocated; entries must not overlap.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FILE, ERR_FORMAT
 */
export async function readZip(path: string): Promise<ZipFile> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    const { size } = await file.stat();
    return new ZipFile(path, file, size, await readDirectory(file, size, path));
  } catch (error) {
    await file?.close();
    throw fileError(error, `read ${path}`);
  }
}

export class ZipFile {
  readonly path: string;
  readonly #file: FileHandle;
  readonly #size: number;
  readonly #entries: ReadonlyMap<string, Entry>;

  constructor(path: string, file: FileHandle, size: number, entries: ReadonlyMap<string, Entry>) {
    this.path = path;
    this.#file = file;
    this.#size = size;
    this.#entries = entries;
  }

  names(): string[] {
    return [...this.#entries.keys()];
  }

  /** Bytes of an entry once unpacked, as the directory says; undefined when there is none. */
  bytesOf(name: string): number | undefined {
    return this.#entries.get(name)?.bytes;
  }

  /**
   * An entry's bytes, the first `most` of one that is stored.
   *
   * @throws {MonosemeError} ERR_FORMAT (not there, other lengths than the directory says), ERR_LIMIT
   */
  async read(name: string, most = Infinity): Promise<Uint8Array<ArrayBuffer>> {
    const entry = this.#entries.get(name);
    if (!entry) throw this.malformed(`it has no "${name}" (it has: ${this.names().slice(0, 8).join(', ')})`);
    const { method, packedBytes, bytes, offset } = entry;
    if (bytes > LIMITS.arrayBytes || packedBytes > LIMITS.arrayBytes)
      throw new MonosemeError(
        'ERR_LIMIT',
        `"${name}" of ${this.path} has ${bytes} bytes, more than the ${LIMITS.arrayBytes} of one array.`,
        'Convert it to safetensors first.',
      );
    const local = await this.#bytes(name, offset, 30);
    const view = new DataView(local.buffer);
    if (view.getUint32(0, true) !== LOCAL_SIGNATURE)
      throw this.malformed(`"${name}" is not where the directory says`);
    const start = offset + 30 + view.getUint16(26, true) + view.getUint16(28, true);
    if (method === 0) {
      if (packedBytes !== bytes) throw this.malformed(`"${name}" is stored with two lengths`);
      return this.#bytes(name, start, Math.min(bytes, most));
    }
    if (method !== 8) throw this.malformed(`"${name}" is packed by method ${method}`);
    if (bytes > packedBytes * MAX_RATIO)
      throw this.malformed(`"${name}" cannot be ${bytes} bytes unpacked from ${packedBytes}`);
    if (bytes > LARGE && bytes > packedBytes * LARGE_RATIO)
      throw new MonosemeError(
        'ERR_LIMIT',
        `"${name}" of ${this.path} has ${bytes} bytes unpacked from ${packedBytes}, more than ${LARGE_RATIO} times as many.`,
        'Save it unpacked if it is to be so.',
      );
    const packed = await this.#bytes(name, start, packedBytes);
    try {
      return new Uint8Array(inflateRawSync(packed, { maxOutputLength: Math.max(bytes, 1) }));
    } catch {
      throw this.malformed(`"${name}" cannot be unpacked`);
    }
  }

  /** An entry's bytes, whose checksum is that of the directory. Errors as {@link read}; ERR_FORMAT. */
  async readChecked(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await this.read(name);
    if (crc32(bytes) !== this.#entries.get(name)?.checksum)
      throw this.malformed(`"${name}" does not have its checksum`);
    return bytes;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** The error for an archive that is not what it says. */
  malformed(what: string): MonosemeError {
    return malformed(this.path, what);
  }

  async #bytes(name: string, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    if (offset + length > this.#size) throw this.malformed(`"${name}" reaches past its end`);
    const bytes = new Uint8Array(length);
    if ((await readAt(this.#file, bytes, offset)) < length) throw this.malformed('it ends too soon');
    return bytes;
  }
}

function malformed(path: string, what: string): MonosemeError {
  return new MonosemeError(
    'ERR_FORMAT',
    `${path} is not a readable archive: ${what}.`,
    'Get the file again.',
  );
}

/** The entries of the zip's directory, by name. */
async function readDirectory(file: FileHandle, size: number, path: string): Promise<Map<string, Entry>> {
  // The end record is last but for a comment of at most 65535 bytes.
  const tail = new Uint8Array(Math.min(size, END_BYTES + 0xffff + 20));
  await readAt(file, tail, size - tail.length);
  const view = new DataView(tail.buffer);
  let end = tail.length - END_BYTES;
  while (end >= 0 && view.getUint32(end, true) !== END_SIGNATURE) end--;
  if (end < 0) throw malformed(path, 'it is no zip archive');
  let [count, length, offset] = [view.getUint16(end + 10, true), 0, 0];
  [length, offset] = [view.getUint32(end + 12, true), view.getUint32(end + 16, true)];
  if (offset === 0xffffffff || count === 0xffff) {
    if (end < 20 || view.getUint32(end - 20, true) !== 0x07064b50)
      throw malformed(path, 'its 64-bit end record is missing');
    const record = new Uint8Array(56);
    const at = Number(view.getBigUint64(end - 12, true));
    if (at + 56 > size || (await readAt(file, record, at)) < 56) throw malformed(path, 'it ends too soon');
    const wide = new DataView(record.buffer);
    [count, length, offset] = [32, 40, 48].map((position) => Number(wide.getBigUint64(position, true)));
  }
  if (count > MAX_ENTRIES || length > MAX_DIRECTORY)
    throw malformed(path, `its directory has ${count} entries in ${length} bytes`);
  if (offset + length > size) throw malformed(path, 'its directory reaches past its end');
  const directory = new Uint8Array(length);
  if ((await readAt(file, directory, offset)) < length) throw malformed(path, 'it ends too soon');
  return parseDirectory(directory, count, path);
}

function parseDirectory(directory: Uint8Array<ArrayBuffer>, count: number, path: string): Map<string, Entry> {
  const view = new DataView(directory.buffer);
  const entries = new Map<string, Entry>();
  let at = 0;
  for (let n = 0; n < count; n++) {
    if (at + 46 > directory.length || view.getUint32(at, true) !== ENTRY_SIGNATURE)
      throw malformed(path, `entry ${n} of its directory is broken`);
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((place) =>
      view.getUint16(at + place, true),
    );
    const next = at + 46 + nameBytes + extraBytes + commentBytes;
    if (next > directory.length) throw malformed(path, `entry ${n} of its directory is broken`);
    const name = new TextDecoder().decode(directory.subarray(at + 46, at + 46 + nameBytes));
    const extra = directory.subarray(at + 46 + nameBytes, at + 46 + nameBytes + extraBytes);
    const [bytes, packedBytes, offset] = wideFields(
      [view.getUint32(at + 24, true), view.getUint32(at + 20, true), view.getUint32(at + 42, true)],
      extra,
      path,
    );
    if (entries.has(name)) throw malformed(path, `it has "${name}" twice`);
    entries.set(name, {
      method: view.getUint16(at + 10, true),
      bytes,
      packedBytes,
      offset,
      checksum: view.getUint32(at + 16, true),
    });
    at = next;
  }
  expectApart(entries, path);
  return entries;
}

/** Each entry ends, with the least record before its bytes, where the next begins or before. */
function expectApart(entries: ReadonlyMap<string, Entry>, path: string): void {
  const inOrder = [...entries].sort(([, a], [, b]) => a.offset - b.offset);
  inOrder.forEach(([name, { offset, packedBytes }], i) => {
    const next = inOrder[i + 1];
    if (next && offset + 30 + packedBytes > next[1].offset)
      throw malformed(path, `"${next[0]}" overlaps "${name}"`);
  });
}

/** Fields that are all ones stand, in this order, as 64-bit numbers in the extra field with the id 1. */
function wideFields(fields: number[], extra: Uint8Array, path: string): number[] {
  if (!fields.includes(0xffffffff)) return fields;
  const view = new DataView(extra.buffer, extra.byteOffset, extra.length);
  for (let at = 0; at + 4 <= extra.length; at += 4 + view.getUint16(at + 2, true)) {
    if (view.getUint16(at, true) !== 1) continue;
    let place = at + 4;
    return fields.map((field) => {
      if (field !== 0xffffffff) return field;
      if (place + 8 > extra.length) throw malformed(path, 'a 64-bit field of its directory is cut off');
      const wide = Number(view.getBigUint64(place, true));
      place += 8;
      return wide;
    });
  }
  throw malformed(path, 'a 64-bit field of its directory is missing');
}
