import { type FileHandle, open } from 'node:fs/promises';
import { fileError, MonosemeError } from '../errors.ts';
import type { RawTensor } from './elements.ts';
import { readAt } from './json.ts';
import { LIMITS } from './limits.ts';
import { ELEMENT_BYTES, type SafetensorsDtype } from './safetensors-header.ts';

/** The header of an array is one short Python dictionary, 118 bytes as NumPy writes it. */
export const MAX_ARRAY_HEADER = 1 << 16;

export interface ArrayHeader {
  readonly dtype: SafetensorsDtype;
  readonly shape: number[];
  readonly dataStart: number;
}

const DTYPES: Readonly<Record<string, SafetensorsDtype>> = {
  '<f2': 'F16',
  '<f4': 'F32',
  '<f8': 'F64',
  '<i2': 'I16',
  '<i4': 'I32',
  '<i8': 'I64',
  '<u2': 'U16',
  '<u4': 'U32',
  '<u8': 'U64',
  '|i1': 'I8',
  '|u1': 'U8',
};

/**
 * The header of a `.npy`: magic, version, length, and a Python dictionary of three known keys.
 *
 * @param bytes the file's beginning
 * @throws {MonosemeError} ERR_FORMAT, also for big-endian, Fortran-ordered and structured arrays
 */
export function parseNpyHeader(bytes: Uint8Array, what: string): ArrayHeader {
  const fail = (reason: string, advice = 'Save it again with numpy.save.') =>
    new MonosemeError('ERR_FORMAT', `${what} is not a readable array: ${reason}.`, advice);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 12 || view.getUint32(0) !== 0x934e554d || view.getUint16(4) !== 0x5059)
    throw fail('its magic bytes are missing');
  const isFirst = bytes[6] === 1;
  const textStart = isFirst ? 10 : 12;
  const length = isFirst ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > MAX_ARRAY_HEADER || textStart + length > bytes.length) throw fail('its header is cut off');
  const text = new TextDecoder('latin1').decode(bytes.subarray(textStart, textStart + length));
  const descr = /'descr':\s*'([^']*)'/.exec(text)?.[1];
  if (descr === undefined || !Object.hasOwn(DTYPES, descr))
    throw fail(`its elements are ${descr}, not one of ${Object.keys(DTYPES).join(', ')}`);
  if (!/'fortran_order':\s*False/.test(text))
    throw fail('it is not in C order', 'Save numpy.ascontiguousarray of it.');
  const shape = /'shape':\s*\(([\d,\s]*)\)/.exec(text)?.[1];
  if (shape === undefined) throw fail('its shape is missing');
  const sizes = shape.split(',').filter((part) => part.trim() !== '');
  return { dtype: DTYPES[descr], shape: sizes.map(Number), dataStart: textStart + length };
}

/** Elements of a shape. */
export const countElements = (shape: readonly number[]): number =>
  shape.reduce((product, size) => product * size, 1);

/**
 * Open a `.npy` and check its header against the size of the file.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FILE, ERR_FORMAT
 */
export async function readNpy(path: string): Promise<NpyFile> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    const { size } = await file.stat();
    const start = new Uint8Array(Math.min(size, MAX_ARRAY_HEADER + 12));
    await readAt(file, start, 0);
    const header = parseNpyHeader(start, path);
    const bytes = countElements(header.shape) * ELEMENT_BYTES[header.dtype];
    if (bytes !== size - header.dataStart)
      throw new MonosemeError(
        'ERR_FORMAT',
        `${path} holds ${size - header.dataStart} bytes for the shape [${header.shape.join(', ')}].`,
        'It may be cut off: copy or make it again.',
      );
    return new NpyFile(path, file, header);
  } catch (error) {
    await file?.close();
    throw fileError(error, `read ${path}`);
  }
}

/** An open `.npy`. Close it when done. */
export class NpyFile {
  readonly path: string;
  readonly header: ArrayHeader;
  readonly #file: FileHandle;

  constructor(path: string, file: FileHandle, header: ArrayHeader) {
    this.path = path;
    this.header = header;
    this.#file = file;
  }

  /** Elements `from` … `to − 1` in row-major order. @throws {MonosemeError} ERR_LIMIT, ERR_FORMAT, ERR_FILE */
  async elements(from: number, to: number): Promise<RawTensor> {
    const { dtype, dataStart } = this.header;
    const length = (to - from) * ELEMENT_BYTES[dtype];
    if (length > LIMITS.arrayBytes)
      throw new MonosemeError('ERR_LIMIT', `${length} bytes of ${this.path} were asked for at once.`, '');
    const bytes = new Uint8Array(length);
    const position = dataStart + from * ELEMENT_BYTES[dtype];
    const done = await readAt(this.#file, bytes, position).catch((error: unknown) => {
      throw fileError(error, `read ${this.path}`);
    });
    if (done === length) return { dtype, shape: [to - from], bytes };
    throw new MonosemeError('ERR_FORMAT', `${this.path} was cut off meanwhile.`, 'Make it again.');
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
