import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError, MonosemeError } from '../errors.ts';
import { isLock, readJson, sha256, snakeCaseKeys, writeJson } from '../formats/index.ts';
import type { RowAxis } from '../model/index.ts';
import { STORE_DTYPES, type StoreDtype } from './encoding.ts';
import { type LeftOut, readLeftOut } from './row-selection.ts';

/** All that decides the content of a store, written before its first shard as `plan.json`. */
export interface StorePlan {
  sourceHash: string;
  description: string;
  modelName: string;
  hookName: string;
  dtype: StoreDtype;
  dIn: number;
  contextSize: number;
  /** Rows of all shards, at most: some may be dropped for their norms as they are made. */
  mostRows: number;
  nShards: number;
  /** Rows that are read at once. */
  rowsPerChunk: number;
  /** Axes of the rows of a sample, where it is no row of tokens: contextSize is the product of their sizes. */
  axes?: readonly RowAxis[];
  /** Tokens without a row, where they are left out by what they hold. */
  leftOut?: LeftOut;
}

const PLAN_FILE = 'plan.json';

export const planHash = (plan: StorePlan): string => sha256(JSON.stringify(toDisk(plan)));

/** Name of a shard's file. */
export const shardFile = (shard: number): string => `shard-${String(shard).padStart(5, '0')}.safetensors`;

const isShardName = (name: string): boolean => /^shard-\d+\.safetensors$/.test(name);

/**
 * Look whether a folder may be written by a plan: it is new, empty, or holds the same plan.
 *
 * @returns whether the plan is there
 * @throws {MonosemeError} ERR_EXISTS when the folder holds something else
 */
export async function findPlan(folder: string, plan: StorePlan): Promise<boolean> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [] as string[];
    throw fileError(error, `open ${folder}`);
  });
  if (names.includes(PLAN_FILE)) {
    const found = await readPlan(folder);
    if (planHash(found) === planHash(plan)) return true;
    const what = found.description === plan.description ? 'other settings' : `"${found.description}"`;
    throw new MonosemeError(
      'ERR_EXISTS',
      `${folder} holds activations of ${what}.`,
      'Choose another folder, or delete this one.',
    );
  }
  if (names.some((name) => !name.endsWith('.partial') && !isLock(name)))
    throw new MonosemeError(
      'ERR_EXISTS',
      `${folder} is not empty and holds no activation store.`,
      'Choose another folder.',
    );
  return false;
}

/** Whether a folder's files are none, or what an interrupted import left. */
export async function mayImportInto(folder: string): Promise<boolean> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [] as string[];
    throw fileError(error, `open ${folder}`);
  });
  return names.every((name) => name.endsWith('.partial') || isLock(name) || isShardName(name));
}

export const writePlan = (folder: string, plan: StorePlan): Promise<void> =>
  writeJson(join(folder, PLAN_FILE), toDisk(plan));

/** Remove a plan of which there is no shard yet, so that the folder may be used with other settings. */
export async function dropEmptyPlan(folder: string): Promise<void> {
  const names = await readdir(folder);
  if (!names.some(isShardName)) await rm(join(folder, PLAN_FILE), { force: true });
}

/** @throws {MonosemeError} ERR_NOT_FOUND, ERR_FORMAT */
export async function readPlan(folder: string): Promise<StorePlan> {
  const path = join(folder, PLAN_FILE);
  const json = (await readJson(path)) as Record<string, unknown> | null;
  const plan = {
    sourceHash: json?.source_hash,
    description: json?.description,
    modelName: json?.model_name,
    hookName: json?.hook_name,
    dtype: json?.dtype,
    dIn: json?.d_in,
    contextSize: json?.context_size,
    mostRows: json?.most_rows,
    nShards: json?.n_shards,
    rowsPerChunk: json?.rows_per_chunk,
    ...(json?.axes !== undefined && { axes: json.axes }),
    ...(json?.left_out !== undefined && { leftOut: readLeftOut(json.left_out) }),
  };
  const texts = [plan.sourceHash, plan.description, plan.modelName, plan.hookName];
  const sizes = [plan.dIn, plan.contextSize, plan.mostRows, plan.nShards, plan.rowsPerChunk];
  const sound =
    texts.every((text) => typeof text === 'string') &&
    sizes.every((size) => Number.isSafeInteger(size) && (size as number) > 0) &&
    STORE_DTYPES.includes(plan.dtype as StoreDtype) &&
    (plan.axes === undefined || areAxes(plan.axes, plan.contextSize as number));
  if (sound) return plan as StorePlan;
  throw new MonosemeError('ERR_FORMAT', `${path} is not the plan of an activation store.`, 'Harvest again.');
}

function areAxes(axes: unknown, contextSize: number): axes is RowAxis[] {
  if (!Array.isArray(axes)) return false;
  const named = (axes as Partial<RowAxis>[]).every(
    (axis) => typeof axis?.name === 'string' && Number.isSafeInteger(axis.size),
  );
  return named && (axes as RowAxis[]).reduce((product, { size }) => product * size, 1) === contextSize;
}

/** In one order, whatever that of the object. */
function toDisk(plan: StorePlan): Record<string, unknown> {
  const { leftOut } = plan;
  const flat = { ...plan, ...(leftOut && { leftOut: snakeCaseKeys({ ...leftOut }) }) };
  return snakeCaseKeys(Object.fromEntries(Object.entries(flat).sort(([a], [b]) => (a < b ? -1 : 1))));
}
