import { crc32 } from 'node:zlib';
import { MonosemeError } from '../errors.ts';
import { atomicWrite, writeAll } from './atomic-write.ts';
import { expectSameShape, toFloats } from './elements.ts';
import { ELEMENT_BYTES } from './safetensors-header.ts';
import { END_BYTES, END_SIGNATURE, ENTRY_SIGNATURE, LOCAL_SIGNATURE, readZip, type ZipFile } from './zip.ts';

/** The header of an array is one short Python dictionary, 118 bytes as NumPy writes it. */
const MAX_ARRAY_HEADER = 1 << 16;

/**
 * Open an `.npz`: a zip of NumPy arrays.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FILE, ERR_FORMAT
 */
export async function readNpz(path: string): Promise<NpzFile> {
  return new NpzFile(await readZip(path));
}

/** An open `.npz`. Close it when done. */
export class NpzFile {
  readonly path: string;
  readonly #zip: ZipFile;

  constructor(zip: ZipFile) {
    this.path = zip.path;
    this.#zip = zip;
  }

  /** Names of the arrays, without `.npy`. */
  names(): string[] {
    return this.#zip.names().map((name) => name.replace(/\.npy$/, ''));
  }

  has(name: string): boolean {
    return this.#zip.bytesOf(`${name}.npy`) !== undefined;
  }

  /**
   * A whole array as f32, from little-endian f4 or f8 in C order.
   *
   * @param shape when given, the array must have it
   * @throws {MonosemeError} ERR_FORMAT (not there, another shape, order or element type), ERR_LIMIT
   */
  async floats(name: string, shape?: readonly number[]): Promise<Float32Array<ArrayBuffer>> {
    const what = `"${name}" of ${this.path}`;
    const bytes = await this.#zip.read(`${name}.npy`);
    const header = arrayHeader(bytes, what);
    if (shape) expectSameShape(what, header.shape, shape);
    const nElements = header.shape.reduce((product, length) => product * length, 1);
    const data = bytes.slice(header.dataStart);
    const dtype = header.descr === '<f4' ? 'F32' : 'F64';
    if (data.length !== nElements * ELEMENT_BYTES[dtype])
      throw this.#zip.malformed(`"${name}" holds ${data.length} bytes for the shape [${header.shape}]`);
    return toFloats({ dtype, shape: header.shape, bytes: data }, what);
  }

  /** Shape of an array. Reads it whole when it is deflated. @throws {MonosemeError} ERR_FORMAT */
  async shape(name: string): Promise<number[]> {
    return arrayHeader(await this.#zip.read(`${name}.npy`, MAX_ARRAY_HEADER), `"${name}" of ${this.path}`)
      .shape;
  }

  async scalar(name: string): Promise<number> {
    return (await this.floats(name, []))[0];
  }

  async close(): Promise<void> {
    await this.#zip.close();
  }
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
      const fields = {
        name: new TextEncoder().encode(`${name}.npy`),
        crc: crc32(content[1], crc32(content[0])),
        bytes,
      };
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
