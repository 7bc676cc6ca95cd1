import type { TokenSet } from '../corpus/index.ts';
import { throwIfAborted } from '../errors.ts';
import { sha256 } from '../formats/index.ts';
import type { ModelRunner } from '../model/index.ts';
import { decodeFloats } from '../tensor/index.ts';
import { checkShard, readShardRows } from './shard.ts';
import type { ActivationSource } from './source.ts';
import { nShards, readFinishedPlan, type StorePlan } from './store-plan.ts';
import { type WriteStoreOptions, writeStore } from './write-store.ts';

/**
 * Activations on disk: safetensors shards, a plan and a manifest.
 *
 * A shard holds whole contexts: `activations` [rows, d_in] (F16, BF16 or F32), `token_ids` and `positions`
 * (place in the context) I32 [rows]. No file is kept open, so any number of chunks may be read at once.
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
  readonly #plan: StorePlan;

  /**
   * Harvest a model's activations into a folder, or go on where an interrupted harvest stopped: shards that
   * are whole are kept. The folder is a store once its manifest is there, which is written last. Interrupted
   * at any time, at most the shard being made is lost.
   *
   * @throws {MonosemeError} ERR_EXISTS (the folder holds something else), ERR_NOT_FINITE (naming the token;
   * also for values beyond F16), ERR_DISK_FULL (before starting where it can be told), ERR_INTERRUPTED, the
   * runner's errors
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

  /** @throws {MonosemeError} ERR_NOT_FOUND (none there, or not finished), ERR_FORMAT, ERR_MISMATCH */
  static async open(folder: string): Promise<ActivationStore> {
    const { plan, modelHash } = await readFinishedPlan(folder);
    return new ActivationStore(folder, plan, modelHash);
  }

  private constructor(folder: string, plan: StorePlan, modelHash: string | undefined) {
    this.folder = folder;
    this.modelHash = modelHash;
    this.#plan = plan;
    this.dIn = plan.dIn;
    this.contextSize = plan.contextSize;
    this.nRows = plan.nRows;
    this.nChunks = Math.ceil(plan.nRows / plan.rowsPerChunk);
    this.description = `${plan.description}, stored as ${plan.dtype}`;
    this.hash = sha256(plan.sourceHash, plan.dtype);
    this.hookName = plan.hookName;
    this.modelName = plan.modelName;
  }

  chunkRows(chunk: number): number {
    return Math.min(this.#plan.rowsPerChunk, this.nRows - chunk * this.#plan.rowsPerChunk);
  }

  /** @throws {MonosemeError} ERR_NOT_FOUND, ERR_FORMAT (a shard is missing or damaged), ERR_INTERRUPTED */
  async readChunk(chunk: number, signal?: AbortSignal): Promise<Float32Array> {
    throwIfAborted(signal);
    return decodeFloats(await this.#read('activations', chunk), this.#plan.dtype);
  }

  /** Token ids of a chunk's rows. @throws as {@link readChunk} */
  async readTokens(chunk: number): Promise<Uint32Array> {
    const bytes = await this.#read('token_ids', chunk);
    return new Uint32Array(bytes.buffer);
  }

  /**
   * Read every shard and compare its content with its checksum.
   *
   * @throws {MonosemeError} ERR_FORMAT or ERR_MISMATCH naming the first shard that does not hold what was
   * written
   */
  async verify(
    options: { signal?: AbortSignal; onProgress?: (done: number, total: number) => void } = {},
  ): Promise<void> {
    const total = nShards(this.#plan);
    for (let shard = 0; shard < total; shard++) {
      throwIfAborted(options.signal);
      await checkShard(this.folder, this.#plan, shard);
      options.onProgress?.(shard + 1, total);
    }
  }

  #read(name: 'activations' | 'token_ids', chunk: number): Promise<Uint8Array<ArrayBuffer>> {
    const { rowsPerChunk, chunksPerShard } = this.#plan;
    const from = (chunk % chunksPerShard) * rowsPerChunk;
    const shard = Math.floor(chunk / chunksPerShard);
    return readShardRows(this.folder, this.#plan, shard, name, from, from + this.chunkRows(chunk));
  }
}
