import { expectSameShape, type RawTensor, toFloats } from './elements.ts';
import { countElements, MAX_ARRAY_HEADER, parseNpyHeader } from './npy.ts';
import { ELEMENT_BYTES, type SafetensorsDtype } from './safetensors-header.ts';
import { readZip, type ZipFile } from './zip.ts';
import { writeZip } from './zip-writer.ts';

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
   * @throws {MonosemeError} ERR_FORMAT (not there, another shape, order, element type or checksum), ERR_LIMIT
   */
  async floats(name: string, shape?: readonly number[]): Promise<Float32Array<ArrayBuffer>> {
    const what = `"${name}" of ${this.path}`;
    const tensor = await this.tensor(name);
    if (shape) expectSameShape(what, tensor.shape, shape);
    return toFloats(tensor, what);
  }

  /** A whole array whose checksum is right. @throws {MonosemeError} ERR_FORMAT, ERR_LIMIT */
  async tensor(name: string): Promise<RawTensor> {
    const bytes = await this.#zip.readChecked(`${name}.npy`);
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
  const entries = Object.entries(arrays).map(([name, { shape, data }]) => ({
    name: `${name}.npy`,
    content: () => [npyHeader(shape), new Uint8Array(data.buffer, data.byteOffset, data.byteLength)],
  }));
  await writeZip(path, entries);
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
