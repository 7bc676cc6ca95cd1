import type { TokenSet } from '../corpus/index.ts';
import { MonosemeError, throwIfAborted } from '../errors.ts';
import { sha256 } from '../formats/index.ts';
import type { ModelRunner, RowAxis } from '../model/index.ts';
import { checkShard, LOST, readShardOrigins, readShardRows, type OpenShard } from './shard.ts';
import type { LeftOut } from './row-selection.ts';
import type { ActivationSource, DroppedRows, RowOrigins, SourceRows } from './source.ts';
import { type CheckOptions, type FinishedStore, readStoreManifest, salvageStore } from './store-manifest.ts';
import type { StorePlan } from './store-plan.ts';
import {
  type HarvestSource,
  type WriteSourceOptions,
  writeSource,
  type WriteStoreOptions,
  writeStore,
} from './write-store.ts';

/**
 * Activations on disk: safetensors shards, a plan and a manifest.
 *
 * A shard holds whole contexts: `activations` [rows, d_in] (F16, BF16, F32, or I8 with `scales` F32 [rows]),
 * `token_ids`, `positions` (place in the context) and `documents` I32 [rows]. Shards that were made elsewhere may name
 * them otherwise and lack all but the first. No file is kept open, so any number of chunks may be read at once.
 */
export class ActivationStore implements ActivationSource {
  readonly folder: string;
  readonly dIn: number;
  readonly contextSize: number;
  readonly nChunks: number;
  readonly nRows: number;
  readonly description: string;
  readonly hash: string;
  readonly hookName: string;
  readonly modelName: string;
  readonly modelHash: string | undefined;
  /**
   * Axes along which the rows of a sample lie where it is no row of tokens: `positions` counts them in row-major order
   * ({@link coordinatesOf}).
   */
  readonly axes: readonly RowAxis[] | undefined;
  /** What the harvest left out of its text. */
  readonly dropped: DroppedRows | undefined;
  /** By which rule, where it is one of what rows hold. */
  readonly leftOut: LeftOut | undefined;
  /** Shards of the plan that are left out: missing or damaged ones of a salvaged store. */
  readonly nLost: number;
  readonly #plan: StorePlan;
  readonly #shards: readonly OpenShard[];
  /** Number of the first chunk of each shard. */
  readonly #firstChunks: readonly number[];
  /** Shards without sums of their chunks that were read and compared whole. */
  readonly #checked = new Map<OpenShard, Promise<unknown>>();

  /**
   * Harvest a model's activations into a folder, or go on where an interrupted harvest stopped: shards that
   * are whole are kept. The folder is a store once its manifest is there, which is written last. Interrupted
   * at any time, at most the shard being made and the one being written are lost.
   *
   * @throws {MonosemeError} ERR_EXISTS (the folder holds something else), ERR_LOCKED (another process writes it),
   * ERR_NOT_FINITE (naming the token; also for values beyond F16), ERR_DISK_FULL (before starting where it can be told),
   * ERR_INTERRUPTED, the runner's errors
   */
  static async write(
    folder: string,
    runner: ModelRunner,
    tokens: TokenSet,
    options: WriteStoreOptions = {},
  ): Promise<ActivationStore> {
    await writeStore(folder, runner, tokens, options);
    return ActivationStore.open(folder);
  }

  /** The same for any source of a model's activations, {@link arraySource} say. @throws as {@link write} */
  static async writeFrom(
    folder: string,
    source: HarvestSource,
    options: WriteSourceOptions = {},
  ): Promise<ActivationStore> {
    await writeSource(folder, source, options);
    return ActivationStore.open(folder);
  }

  /** @throws {MonosemeError} ERR_NOT_FOUND (none there, or not finished), ERR_FORMAT, ERR_MISMATCH */
  static async open(folder: string): Promise<ActivationStore> {
    return new ActivationStore(folder, await readStoreManifest(folder));
  }

  /**
   * Open what is whole of a store that was not finished, or of which shards are missing or damaged. Every shard is read
   * once, to compare it with its checksum.
   *
   * @throws {MonosemeError} ERR_NOT_FOUND (no store, or no shard is whole), ERR_FORMAT (its plan is damaged)
   */
  static async salvage(folder: string, options: CheckOptions = {}): Promise<ActivationStore> {
    return new ActivationStore(folder, await salvageStore(folder, options));
  }

