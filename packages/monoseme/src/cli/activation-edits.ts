import type { Command } from 'commander';
import { extname } from 'node:path';
import { ActivationStore } from '../activations/index.ts';
import { MonosemeError } from '../errors.ts';
import { openRanged, RANGED_KINDS, toNumbers } from '../formats/index.ts';
import { addDirection, replace, resample, type SteerVersion, zero } from '../interventions/index.ts';
import { numberListOption } from './options.ts';

/** Rows of a store from which resampling draws, at most. */
const POOL_ROWS = 4096;

export interface ActivationEditFlags {
  readonly zero?: boolean;
  readonly mean?: string;
  readonly resample?: string;
  readonly direction?: string;
  readonly strength?: number[];
  readonly seed: number;
}

/** An edit with what it is called. */
export interface Version {
  readonly name: string;
  readonly edit: SteerVersion;
}

export function addActivationEditFlags(command: Command): Command {
  return command
    .option('--zero', 'put zeros in place of the activations')
    .option('--mean <store>', 'put the mean of an activation store in place of them')
    .option('--resample <store>', 'put rows of an activation store in place of them, drawn by the seed')
    .option('--direction <file>', 'add a direction [d_in]: a .npy, .npz or safetensors file with one array')
    .option('--strength <values>', 'times that (default: 1); several are several versions', numberListOption);
}

/**
 * A version for each edit of activations that was asked for.
 *
 * @throws {MonosemeError} ERR_USAGE (a strength without a direction), what stores and files throw
 */
export async function activationVersions(flags: ActivationEditFlags): Promise<Version[]> {
  const { mean, resample: from, direction, strength, seed } = flags;
  const versions: Version[] = [];
  if (flags.zero) versions.push({ name: 'zero', edit: (where) => zero(where) });
  if (mean !== undefined) {
    const row = await meanRow(await ActivationStore.open(mean));
    versions.push({ name: 'mean', edit: (where) => replace(row, where) });
  }
  if (from !== undefined) {
    const pool = await someRows(await ActivationStore.open(from));
    versions.push({ name: 'resample', edit: (where) => resample(pool, seed, where) });
  }
  if (strength && direction === undefined)
    throw new MonosemeError(
      'ERR_USAGE',
      '--strength was given without --direction.',
      'Name the file to add.',
    );
  if (direction === undefined) return versions;
  const vector = await readDirection(direction);
  for (const scale of strength ?? [1])
    versions.push({ name: `add ${scale} × direction`, edit: (where) => addDirection(vector, scale, where) });
  return versions;
}

/** The mean of all rows, summed in f64. */
async function meanRow(store: ActivationStore): Promise<Float32Array> {
  const sums = new Float64Array(store.dIn);
  for (let chunk = 0; chunk < store.nChunks; chunk++) {
    const rows = await store.readChunk(chunk);
    for (let i = 0; i < rows.length; i++) sums[i % store.dIn] += rows[i];
  }
  return Float32Array.from(sums, (sum) => sum / store.nRows);
}

/** The first rows of chunks that are spread evenly over a store. */
async function someRows(store: ActivationStore): Promise<Float32Array> {
  const nChunks = Math.min(store.nChunks, 16);
  const parts: Float32Array[] = [];
  for (let i = 0; i < nChunks; i++) {
    const rows = await store.readChunk(Math.floor((i * store.nChunks) / nChunks));
    parts.push(rows.subarray(0, Math.ceil(POOL_ROWS / nChunks) * store.dIn));
  }
  const pool = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    pool.set(part, at);
    at += part.length;
  }
  return pool;
}

async function readDirection(path: string): Promise<Float32Array> {
  if (!RANGED_KINDS.includes(extname(path)))
    throw new MonosemeError(
      'ERR_OPTION',
      `${path} is no file of arrays.`,
      `It ends with one of ${RANGED_KINDS.join(', ')}.`,
    );
  const file = await openRanged(path, 'direction');
  try {
    const names = file.names();
    const name = names.includes('direction') ? 'direction' : names[0];
    const { shape } = names.length > 0 ? await file.info(name) : { shape: [] };
    const dIn = shape.reduce((product, size) => product * size, 1);
    if ((names.length === 1 || name === 'direction') && dIn > 1 && dIn === Math.max(...shape)) {
      const vector = Float32Array.from(toNumbers(await file.elements(name, 0, dIn), `"${name}" of ${path}`));
      expectFinite(path, vector);
      return vector;
    }
    throw new MonosemeError(
      'ERR_FORMAT',
      `${path} holds no one vector: it has ${names.slice(0, 8).join(', ')} [${shape.join(', ')}].`,
      'Give one array [d_in], or one called "direction".',
    );
  } finally {
    await file.close();
  }
}

/** @throws {MonosemeError} ERR_NOT_FINITE naming the element */
function expectFinite(path: string, vector: Float32Array): void {
  const at = vector.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  throw new MonosemeError(
    'ERR_NOT_FINITE',
    `Element ${at} of ${path} is ${vector[at]}.`,
    'Make the direction again.',
  );
}
