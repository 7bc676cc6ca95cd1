import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { fileError, MonosemeError } from '../errors.ts';
import { readAt } from './json.ts';
import { NpzFile } from './npz.ts';
import { readSafetensors } from './safetensors-reader.ts';
import { TorchFile } from './torch-file.ts';
import { readZip } from './zip.ts';

/** A file of named arrays, whatever its format. Close it when done. */
export interface ArrayFile {
  readonly path: string;
  names(): string[];
  has(name: string): boolean;
  /** Axes of an array, without reading its data where the format allows. @throws {MonosemeError} ERR_FORMAT */
  shape(name: string): Promise<readonly number[]>;
  /**
   * A whole array as f32, row-major.
   *
   * @param shape when given, the array must have it
   * @throws {MonosemeError} ERR_FORMAT (not there, another shape, no floating-point numbers), ERR_LIMIT
   */
  floats(name: string, shape?: readonly number[]): Promise<Float32Array<ArrayBuffer>>;
  /** The number in an array of one element, of any type. @throws {MonosemeError} ERR_FORMAT */
  scalar(name: string): Promise<number>;
  close(): Promise<void>;
}

/**
 * Open a file of arrays as what its bytes say it is: safetensors, NumPy's `.npz`, or PyTorch's `.pt` (of which nothing
 * is executed). Its name does not count.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FILE, ERR_FORMAT, ERR_LIMIT
 */
export async function openArrays(path: string): Promise<ArrayFile> {
  if (!(await isZip(path))) return readSafetensors(path);
  const zip = await readZip(path);
  try {
    const names = zip.names();
    if (names.some((name) => /(^|\/)data\.pkl$/.test(name))) return await TorchFile.open(zip);
    if (names.some((name) => name.endsWith('.npy'))) return new NpzFile(zip);
    throw zip.malformed(
      `it holds neither NumPy nor PyTorch arrays, but ${names.slice(0, 4).join(', ') || 'nothing'}`,
    );
  } catch (error) {
    await zip.close();
    throw error;
  }
}

async function isZip(path: string): Promise<boolean> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    const start = new Uint8Array(4);
    await readAt(file, start, 0);
    if (start[0] === 0x80 && start[1] <= 5 && start[2] !== 0)
      throw new MonosemeError(
        'ERR_FORMAT',
        `${path} is a bare pickle, as PyTorch wrote before version 1.6.`,
        'Load it there and save its state_dict() again.',
      );
    return start[0] === 0x50 && start[1] === 0x4b;
  } catch (error) {
    throw fileError(error, `read ${path}`);
  } finally {
    await file?.close();
  }
}
