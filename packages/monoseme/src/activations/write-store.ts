import { rm, statfs } from 'node:fs/promises';
import type { TokenSet } from '../corpus/index.ts';
import { MonosemeError, throwIfAborted } from '../errors.ts';
import { lockFolder, writeManifest } from '../formats/index.ts';
import { type ModelRunner, RUNTIME_VERSION } from '../model/index.ts';
import { type Dtype, expectPositiveInteger } from '../tensor/index.ts';
import { modelSource, notFinite } from './model-source.ts';
import { checkShard, writeShard } from './shard.ts';
import type { ActivationSource } from './source.ts';
import { findPlan, nShards, planHash, shardPath, shardRows, writePlan } from './store-plan.ts';
import { STORE_KIND, storeBytes, type StorePlan } from './store-plan.ts';

export interface WriteStoreOptions {
  /** F16 by default: half the size of F32, with 11 bits of precision up to 65,504. */
  dtype?: Dtype;
  contextsPerChunk?: number;
  /** A shard is in memory while it is made; by default about 65,536 rows. */
  rowsPerShard?: number;
  signal?: AbortSignal;
  /** In rows. */
  onProgress?: (done: number, total: number) => void;
}

const ROWS_PER_SHARD = 65_536;
/** Half-precision numbers from here on are rounded to infinity. */
const HALF_OVERFLOW = 65_520;

/** See `ActivationStore.write`. */
export async function writeStore(
  folder: string,
  runner: ModelRunner,
  tokens: TokenSet,
  options: WriteStoreOptions,
): Promise<void> {
  const { dtype = 'F16', contextsPerChunk, rowsPerShard = ROWS_PER_SHARD, signal } = options;
  expectPositiveInteger('The number of rows of a shard', rowsPerShard);
  if (!['F32', 'F16', 'BF16'].includes(dtype))
    throw new MonosemeError('ERR_OPTION', `The element type is ${dtype}.`, 'It is F16, BF16 or F32.');
  const source = modelSource(runner, tokens, { contextsPerChunk });
  const plan: StorePlan = {
    sourceHash: source.hash,
    description: source.description,
    modelName: runner.model.name,
    hookName: runner.hookName,
    dtype,
    dIn: source.dIn,
    contextSize: source.contextSize,
    nRows: tokens.nContexts * tokens.contextSize,
    rowsPerChunk: source.chunkRows(0),
    chunksPerShard: Math.max(1, Math.floor(rowsPerShard / source.chunkRows(0))),
  };
  throwIfAborted(signal);
  await findPlan(folder, plan); // before the folder is touched
  const unlock = await lockFolder(folder);
  try {
    if (!(await findPlan(folder, plan))) await writePlan(folder, plan);
    await makeMissingShards(folder, plan, source, tokens, options);
    await writeManifest(folder, {
      kind: STORE_KIND,
      madeFrom: { model: runner.model.sha256, source: source.hash, plan: planHash(plan) },
      versions: { onnxruntime: RUNTIME_VERSION },
      details: { n_shards: nShards(plan), n_rows: plan.nRows, d_in: plan.dIn, dtype },
    });
  } finally {
    await unlock();
  }
}

async function makeMissingShards(
  folder: string,
  plan: StorePlan,
  source: ActivationSource,
  tokens: TokenSet,
  { signal, onProgress }: WriteStoreOptions,
): Promise<void> {
  const missing = await missingShards(folder, plan, signal);
  await expectSpace(folder, plan, missing);
  let done = plan.nRows - missing.reduce((rows, shard) => rows + shardRows(plan, shard), 0);
  onProgress?.(done, plan.nRows);
  for (const shard of missing) {
    await makeShard(folder, plan, shard, source, tokens, signal, (rows) => {
      onProgress?.((done += rows), plan.nRows);
    });
  }
}

/** Shards that are not there, or not whole (those are removed). */
async function missingShards(
  folder: string,
  plan: StorePlan,
  signal: AbortSignal | undefined,
): Promise<number[]> {
  const missing: number[] = [];
  for (let shard = 0; shard < nShards(plan); shard++) {
    throwIfAborted(signal);
    const path = shardPath(folder, shard);
    try {
      await checkShard(folder, plan, shard);
    } catch (error) {
      if (!(error instanceof MonosemeError)) throw error;
      if (!['ERR_NOT_FOUND', 'ERR_FORMAT', 'ERR_MISMATCH'].includes(error.code)) throw error;
      await rm(path, { force: true });
      missing.push(shard);
    }
  }
  return missing;
}

async function expectSpace(folder: string, plan: StorePlan, missing: number[]): Promise<void> {
  const needed = storeBytes({ ...plan, nRows: missing.reduce((n, shard) => n + shardRows(plan, shard), 0) });
  const { bavail, bsize } = await statfs(folder);
  if (needed <= bavail * bsize) return;
  const mebibytes = (bytes: number) => Math.ceil(bytes / 2 ** 20);
  throw new MonosemeError(
    'ERR_DISK_FULL',
    `The activations need ${mebibytes(needed)} MiB, but the disk of ${folder} has ${mebibytes(bavail * bsize)} MiB left.`,
    'Harvest fewer tokens, or train straight from the model without a store.',
  );
}

async function makeShard(
  folder: string,
  plan: StorePlan,
  shard: number,
  source: ActivationSource,
  tokens: TokenSet,
  signal: AbortSignal | undefined,
  onRows: (rows: number) => void,
): Promise<void> {
  const { contextSize, rowsPerChunk, chunksPerShard } = plan;
  const firstRow = shard * chunksPerShard * rowsPerChunk;
  const n = shardRows(plan, shard);
  const activations: Float32Array[] = [];
  for (let row = firstRow; row < firstRow + n; row += rowsPerChunk) {
    const chunk = await source.readChunk(row / rowsPerChunk, signal);
    if (plan.dtype === 'F16') expectFitsHalf(chunk, plan, tokens, row);
    activations.push(chunk);
    onRows(chunk.length / plan.dIn);
  }
  throwIfAborted(signal);
  await writeShard(folder, plan, shard, {
    activations,
    tokenIds: Int32Array.from(tokens.tokens.subarray(firstRow, firstRow + n)),
    positions: Int32Array.from({ length: n }, (_, i) => (firstRow + i) % contextSize),
  });
}

function expectFitsHalf(chunk: Float32Array, plan: StorePlan, tokens: TokenSet, firstRow: number): void {
  let index = 0;
  while (index < chunk.length && chunk[index] < HALF_OVERFLOW && chunk[index] > -HALF_OVERFLOW) index++;
  if (index === chunk.length) return;
  const row = firstRow + Math.floor(index / plan.dIn);
  const what = `${plan.hookName} is ${chunk[index]}, too large for F16,`;
  throw notFinite(tokens, row, what, 'Store BF16 or F32 instead (--dtype).');
}
