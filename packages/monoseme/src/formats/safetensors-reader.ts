import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { fileError, MonosemeError } from '../errors.ts';
import { expectSameShape, type RawTensor, toFloats, toNumber } from './elements.ts';
import { readAt } from './json.ts';
import { LIMITS } from './limits.ts';
import { ELEMENT_BYTES, malformed, parseHeader } from './safetensors-header.ts';
import type { SafetensorsDtype, SafetensorsHeader, TensorEntry } from './safetensors-header.ts';

/**
 * Open a safetensors file and check its header. Nothing is allocated from a length that was not compared with
 * the size of the file first; tensors are read when asked for, whole or by rows.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FILE, ERR_FORMAT, ERR_LIMIT (header)
 */
export async function readSafetensors(path: string): Promise<SafetensorsFile> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    const { size } = await file.stat();
    const headerBytes = await readHeaderLength(file, size, path);
    const bytes = new Uint8Array(headerBytes);
    if ((await readAt(file, bytes, 8)) < headerBytes) throw malformed(path, 'it ends inside its header');
    const header = parseHeader(bytes, size - 8 - headerBytes, path);
    return new SafetensorsFile(path, file, header, 8 + headerBytes);
  } catch (error) {
    await file?.close();
    throw fileError(error, `read ${path}`);
  }
}

async function readHeaderLength(file: FileHandle, size: number, path: string): Promise<number> {
  const prefix = new Uint8Array(8);
  if ((await readAt(file, prefix, 0)) < 8) throw malformed(path, `it has only ${size} bytes`);
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  if (length > BigInt(Math.max(0, size - 8)))
    throw malformed(path, `its header should have ${length} bytes, but the file has ${size}`);
  if (length > BigInt(LIMITS.safetensorsHeaderBytes))
    throw new MonosemeError(
      'ERR_LIMIT',
      `The header of ${path} has ${length} bytes, more than the ${LIMITS.safetensorsHeaderBytes} that are read.`,
      'Split the tensors over several files.',
    );
  return Number(length);
}

/** An open safetensors file. Close it when done. */
export class SafetensorsFile {
  readonly path: string;
  /** The `__metadata__` entry; empty where there is none. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly #file: FileHandle;
  readonly #tensors: Map<string, TensorEntry>;
  readonly #dataStart: number;

  constructor(path: string, file: FileHandle, header: SafetensorsHeader, dataStart: number) {
    this.path = path;
    this.metadata = header.metadata;
    this.#file = file;
    this.#tensors = header.tensors;
    this.#dataStart = dataStart;
  }

  /** Names of the tensors, in the order in which their data lie. */
  names(): string[] {
    return [...this.#tensors.keys()];
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /**
   * Element type and shape, without reading the data. @throws {MonosemeError} ERR_FORMAT when it is not there
   */
  info(name: string): { dtype: SafetensorsDtype; shape: number[] } {
    const { dtype, shape } = this.#entry(name);
    return { dtype, shape: [...shape] };
  }

  /**
   * A whole tensor. @throws {MonosemeError} ERR_FORMAT (not there, file cut off since), ERR_LIMIT, ERR_FILE
   */
  async tensor(name: string): Promise<RawTensor> {
    const entry = this.#entry(name);
    const bytes = await this.#read(name, entry.begin, entry.end - entry.begin);
    return { dtype: entry.dtype, shape: [...entry.shape], bytes };
  }

  /**
   * Rows `from` … `to − 1` of a tensor (along its first axis), reading only their bytes.
   *
   * @throws {MonosemeError} ERR_OPTION when there are no such rows; else as {@link tensor}
   */
  async rows(name: string, from: number, to: number): Promise<RawTensor> {
    const { dtype, shape, begin, end } = this.#entry(name);
    const nRows = shape[0] ?? 0;
    expectRange(name, from, to, nRows);
    const rowBytes = nRows === 0 ? 0 : (end - begin) / nRows;
    const bytes = await this.#read(name, begin + from * rowBytes, (to - from) * rowBytes);
    return { dtype, shape: [to - from, ...shape.slice(1)], bytes };
  }

  /**
   * Elements `from` … `to − 1` of a tensor in row-major order, as a vector: for tensors whose axes before the last are
   * read as one.
   *
   * @throws as {@link rows}
   */
  async elements(name: string, from: number, to: number): Promise<RawTensor> {
    const { dtype, shape, begin } = this.#entry(name);
    const n = shape.reduce((product, size) => product * size, 1);
    expectRange(name, from, to, n);
    const size = ELEMENT_BYTES[dtype];
    const bytes = await this.#read(name, begin + from * size, (to - from) * size);
    return { dtype, shape: [to - from], bytes };
  }

  /**
   * A whole tensor as f32, from F32, F16, BF16 or F64 (rounded to nearest).
   *
   * @param shape when given, the tensor must have it
   * @throws {MonosemeError} ERR_FORMAT when the shape or the dtype is another; else as {@link tensor}
   */
  async floats(name: string, shape?: readonly number[]): Promise<Float32Array<ArrayBuffer>> {
    const what = `"${name}" of ${this.path}`;
    if (shape) expectSameShape(what, this.#entry(name).shape, shape);
    return toFloats(await this.tensor(name), what);
  }

  /** Axes of a tensor, without reading the data. @throws {MonosemeError} ERR_FORMAT when it is not there */
  async shape(name: string): Promise<readonly number[]> {
    return this.info(name).shape;
  }

  /** The number in a tensor of one element, of any type. @throws {MonosemeError} ERR_FORMAT */
  async scalar(name: string): Promise<number> {
    return toNumber(await this.tensor(name), `"${name}" of ${this.path}`);
  }

  /** Like {@link floats}, for rows `from` … `to − 1`. */
  async floatRows(name: string, from: number, to: number): Promise<Float32Array<ArrayBuffer>> {
    return toFloats(await this.rows(name, from, to), `"${name}" of ${this.path}`);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  #entry(name: string): TensorEntry {
    const entry = this.#tensors.get(name);
    if (entry) return entry;
    const names = this.names();
    const listed = names.slice(0, 8).join(', ') + (names.length > 8 ? ', …' : '');
    throw new MonosemeError(
      'ERR_FORMAT',
      `${this.path} has no tensor "${name}" (it has: ${listed || 'none'}).`,
      'Check that it is the right file.',
    );
  }

  async #read(name: string, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    if (length > LIMITS.arrayBytes)
      throw new MonosemeError(
        'ERR_LIMIT',
        `"${name}" of ${this.path} needs ${length} bytes at once, more than the ${LIMITS.arrayBytes} of one array.`,
        'Read it by rows.',
      );
    const bytes = new Uint8Array(length);
    try {
      const done = await readAt(this.#file, bytes, this.#dataStart + offset);
      if (done < length) throw malformed(this.path, `it ends inside the tensor "${name}"`);
    } catch (error) {
      throw fileError(error, `read ${this.path}`);
    }
    return bytes;
  }
}

function expectRange(name: string, from: number, to: number, n: number): void {
  if (Number.isSafeInteger(from) && Number.isSafeInteger(to) && from >= 0 && to >= from && to <= n) return;
  throw new MonosemeError(
    'ERR_OPTION',
    `Rows ${from} to ${to} of "${name}" were asked for; it has ${n}.`,
    '',
  );
}
