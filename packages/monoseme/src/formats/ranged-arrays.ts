import { extname } from 'node:path';
import type { RawTensor } from './elements.ts';
import { countElements, readNpy } from './npy.ts';
import { readNpz } from './npz.ts';
import type { SafetensorsDtype } from './safetensors-header.ts';
import { readSafetensors } from './safetensors-reader.ts';

/** A file of named arrays that is read by ranges of elements. Close it when done. */
export interface RangedArrays {
  readonly path: string;
  names(): readonly string[];
  /** @throws {MonosemeError} ERR_FORMAT */
  info(name: string): Promise<{ dtype: SafetensorsDtype; shape: number[] }>;
  /** Elements `from` … `to − 1` in row-major order. @throws {MonosemeError} ERR_FORMAT, ERR_LIMIT, ERR_FILE */
  elements(name: string, from: number, to: number): Promise<RawTensor>;
  close(): Promise<void>;
}

/** Endings of the files that {@link openRanged} reads. */
export const RANGED_KINDS: readonly string[] = ['.npy', '.npz', '.safetensors'];

/**
 * Open a file by the ending of its name. The one array of a `.npy` goes by `onlyName`; arrays of a `.npz` are whole in
 * memory from their first use.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FILE, ERR_FORMAT
 */
export async function openRanged(path: string, onlyName: string): Promise<RangedArrays> {
  const kind = extname(path);
  if (kind === '.npy') return openNpy(path, onlyName);
  return kind === '.npz' ? openNpz(path) : openSafetensors(path);
}

async function openSafetensors(path: string): Promise<RangedArrays> {
  const file = await readSafetensors(path);
  return {
    path,
    names: () => file.names(),
    info: async (name) => file.info(name),
    elements: (name, from, to) => file.elements(name, from, to),
    close: () => file.close(),
  };
}

async function openNpy(path: string, onlyName: string): Promise<RangedArrays> {
  const file = await readNpy(path);
  return {
    path,
    names: () => [onlyName],
    info: async () => ({ dtype: file.header.dtype, shape: file.header.shape }),
    elements: (_, from, to) => file.elements(from, to),
    close: () => file.close(),
  };
}

async function openNpz(path: string): Promise<RangedArrays> {
  const file = await readNpz(path);
  const whole = new Map<string, Promise<RawTensor>>();
  return {
    path,
    names: () => file.names(),
    info: (name) => file.info(name),
    async elements(name, from, to) {
      if (!whole.has(name)) whole.set(name, file.tensor(name));
      const { dtype, shape, bytes } = await whole.get(name)!;
      const size = bytes.length / Math.max(1, countElements(shape));
      return { dtype, shape: [to - from], bytes: bytes.slice(from * size, to * size) };
    },
    close: () => file.close(),
  };
}
