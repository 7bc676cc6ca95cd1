import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TokenSet } from '../corpus/index.ts';
import { GOES_ON, interrupted, isInterruption, MonosemeError, throwIfAborted } from '../errors.ts';
import { lockFolder } from '../formats/index.ts';
import { type ModelRunner, RUNTIME_VERSION } from '../model/index.ts';
import { expectPositiveInteger } from '../tensor/index.ts';
import { bytesPerRow, encodeRows, STORE_DTYPES, type StoreDtype } from './encoding.ts';
import { expectSpace } from './expect-space.ts';
import { modelSource } from './model-source.ts';
import { readAhead } from './read-ahead.ts';
import type { RowOptions } from './row-selection.ts';
import { type ShardRows, type StoreShard, wholeShard, writeShard } from './shard.ts';
import type { ActivationSource, DroppedRows, RowOrigins, SourceRows } from './source.ts';
import { writeStoreManifest } from './store-manifest.ts';
import { dropEmptyPlan, findPlan, shardFile, type StorePlan, writePlan } from './store-plan.ts';

export interface WriteSourceOptions {
  /**
   * F16 by default: half the size of F32, with 11 bits of precision up to 65,504. BF16: 8 bits, the range of F32. I8: a
   * quarter of F32, see `encodeRows`.
   */
  dtype?: StoreDtype;
  /** A shard is in memory while it is made and written; by default about 65,536 rows or 64 MiB. */
  rowsPerShard?: number;
  signal?: AbortSignal;
  /** In tokens. */
  onProgress?: (done: number, total: number) => void;
}

export interface WriteStoreOptions extends WriteSourceOptions {
  contextsPerChunk?: number;
  /** Which tokens give a row; all by default. */
  rows?: RowOptions;
}

/** Activations of a model that a store can be made of. */
export interface HarvestSource extends ActivationSource {
  readonly modelName: string;
  readonly hookName: string;
  /** Tokens that a chunk reads, or rows before any is left out. */
  chunkTokens(chunk: number): number;
  /** Tokens of the whole text: those dropped by their ids, and those not drawn. */
  countTokens(): Omit<DroppedRows, 'norms'>;
  readRows(chunk: number, signal?: AbortSignal): Promise<HarvestedRows>;
  /** Rows as bytes of f16, where the model can give them so. */
  readHalves?(
    chunk: number,
    signal?: AbortSignal,
  ): Promise<{ halves: Uint8Array; origins: HarvestedOrigins }>;
  /** Take the array of either back, which is used no more: it is empty afterwards. */
  recycle?(rows: Float32Array | Uint8Array): void;
  /** Take the origins of either back, which are used no more. */
  recycleOrigins?(origins: HarvestedOrigins): void;
}

/** Token ids are there where rows are of tokens. */
type HarvestedOrigins = RowOrigins & Required<Pick<RowOrigins, 'positions' | 'documents'>>;
interface HarvestedRows extends SourceRows {
  readonly origins: HarvestedOrigins;
}

