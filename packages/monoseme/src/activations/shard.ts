import { MonosemeError } from '../errors.ts';
import { readSafetensors, type SafetensorsFile, sha256, writeSafetensors } from '../formats/index.ts';
import { encodeFloats } from '../tensor/index.ts';
import { planHash, shardPath, shardRows, type StorePlan } from './store-plan.ts';

/** The rows of a shard, before they are written. */
export interface ShardRows {
  /** f32 pieces that follow each other, [rows, dIn] together. */
  activations: Float32Array[];
  tokenIds: Int32Array;
  positions: Int32Array;
}

/**
 * Write a shard, atomically: the activations rounded to the plan's dtype, and in the metadata the plan that
 * it belongs to and the SHA-256 of its three tensors.
 */
export async function writeShard(
  folder: string,
  plan: StorePlan,
  shard: number,
  rows: ShardRows,
): Promise<void> {
  const n = shardRows(plan, shard);
  const encoded = rows.activations.map((piece) => encodeFloats(piece, plan.dtype));
  const { tokenIds, positions } = rows;
  await writeSafetensors(
    shardPath(folder, shard),
    {
      activations: { dtype: plan.dtype, shape: [n, plan.dIn], data: encoded },
      token_ids: { dtype: 'I32', shape: [n], data: tokenIds },
      positions: { dtype: 'I32', shape: [n], data: positions },
    },
    {
      plan: planHash(plan),
      shard: String(shard),
      sha256: sha256(...encoded, bytesOf(tokenIds), bytesOf(positions)),
    },
  );
}

/**
 * Bytes of rows `from` … `to − 1` of a shard's tensor. @throws {MonosemeError} ERR_NOT_FOUND, ERR_FORMAT, …
 */
export async function readShardRows(
  folder: string,
  plan: StorePlan,
  shard: number,
  name: 'activations' | 'token_ids',
  from: number,
  to: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const file = await openShard(folder, plan, shard);
  try {
    return (await file.rows(name, from, to)).bytes;
  } finally {
    await file.close();
  }
}

/**
 * Read a whole shard and compare it with its checksum. @throws {MonosemeError} ERR_FORMAT, ERR_MISMATCH, …
 */
export async function checkShard(folder: string, plan: StorePlan, shard: number): Promise<void> {
  const file = await openShard(folder, plan, shard);
  try {
    const parts: Uint8Array[] = [];
    for (const name of ['activations', 'token_ids', 'positions']) parts.push((await file.tensor(name)).bytes);
    if (sha256(...parts) !== file.metadata.sha256)
      throw new MonosemeError(
        'ERR_FORMAT',
        `${file.path} does not hold what was written: its checksum differs.`,
        'Delete it and harvest again: only this shard is made anew.',
      );
  } finally {
    await file.close();
  }
}

/** Open a shard and check that it has the plan's tensors. */
async function openShard(folder: string, plan: StorePlan, shard: number): Promise<SafetensorsFile> {
  const file = await readSafetensors(shardPath(folder, shard));
  const n = shardRows(plan, shard);
  const has = (name: string, dtype: string, ...shape: number[]) =>
    file.has(name) && JSON.stringify(file.info(name)) === JSON.stringify({ dtype, shape });
  const fits =
    file.metadata.plan === planHash(plan) &&
    file.metadata.shard === String(shard) &&
    has('activations', plan.dtype, n, plan.dIn) &&
    has('token_ids', 'I32', n) &&
    has('positions', 'I32', n);
  if (fits) return file;
  await file.close();
  throw new MonosemeError(
    'ERR_MISMATCH',
    `${file.path} does not belong to this store.`,
    'Delete it and harvest again: only this shard is made anew.',
  );
}

const bytesOf = (array: Int32Array): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
