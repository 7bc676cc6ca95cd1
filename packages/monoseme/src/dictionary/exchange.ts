import { MonosemeError } from '../errors.ts';
import type { ArrayFile } from '../formats/index.ts';
import { expectFinite } from '../tensor/index.ts';
import type { Dictionary, DictionaryConfig, Weights } from './dictionary.ts';
import type { RowNormalization } from './row-normalization.ts';

/*
 * What the readers of other tools' files share. Sizes are checked before anything is allocated from them.
 */

/** A configuration is a few hundred bytes; a megabyte leaves room for any metadata and no room for abuse. */
export const MAX_CONFIG_BYTES = 1 << 20;

/** Largest sizes read from a file: 2^20 inputs and 2^24 latents are far past every published dictionary. */
export const MAX_D_IN = 1 << 20;
export const MAX_D_SAE = 1 << 24;

/** @throws {MonosemeError} ERR_FORMAT when it is no object */
export function jsonRecord(json: unknown, path: string): Record<string, unknown> {
  if (typeof json === 'object' && json !== null && !Array.isArray(json))
    return json as Record<string, unknown>;
  throw new MonosemeError(
    'ERR_FORMAT',
    `${path}: it is not a JSON object.`,
    'It should be the cfg.json of a dictionary.',
  );
}

/** A whole number from 1 to `max` of a configuration. @throws {MonosemeError} ERR_FORMAT naming the key */
export function sizeOf(record: Record<string, unknown>, key: string, max: number, path: string): number {
  const value = record[key];
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new MonosemeError(
    'ERR_FORMAT',
    `${path}: ${key} is ${JSON.stringify(value)}.`,
    `It should be a whole number from 1 to ${max}.`,
  );
}

/** A setting that is true or false, `other` where it is missing or null. @throws {MonosemeError} ERR_FORMAT naming the key */
export function flagOf(
  record: Readonly<Record<string, unknown>>,
  key: string,
  other: boolean,
  path: string,
): boolean {
  const value = record[key] ?? other;
  if (typeof value === 'boolean') return value;
  throw new MonosemeError(
    'ERR_FORMAT',
    `${path}: ${key} is ${JSON.stringify(value)}.`,
    'It should be true or false.',
  );
}

/**
 * Sizes that a configuration says too, where it says them, are those of the arrays.
 *
 * @throws {MonosemeError} ERR_FORMAT naming the key and both sizes
 */
export function expectSizes(
  record: Readonly<Record<string, unknown>>,
  sizes: Readonly<Record<string, number>>,
  path: string,
): void {
  for (const [key, size] of Object.entries(sizes)) {
    const said = record[key];
    if (said === undefined || said === null || said === size) continue;
    throw new MonosemeError(
      'ERR_FORMAT',
      `${path}: ${key} is ${JSON.stringify(said)}, but its arrays are for ${size}.`,
      'Check that the configuration belongs to the file.',
    );
  }
}

/**
 * For formats of plain autoencoders.
 *
 * @throws {MonosemeError} ERR_OPTION for a transcoder, a crosscoder, or one that normalises rows
 */
export function expectPlainAutoencoder({ config, weights }: Dictionary, format: string): void {
  const { targetHookName, sources, normalization, pursuit } = config;
  const kind = sources ? 'a crosscoder' : targetHookName === undefined ? undefined : 'a transcoder';
  const what =
    kind ??
    (weights.W_skip
      ? 'one with a skip connection'
      : pursuit
        ? 'a matching pursuit'
        : normalizing(normalization));
  if (what === undefined) return;
  throw new MonosemeError(
    'ERR_OPTION',
    `The dictionary is ${what}, which ${format} cannot say.`,
    'Write it as SAELens.',
  );
}

/** What a dictionary is that normalises its inputs, for an error. */
export function normalizing(normalization: RowNormalization | undefined): string | undefined {
  return normalization && `one that normalises every input (${normalization})`;
}

/**
 * An array of weights, as {@link ArrayFile.floats} reads it: named here as the file names it, before anything is folded.
 *
 * @throws {MonosemeError} ERR_NOT_FINITE naming the array and the file; else as there
 */
export async function finiteFloats(
  file: Pick<ArrayFile, 'path' | 'floats'>,
  name: string,
  shape: readonly number[],
): Promise<Float32Array<ArrayBuffer>> {
  const floats = await file.floats(name, shape);
  expectFinite(`"${name}" of ${file.path}`, floats);
  return floats;
}

/** The transpose of a row-major [nRows, nColumns] matrix, walked in square blocks so that both sides stay in cache. */
export function transposed(matrix: Float32Array, nRows: number, nColumns: number): Float32Array {
  const out = new Float32Array(matrix.length);
  const block = 32;
  for (let r0 = 0; r0 < nRows; r0 += block) {
    const r1 = Math.min(r0 + block, nRows);
    for (let c0 = 0; c0 < nColumns; c0 += block) {
      const c1 = Math.min(c0 + block, nColumns);
      for (let r = r0; r < r1; r++) {
        for (let c = c0; c < c1; c++) out[c * nRows + r] = matrix[r * nColumns + c];
      }
    }
  }
  return out;
}

/** A file of weights with the configurations beside it, from which its format is told. */
export interface Checkpoint {
  readonly file: ArrayFile;
  /** Contents of `cfg.json`, `config.json` and `hyperparams.json`, as far as there are any. */
  readonly configs: Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>;
}

/** Whether a file has all of some arrays. */
export function hasArrays({ file }: Checkpoint, ...names: string[]): boolean {
  return names.every((name) => file.has(name));
}

/** The lengths of a matrix, within what is read. @throws {MonosemeError} ERR_FORMAT, ERR_LIMIT */
export async function matrixShape(file: ArrayFile, name: string): Promise<[number, number]> {
  const shape = await file.shape(name);
  if (shape.length !== 2 || Math.min(...shape) < 1)
    throw new MonosemeError(
      'ERR_FORMAT',
      `"${name}" of ${file.path} has the shape [${shape}], not that of a matrix.`,
      '',
    );
  if (Math.max(...shape) > MAX_D_SAE)
    throw new MonosemeError(
      'ERR_LIMIT',
      `"${name}" of ${file.path} has the shape [${shape}].`,
      `At most ${MAX_D_SAE} latents are read.`,
    );
  return [shape[0], shape[1]];
}

type Known = 'architecture' | 'applyBDecToInput';

/** A dictionary of another tool's file, with nothing said of model and hook unless it is given. */
export function foreignDictionary(
  weights: Weights,
  fields: Pick<DictionaryConfig, Known> & Partial<Omit<DictionaryConfig, Known>>,
): Dictionary {
  const dSae = weights.b_enc.length;
  const config = {
    dIn: weights.W_enc.length / dSae,
    dSae,
    hookName: '',
    modelName: '',
    contextSize: undefined,
    metadata: {},
    ...fields,
  };
  const { threshold } = weights;
  if (!threshold) return { config, weights };
  // Activations are ReLU(h) · 1[h > θ]: a threshold below 0 is as 0.
  return { config, weights: { ...weights, threshold: threshold.map((value) => Math.max(value, 0)) } };
}
