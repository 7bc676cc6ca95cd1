import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError, MonosemeError } from '../errors.ts';
import { isLock, readJson, readManifest, sha256, writeJson } from '../formats/index.ts';
import { bytesPerElement, type Dtype } from '../tensor/index.ts';

/** All that decides the content of a store, written before its first shard as `plan.json`. */
export interface StorePlan {
  sourceHash: string;
  description: string;
  modelName: string;
  hookName: string;
  dtype: Dtype;
  dIn: number;
  contextSize: number;
  nRows: number;
  rowsPerChunk: number;
  chunksPerShard: number;
}

export const STORE_KIND = 'activation-store';

const PLAN_FILE = 'plan.json';

export const planHash = (plan: StorePlan): string => sha256(JSON.stringify(toDisk(plan)));

export const nShards = (plan: StorePlan): number =>
  Math.ceil(plan.nRows / (plan.rowsPerChunk * plan.chunksPerShard));

/** Rows of a shard: all but the last have as many. */
export function shardRows(plan: StorePlan, shard: number): number {
  const full = plan.rowsPerChunk * plan.chunksPerShard;
  return Math.min(full, plan.nRows - shard * full);
}

export const shardPath = (folder: string, shard: number): string =>
  join(folder, `shard-${String(shard).padStart(5, '0')}.safetensors`);

/** Bytes that a whole store takes: activations, token ids and positions. */
export const storeBytes = ({ nRows, dIn, dtype }: StorePlan): number =>
  nRows * (dIn * bytesPerElement(dtype) + 8);

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

export const writePlan = (folder: string, plan: StorePlan): Promise<void> =>
  writeJson(join(folder, PLAN_FILE), toDisk(plan));

/**
 * The plan of a complete store, and the hash of the model that it is of. @throws {MonosemeError} ERR_NOT_FOUND (no store, or not finished),
 * ERR_FORMAT, …
 */
export async function readFinishedPlan(
  folder: string,
): Promise<{ plan: StorePlan; modelHash: string | undefined }> {
  const { madeFrom } = await readManifest(folder, STORE_KIND);
  const plan = await readPlan(folder);
  if (madeFrom.plan === planHash(plan)) return { plan, modelHash: madeFrom.model };
  throw new MonosemeError(
    'ERR_MISMATCH',
    `${join(folder, PLAN_FILE)} is not the plan that the store was made by.`,
    'Harvest again into another folder.',
  );
}

async function readPlan(folder: string): Promise<StorePlan> {
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
    nRows: json?.n_rows,
    rowsPerChunk: json?.rows_per_chunk,
    chunksPerShard: json?.chunks_per_shard,
  };
  const texts = [plan.sourceHash, plan.description, plan.modelName, plan.hookName];
  const sizes = [plan.dIn, plan.contextSize, plan.nRows, plan.rowsPerChunk, plan.chunksPerShard];
  const sound =
    texts.every((text) => typeof text === 'string') &&
    sizes.every((size) => Number.isSafeInteger(size) && (size as number) > 0) &&
    ['F32', 'F16', 'BF16'].includes(plan.dtype as string);
  if (sound) return plan as StorePlan;
  throw new MonosemeError('ERR_FORMAT', `${path} is not the plan of an activation store.`, 'Harvest again.');
}

function toDisk(plan: StorePlan): Record<string, unknown> {
  return {
    source_hash: plan.sourceHash,
    description: plan.description,
    model_name: plan.modelName,
    hook_name: plan.hookName,
    dtype: plan.dtype,
    d_in: plan.dIn,
    context_size: plan.contextSize,
    n_rows: plan.nRows,
    rows_per_chunk: plan.rowsPerChunk,
    chunks_per_shard: plan.chunksPerShard,
  };
}