const ROWS_PER_SHARD = 65_536;
const SHARD_BYTES = 2 ** 26;
/** A harvest under way. */
interface Harvest {
  folder: string;
  plan: StorePlan;
  source: HarvestSource;
  chunksPerShard: number;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

/** See `ActivationStore.write`. */
export async function writeStore(
  folder: string,
  runner: ModelRunner,
  tokens: TokenSet,
  options: WriteStoreOptions,
): Promise<void> {
  const { contextsPerChunk, rows, ...others } = options;
  const { dtype = 'F16' } = others;
  const source = modelSource(runner, tokens, { contextsPerChunk, rows, forF16: dtype === 'F16' });
  await writeSource(folder, source, others);
}

/** See `ActivationStore.writeFrom`. */
export async function writeSource(
  folder: string,
  source: HarvestSource,
  options: WriteSourceOptions,
): Promise<void> {
  const { dtype = 'F16', signal, onProgress } = options;
  if (!STORE_DTYPES.includes(dtype))
    throw new MonosemeError(
      'ERR_OPTION',
      `The element type is ${String(dtype)}.`,
      `It is one of ${STORE_DTYPES.join(', ')}.`,
    );
  let mostRows = 0;
  let rowsPerChunk = 0;
  for (let chunk = 0; chunk < source.nChunks; chunk++) {
    mostRows += source.chunkRows(chunk);
    rowsPerChunk = Math.max(rowsPerChunk, source.chunkRows(chunk));
  }
  const usual = Math.min(ROWS_PER_SHARD, Math.ceil(SHARD_BYTES / bytesPerRow(dtype, source.dIn)));
  const { rowsPerShard = usual } = options;
  expectPositiveInteger('The number of rows of a shard', rowsPerShard);
  const chunksPerShard = Math.max(1, Math.floor(rowsPerShard / rowsPerChunk));
  const plan: StorePlan = {
    sourceHash: source.hash,
    description: source.description,
    modelName: source.modelName,
    hookName: source.hookName,
    dtype,
    dIn: source.dIn,
    contextSize: source.contextSize,
    mostRows,
    nShards: Math.ceil(source.nChunks / chunksPerShard),
    rowsPerChunk,
    ...(source.axes && { axes: source.axes }),
    ...(source.leftOut && { leftOut: source.leftOut }),
  };
  throwIfAborted(signal);
  await findPlan(folder, plan); // before the folder is touched
  const unlock = await lockFolder(folder);
  try {
    if (!(await findPlan(folder, plan))) await writePlan(folder, plan);
    const shards = await makeShards({ folder, plan, source, chunksPerShard, signal, onProgress });
    const finished = { plan, shards, modelHash: source.modelHash, dropped: droppedRows(source, shards) };
    await writeStoreManifest(folder, finished, { onnxruntime: RUNTIME_VERSION });
  } catch (error) {
    if (isInterruption(error)) throw interrupted(GOES_ON);
    await dropEmptyPlan(folder);
    throw error;
  } finally {
    await unlock();
  }
}

/** What the whole text leaves out, of which this process may have read a part. */
function droppedRows(source: HarvestSource, shards: readonly StoreShard[]): DroppedRows | undefined {
  const nRows = shards.reduce((sum, { rows }) => sum + rows, 0);
  const { read, tokens, notDrawn } = source.countTokens();
  return nRows === read ? undefined : { read, tokens, notDrawn, norms: read - tokens - notDrawn - nRows };
}

/** Make the shards that are missing. One is written while the next is computed. */
async function makeShards(harvest: Harvest): Promise<StoreShard[]> {
  const { folder, plan, source, chunksPerShard, signal, onProgress } = harvest;
  const shards = await wholeShards(folder, plan, signal);
  const shardOf = (chunk: number) => Math.floor(chunk / chunksPerShard);
  const isLast = (chunk: number) => (chunk + 1) % chunksPerShard === 0 || chunk + 1 === source.nChunks;
  const chunks = Array.from({ length: source.nChunks }, (_, chunk) => chunk);
  const todo = chunks.filter((chunk) => shards[shardOf(chunk)] === undefined);
  await expectSpace(
    folder,
    plan,
    sum(todo, (chunk) => source.chunkRows(chunk)),
    'Take fewer tokens, store I8, or train straight from the model without a store.',
  );
  const total = sum(chunks, (chunk) => source.chunkTokens(chunk));
  let done = total - sum(todo, (chunk) => source.chunkTokens(chunk));
  onProgress?.(done, total);
  let making: ShardRows = { rows: 0, pieces: [], origins: [] };
  const numbers = new OriginsMemory(4 * chunksPerShard * plan.rowsPerChunk);
  const memory = new ShardMemory(chunksPerShard * plan.rowsPerChunk * bytesPerRow(plan.dtype, plan.dIn));
  let writing: Promise<void> = Promise.resolve();
  const read = async (chunk: number) => {
    if (plan.dtype !== 'F16' || !source.readHalves)
      return { chunk, ...(await source.readRows(chunk, signal)) };
    const { halves, origins } = await source.readHalves(chunk, signal);
    return { chunk, activations: halves, origins };
  };
  const write = async (shard: number, rows: ShardRows) => {
    shards[shard] = await writeShard(folder, plan, shard, rows);
  };
  try {
    for await (const { chunk, activations, origins } of readAhead(todo, read)) {
      making.rows += origins.positions.length;
      const encoded =
        activations instanceof Float32Array
          ? encodeRows(activations, plan.dIn, plan.dtype)
          : { data: activations };
      making.pieces.push({ ...encoded, data: memory.keep(encoded.data) });
      source.recycle?.(activations);
      making.origins.push(numbers.keep(origins));
      source.recycleOrigins?.(origins);
      onProgress?.((done += source.chunkTokens(chunk)), total);
      if (!isLast(chunk)) continue;
      throwIfAborted(signal);
      await writing;
      writing = write(shardOf(chunk), making);
      writing.catch(() => {}); // looked at before the next one
      making = { rows: 0, pieces: [], origins: [] };
      memory.turn();
      numbers.turn();
    }
  } finally {
    await writing;
  }
  return shards as StoreShard[];
}

/**
 * Two pieces of memory in turn, for the shard that is made and the one that is written: so what is used does not depend on
 * when garbage is collected.
 */
class ShardMemory {
  readonly #bytes: number;
  readonly #pieces: Uint8Array[] = [];
  #turn = 0;
  #filled = 0;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** A copy that stays until the next turn but one. */
  keep(data: Uint8Array): Uint8Array {
    const piece = (this.#pieces[this.#turn] ??= new Uint8Array(this.#bytes));
    piece.set(data, this.#filled);
    this.#filled += data.length;
    return piece.subarray(this.#filled - data.length, this.#filled);
  }

  turn(): void {
    this.#turn = 1 - this.#turn;
    this.#filled = 0;
  }
}

/** The same for where rows are from. */
class OriginsMemory {
  readonly #columns: Readonly<Record<keyof RowOrigins, ShardMemory>>;

  constructor(bytes: number) {
    const column = () => new ShardMemory(bytes);
    this.#columns = { tokenIds: column(), positions: column(), documents: column() };
  }

  keep(origins: RowOrigins): RowOrigins {
    const kept = (name: keyof RowOrigins) => {
      const numbers = origins[name];
      if (!numbers) return undefined;
      const bytes = this.#columns[name].keep(
        new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength),
      );
      return new Uint32Array(bytes.buffer, bytes.byteOffset, numbers.length);
    };
    return { tokenIds: kept('tokenIds'), positions: kept('positions'), documents: kept('documents') };
  }

  turn(): void {
    for (const column of Object.values(this.#columns)) column.turn();
  }
}

/** The shards that are there and whole; others are removed. */
async function wholeShards(
  folder: string,
  plan: StorePlan,
  signal: AbortSignal | undefined,
): Promise<(StoreShard | undefined)[]> {
  const shards: (StoreShard | undefined)[] = [];
  for (let shard = 0; shard < plan.nShards; shard++) {
    throwIfAborted(signal);
    const found = await wholeShard(folder, plan, shard);
    if (!found) await rm(join(folder, shardFile(shard)), { force: true });
    shards.push(found);
  }
  return shards;
}

const sum = (chunks: readonly number[], of: (chunk: number) => number): number =>
  chunks.reduce((total, chunk) => total + of(chunk), 0);
