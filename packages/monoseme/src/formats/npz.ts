import { crc32 } from 'node:zlib';
import { MonosemeError } from '../errors.ts';
import { atomicWrite, writeAll } from './atomic-write.ts';
import { expectSameShape, type RawTensor, toFloats } from './elements.ts';
import { countElements, MAX_ARRAY_HEADER, parseNpyHeader } from './npy.ts';
import { ELEMENT_BYTES, type SafetensorsDtype } from './safetensors-header.ts';
import { END_BYTES, END_SIGNATURE, ENTRY_SIGNATURE, LOCAL_SIGNATURE, readZip, type ZipFile } from './zip.ts';

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
   * A whole array as f32, from little-endian floats in C order.
   *
   * @param shape when given, the array must have it
   * @throws {MonosemeError} ERR_FORMAT (not there, another shape, order or element type), ERR_LIMIT
   */
  async floats(name: string, shape?: readonly number[]): Promise<Float32Array<ArrayBuffer>> {
    const what = `"${name}" of ${this.path}`;
    const tensor = await this.tensor(name);
    if (shape) expectSameShape(what, tensor.shape, shape);
    return toFloats(tensor, what);
  }

  /** A whole array. @throws {MonosemeError} ERR_FORMAT, ERR_LIMIT */
  async tensor(name: string): Promise<RawTensor> {
    const bytes = await this.#zip.read(`${name}.npy`);
    const { dtype, shape, dataStart } = parseNpyHeader(bytes, `"${name}" of ${this.path}`);
    const data = bytes.slice(dataStart);
    if (data.length !== countElements(shape) * ELEMENT_BYTES[dtype])
      throw this.#zip.malformed(`"${name}" holds ${data.length} bytes for the shape [${shape}]`);
    return { dtype, shape, bytes: data };
  }

  /** Element type and shape of an array. Reads it whole when it is deflated. @throws {MonosemeError} ERR_FORMAT */
  async info(name: string): Promise<{ dtype: SafetensorsDtype; shape: number[] }> {
    const start = await this.#zip.read(`${name}.npy`, MAX_ARRAY_HEADER);
    return parseNpyHeader(start, `"${name}" of ${this.path}`);
  }

  async shape(name: string): Promise<number[]> {
    return (await this.info(name)).shape;
  }

  async scalar(name: string): Promise<number> {
    return (await this.floats(name, []))[0];
  }

  async close(): Promise<void> {
    await this.#zip.close();
  }
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
