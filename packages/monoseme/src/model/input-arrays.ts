import { extname } from 'node:path';
import { MonosemeError } from '../errors.ts';
import {
  countElements,
  openRanged,
  RANGED_KINDS,
  type RangedArrays,
  sha256,
  sha256File,
  toNumbers,
} from '../formats/index.ts';
import type { GivenInputs } from './model-inputs.ts';

interface OpenArray {
  readonly file: RangedArrays;
  /** Its name in the file. */
  readonly array: string;
  /** Of one sample. */
  readonly sizes: readonly number[];
}

/**
 * What a model that reads no tokens is run on: an array [samples, …sizes] of each of its inputs, in `.npy`, `.npz` or
 * safetensors files. Samples are read as they are needed. Close it when done.
 */
export class InputArrays {
  readonly nSamples: number;
  /** Sizes of one sample of each input, as `OnnxModel.open` takes them. */
  readonly given: GivenInputs;
  /** SHA-256 of the files. */
  readonly hash: string;
  readonly #arrays: ReadonlyMap<string, OpenArray>;

  /**
   * @param paths of each input the file, in which the array has the input's name or is the only one
   * @throws {MonosemeError} ERR_OPTION (a file of another kind), ERR_NOT_FOUND, ERR_FORMAT (no such array, no samples),
   * ERR_MISMATCH (arrays of different numbers of samples)
   */
  static async open(paths: Readonly<Record<string, string>>): Promise<InputArrays> {
    const arrays = new Map<string, OpenArray>();
    const counts = new Map<string, number>();
    try {
      for (const [input, path] of Object.entries(paths)) {
        const { samples, ...opened } = await openArray(input, path);
        arrays.set(input, opened);
        counts.set(path, samples);
      }
      const [[first, nSamples], ...others] = [...counts];
      const other = others.find(([, n]) => n !== nSamples);
      if (other)
        throw new MonosemeError(
          'ERR_MISMATCH',
          `${first} has ${nSamples} samples, but ${other[0]} has ${other[1]}.`,
          'The first axis of all inputs counts the same samples.',
        );
      const hashes = [];
      for (const path of counts.keys()) hashes.push(await sha256File(path));
      return new InputArrays(arrays, nSamples, sha256([...arrays.keys()].join(' '), ...hashes));
    } catch (error) {
      for (const { file } of arrays.values()) await file.close();
      throw error;
    }
  }

  private constructor(arrays: ReadonlyMap<string, OpenArray>, nSamples: number, hash: string) {
    this.#arrays = arrays;
    this.nSamples = nSamples;
    this.hash = hash;
    this.given = Object.fromEntries([...arrays].map(([input, { sizes }]) => [input, sizes]));
  }

  /** Samples `from` … `to − 1` of each input, row-major [to − from, …sizes]. @throws {MonosemeError} ERR_FORMAT, ERR_FILE */
  async read(from: number, to: number): Promise<Record<string, ArrayLike<number>>> {
    const samples: Record<string, ArrayLike<number>> = {};
    for (const [input, { file, array, sizes }] of this.#arrays) {
      const n = countElements(sizes);
      const raw = await file.elements(array, from * n, to * n);
      samples[input] = toNumbers(raw, `"${array}" of ${file.path}`);
    }
    return samples;
  }

  async close(): Promise<void> {
    for (const { file } of this.#arrays.values()) await file.close();
  }
}

async function openArray(input: string, path: string): Promise<OpenArray & { samples: number }> {
  if (!RANGED_KINDS.includes(extname(path)))
    throw new MonosemeError(
      'ERR_OPTION',
      `${path} is no file of arrays for the input "${input}".`,
      `It ends with one of ${RANGED_KINDS.join(', ')}.`,
    );
  const file = await openRanged(path, input);
  try {
    const names = file.names();
    const array = names.includes(input) || names.length !== 1 ? input : names[0];
    if (!names.includes(array))
      throw new MonosemeError(
        'ERR_FORMAT',
        `${path} has no array "${input}": it has ${names.slice(0, 8).join(', ') || 'none'}.`,
        'Name the array as the input of the model.',
      );
    const { shape } = await file.info(array);
    if (shape.length >= 2 && !shape.includes(0))
      return { file, array, sizes: shape.slice(1), samples: shape[0] };
    throw new MonosemeError(
      'ERR_FORMAT',
      `"${array}" of ${path} has the shape [${shape.join(', ')}], not samples [n, …].`,
      'Its first axis counts the samples.',
    );
  } catch (error) {
    await file.close();
    throw error;
  }
}
