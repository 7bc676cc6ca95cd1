import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { inflateRawSync } from 'node:zlib';
import { fileError, MonosemeError } from '../errors.ts';
import { atomicWrite, writeAll } from './atomic-write.ts';
import { readAt } from './json.ts';
import { LIMITS } from './limits.ts';

/** A published archive of weights has five arrays; thousands are another kind of file. */
const MAX_ENTRIES = 4096;
/** The header of an array is one short Python dictionary, 118 bytes as NumPy writes it. */
const MAX_ARRAY_HEADER = 1 << 16;
/** The directory of as many entries with names of ordinary length. */
const MAX_DIRECTORY = 1 << 20;

const END_SIGNATURE = 0x06054b50;
const END_BYTES = 22;
const ENTRY_SIGNATURE = 0x02014b50;
const LOCAL_SIGNATURE = 0x04034b50;

interface Entry {
  readonly method: number;
  readonly packedBytes: number;
  readonly bytes: number;
  readonly offset: number;
}

function malformed(path: string, what: string): MonosemeError {
  return new MonosemeError('ERR_FORMAT', `${path} is not a readable .npz: ${what}.`, 'Get the file again.');
}

/**
 * Open an `.npz` (a zip of NumPy arrays), stored or deflated, also with 64-bit offsets. Lengths are compared with the
 * size of the file, or bound what inflating may give, before anything is allocated.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FILE, ERR_FORMAT
 */
export async function readNpz(path: string): Promise<NpzFile> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    const { size } = await file.stat();
    return new NpzFile(path, file, size, await readDirectory(file, size, path));
  } catch (error) {
    await file?.close();
    throw fileError(error, `read ${path}`);
  }
}

export class NpzFile {
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

  /** Names of the arrays, without `.npy`. */
  names(): string[] {
    return [...this.#entries.keys()];
  }

  /**
   * A whole array as f32, from little-endian f4, f2 or f8 in C order.
   *
   * @param shape the array must have it
   * @throws {MonosemeError} ERR_FORMAT (not there, another shape, order or element type), ERR_LIMIT
   */
  async floats(name: string, shape: readonly number[]): Promise<Float32Array> {
    const bytes = await this.#read(name);
    const header = arrayHeader(bytes, `"${name}" of ${this.path}`);
    if (header.shape.length !== shape.length || shape.some((length, i) => length !== header.shape[i]))
      throw malformed(this.path, `"${name}" has the shape [${header.shape}], expected [${shape}]`);
    const nElements = shape.reduce((product, length) => product * length, 1);
    const data = bytes.slice(header.dataStart).buffer;
    const width = Number(header.descr.slice(2));
    if (data.byteLength !== nElements * width)
      throw malformed(this.path, `"${name}" holds ${data.byteLength} bytes for the shape [${shape}]`);
    if (header.descr === '<f4') return new Float32Array(data);
    return Float32Array.from(new Float64Array(data));
  }

  /** Shape of an array. Reads it whole when it is deflated. @throws {MonosemeError} ERR_FORMAT */
  async shape(name: string): Promise<number[]> {
    return arrayHeader(await this.#read(name, MAX_ARRAY_HEADER), `"${name}" of ${this.path}`).shape;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #read(name: string, most = Infinity): Promise<Uint8Array> {
    const entry = this.#entries.get(name);
    if (!entry) throw malformed(this.path, `it has no array "${name}" (it has: ${this.names().join(', ')})`);
    const { method, packedBytes, bytes, offset } = entry;
    if (bytes > LIMITS.arrayBytes || packedBytes > LIMITS.arrayBytes)
      throw new MonosemeError(
        'ERR_LIMIT',
        `"${name}" of ${this.path} has ${bytes} bytes, more than the ${LIMITS.arrayBytes} of one array.`,
        'Convert it to safetensors first.',
      );
    const local = await this.#bytes(offset, 30);
    const view = new DataView(local.buffer);
    if (view.getUint32(0, true) !== LOCAL_SIGNATURE)
      throw malformed(this.path, `"${name}" is not where the directory says`);
    const start = offset + 30 + view.getUint16(26, true) + view.getUint16(28, true);
    if (method === 0) {
      if (packedBytes !== bytes) throw malformed(this.path, `"${name}" is stored with two lengths`);
      return this.#bytes(start, Math.min(bytes, most));
    }
    if (method !== 8) throw malformed(this.path, `"${name}" is packed by method ${method}`);
    try {
      return new Uint8Array(
        inflateRawSync(await this.#bytes(start, packedBytes), { maxOutputLength: Math.max(bytes, 1) }),
      );
    } catch {
      throw malformed(this.path, `"${name}" cannot be unpacked`);
    }
  }

  async #bytes(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    if (offset + length > this.#size) throw malformed(this.path, 'an array reaches past its end');
    const bytes = new Uint8Array(length);
    if ((await readAt(this.#file, bytes, offset)) < length) throw malformed(this.path, 'it ends too soon');
    return bytes;
  }
}

/** The entries of the zip's directory, by name without `.npy`. */
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
    entries.set(name.replace(/\.npy$/, ''), {
      method: view.getUint16(at + 10, true),
      bytes,
      packedBytes,
      offset,
    });
    at = next;
  }
  return entries;
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

interface ArrayHeader {
  readonly descr: '<f4' | '<f8';
  readonly shape: number[];
  readonly dataStart: number;
}

/** The header of a `.npy`: magic, version, length, and a Python dictionary of three known keys. */
function arrayHeader(bytes: Uint8Array, what: string): ArrayHeader {
  const fail = (reason: string) =>
    new MonosemeError('ERR_FORMAT', `${what} is not a readable array: ${reason}.`, 'Get the file again.');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 12 || view.getUint32(0) !== 0x934e554d || view.getUint16(4) !== 0x5059)
    throw fail('its magic bytes are missing');
  const isFirst = bytes[6] === 1;
  const textStart = isFirst ? 10 : 12;
  const length = isFirst ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > MAX_ARRAY_HEADER || textStart + length > bytes.length) throw fail('its header is cut off');
  const text = new TextDecoder('latin1').decode(bytes.subarray(textStart, textStart + length));
  const descr = /'descr':\s*'([^']*)'/.exec(text)?.[1];
  if (descr !== '<f4' && descr !== '<f8') throw fail(`its elements are ${descr}, not <f4 or <f8`);
  if (!/'fortran_order':\s*False/.test(text)) throw fail('it is not in C order');
  const shape = /'shape':\s*\(([\d,\s]*)\)/.exec(text)?.[1];
  if (shape === undefined) throw fail('its shape is missing');
  const sizes = shape.split(',').filter((part) => part.trim() !== '');
  return { descr, shape: sizes.map(Number), dataStart: textStart + length };
}