  private constructor(folder: string, { plan, shards, modelHash, dropped }: FinishedStore) {
    this.folder = folder;
    this.dropped = dropped;
    this.modelHash = modelHash;
    this.#plan = plan;
    let firstRow = 0;
    this.#shards = shards
      .filter(({ rows }) => rows > 0)
      .map((shard) => ({ ...shard, firstRow: (firstRow += shard.rows) - shard.rows }));
    this.nLost = plan.nShards - shards.length;
    this.dIn = plan.dIn;
    this.contextSize = plan.contextSize;
    this.nRows = firstRow;
    let nChunks = 0;
    this.#firstChunks = this.#shards.map(({ rows }) => {
      nChunks += Math.ceil(rows / plan.rowsPerChunk);
      return nChunks - Math.ceil(rows / plan.rowsPerChunk);
    });
    this.nChunks = nChunks;
    const lost = this.nLost > 0 ? ` (${this.nLost} of ${plan.nShards} shards left out)` : '';
    this.description = `${plan.description}, stored as ${plan.dtype}${lost}`;
    this.hash = sha256(plan.sourceHash, plan.dtype, this.nLost > 0 ? JSON.stringify(shards) : '');
    this.hookName = plan.hookName;
    this.modelName = plan.modelName;
    this.axes = plan.axes;
    this.leftOut = plan.leftOut;
  }

  chunkRows(chunk: number): number {
    const [, [from, to]] = this.#place(chunk);
    return to - from;
  }

  /** @throws {MonosemeError} ERR_NOT_FOUND, ERR_FORMAT (a shard is missing or damaged), ERR_INTERRUPTED */
  async readChunk(chunk: number, signal?: AbortSignal): Promise<Float32Array> {
    return (await this.readRows(chunk, signal)).activations;
  }

  /** @throws as {@link readChunk} */
  async readRows(chunk: number, signal?: AbortSignal): Promise<SourceRows> {
    throwIfAborted(signal);
    return this.#reading(chunk, readShardRows);
  }

  /** @throws as {@link readChunk} */
  async readOrigins(chunk: number): Promise<RowOrigins> {
    return this.#reading(chunk, readShardOrigins);
  }

  /**
   * Read every shard and compare its content with its checksum.
   *
   * @throws {MonosemeError} ERR_FORMAT or ERR_MISMATCH naming the first shard that does not hold what was
   * written
   */
  async verify(options: CheckOptions = {}): Promise<void> {
    for (const [i, shard] of this.#shards.entries()) {
      throwIfAborted(options.signal);
      await checkShard(this.folder, this.#plan, shard);
      options.onProgress?.(i + 1, this.#shards.length);
    }
  }

  /** Read a chunk and compare it with its checksum; say what can be done about a shard that is missing or damaged. */
  async #reading<T>(
    chunk: number,
    read: (folder: string, plan: StorePlan, ...place: [OpenShard, [number, number]]) => Promise<T>,
  ): Promise<T> {
    const [shard, range] = this.#place(chunk);
    try {
      if (!shard.crc32) await this.#checkOnce(shard);
      return await read(this.folder, this.#plan, shard, range);
    } catch (error) {
      if (!(error instanceof MonosemeError) || !LOST.has(error.code)) throw error;
      throw new MonosemeError(error.code, error.what, `${error.advice} ${SALVAGE}`.trim(), { cause: error });
    }
  }

  #checkOnce(shard: OpenShard): Promise<unknown> {
    const checked = this.#checked.get(shard) ?? checkShard(this.folder, this.#plan, shard);
    this.#checked.set(shard, checked);
    return checked;
  }

  #place(chunk: number): [OpenShard, [number, number]] {
    const { rowsPerChunk } = this.#plan;
    let low = 0;
    for (let high = this.#shards.length; high - low > 1;) {
      const middle = (low + high) >>> 1;
      if (this.#firstChunks[middle] <= chunk) low = middle;
      else high = middle;
    }
    const from = (chunk - this.#firstChunks[low]) * rowsPerChunk;
    return [this.#shards[low], [from, Math.min(from + rowsPerChunk, this.#shards[low].rows)]];
  }
}

const SALVAGE = 'Or train on the shards that are whole (--salvage).';