/**
 * Write f32 arrays as an `.npz` that NumPy reads: stored, atomically, the same bytes for the same arrays.
 *
 * @throws {MonosemeError} ERR_LIMIT past 4 GiB, ERR_DISK_FULL, ERR_FILE
 */
export async function writeNpz(
  path: string,
  arrays: Readonly<Record<string, { readonly shape: readonly number[]; readonly data: Float32Array }>>,
): Promise<void> {
  await atomicWrite(path, async (file) => {
    const directory: Uint8Array[] = [];
    let offset = 0;
    for (const [name, { shape, data }] of Object.entries(arrays)) {
      const content = [npyHeader(shape), new Uint8Array(data.buffer, data.byteOffset, data.byteLength)];
      const bytes = content[0].length + content[1].length;
      const fields = { name: new TextEncoder().encode(`${name}.npy`), crc: crc32(content), bytes };
      const local = zipRecord(LOCAL_SIGNATURE, fields);
      directory.push(zipRecord(ENTRY_SIGNATURE, fields, offset));
      for (const part of [local, ...content]) await writeAll(file, part);
      offset += local.length + bytes;
      if (offset > 0xfffffffe)
        throw new MonosemeError('ERR_LIMIT', `${path} would be past 4 GiB.`, 'Write safetensors instead.');
    }
    for (const entry of directory) await writeAll(file, entry);
    const end = new DataView(new ArrayBuffer(END_BYTES));
    end.setUint32(0, END_SIGNATURE, true);
    end.setUint16(8, directory.length, true);
    end.setUint16(10, directory.length, true);
    end.setUint32(
      12,
      directory.reduce((sum, entry) => sum + entry.length, 0),
      true,
    );
    end.setUint32(16, offset, true);
    await writeAll(file, new Uint8Array(end.buffer));
  });
}

/** Version 1.0, padded with spaces so that the data start at a multiple of 64. */
function npyHeader(shape: readonly number[]): Uint8Array {
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${sizes}), }`;
  const length = Math.ceil((10 + text.length + 1) / 64) * 64 - 10;
  const bytes = new Uint8Array(10 + length).fill(0x20);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, length & 255, length >> 8]);
  bytes.set(new TextEncoder().encode(text), 10);
  bytes[bytes.length - 1] = 0x0a;
  return bytes;
}

/** The local record of an entry, or with an offset its record in the directory. */
function zipRecord(
  signature: number,
  { name, crc, bytes }: { name: Uint8Array; crc: number; bytes: number },
  offset?: number,
): Uint8Array {
  const isLocal = offset === undefined;
  const fixed = isLocal ? 30 : 46;
  const out = new Uint8Array(fixed + name.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, signature, true);
  // In the directory the version that made it comes first; 1 January 1980 is the least date there is.
  const at = isLocal ? 4 : 6;
  if (!isLocal) view.setUint16(4, 20, true);
  view.setUint16(at, 20, true);
  view.setUint16(at + 8, 0x21, true);
  view.setUint32(at + 10, crc, true);
  view.setUint32(at + 14, bytes, true);
  view.setUint32(at + 18, bytes, true);
  view.setUint16(at + 22, name.length, true);
  if (!isLocal) view.setUint32(42, offset, true);
  out.set(name, fixed);
  return out;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

function crc32(parts: readonly Uint8Array[]): number {
  let crc = 0xffffffff;
  for (const part of parts) {
    for (let i = 0; i < part.length; i++) crc = CRC_TABLE[(crc ^ part[i]) & 255] ^ (crc >>> 8);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
