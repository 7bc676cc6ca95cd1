import { MonosemeError, throwIfAborted } from '../errors.ts';
import { hashSeed, Random } from '../random/index.ts';
import { expectPositiveInteger } from '../tensor/index.ts';
import { MixingStatistic } from './mixing-statistic.ts';
import { type ActivationSource, type SourceRows, totalRows } from './source.ts';

export interface MixingOptions {
  /** Rows of a batch. */
  batchRows: number;
  /** Rows that are mixed with each other, about; at least one chunk. */
  bufferRows: number;
  seed: number;
  /** How often every row is used; 1 by default. */
  epochs?: number;
}

/**
 * Well-mixed batches from a source whose neighbouring rows come from the same text.
 *
 * In every epoch the chunks are put in a random order, that order is cut in blocks of as many chunks as fit
 * in `bufferRows` rows, and the rows of a block in a random order are the stream; batches are cut from the
 * stream, across the borders of blocks and epochs. So every row comes exactly once an epoch. What remains at
 * the very end, less than a batch, is dropped. (Where the source drops rows for what they hold, known only once they are
 * read, a block is filled up with rows of its own, each used a second time.)
 *
 * The permutations depend on seed, epoch and block alone: batch i is the same bytes wherever the reading
 * began. The block after the current one is read while the current one is used, so at most two blocks are in
 * memory: 2 · max(bufferRows, chunkRows) · dIn · 4 bytes.
 */
export class MixingBuffer {
  readonly nBatches: number;
  /** Seconds spent on reading blocks so far, beside what was done with the batches. */
  secondsReading = 0;
  /** How mixed the batches so far were, where the source knows the documents of its rows. */
  readonly mixing = new MixingStatistic();
  readonly #source: ActivationSource;
  readonly #batchRows: number;
  readonly #seed: number;
  readonly #epochRows: number;
  readonly #epochs: number;
  readonly #chunksPerBlock: number;
  /** Rows of the largest chunk. */
  readonly #chunkRows: number;
  readonly #spare: Float32Array<ArrayBuffer>[] = [];

  /** @throws {MonosemeError} ERR_OPTION */
  constructor(source: ActivationSource, options: MixingOptions) {
    const { batchRows, bufferRows, seed, epochs = 1 } = options;
    expectPositiveInteger('The number of rows of a batch', batchRows);
    expectPositiveInteger('The number of rows of the mixing buffer', bufferRows);
    expectPositiveInteger('The number of epochs', epochs);
    this.#source = source;
    this.#batchRows = batchRows;
    this.#seed = seed;
    this.#epochs = epochs;
    this.#epochRows = totalRows(source);
    let most = 1;
    for (let chunk = 0; chunk < source.nChunks; chunk++) most = Math.max(most, source.chunkRows(chunk));
    this.#chunkRows = most;
    this.#chunksPerBlock = Math.max(1, Math.floor(bufferRows / most));
    this.nBatches = Math.floor((this.#epochRows * epochs) / batchRows);
  }

  /**
   * Batches `fromBatch` … `nBatches − 1`, each an array [batchRows, dIn] of the caller's own until it is given back.
   *
   * @throws {MonosemeError} ERR_INTERRUPTED on the signal; errors of the source
   */
  async *batches(fromBatch = 0, signal?: AbortSignal): AsyncGenerator<Float32Array<ArrayBuffer>> {
    const { dIn } = this.#source;
    const memoryOfBatch = () => this.#spare.pop() ?? new Float32Array(this.#batchRows * dIn);
    const end = this.nBatches * this.#batchRows;
    let row = fromBatch * this.#batchRows;
    if (row >= end) return;
    const stop = new AbortController();
    const signals = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
    // Two pieces of memory take turns, so that what is used does not depend on when garbage is collected.
    const memory = [this.#blockMemory(), new Float32Array()];
    let place = this.#placeOf(row);
    let reading: Promise<Block> = this.#read(place, memory[0], signals);
    try {
      let batch = memoryOfBatch();
      let filled = 0;
      while (row < end) {
        const block: Block = await reading;
        const { start } = place;
        place = this.#after(place, block.order.length);
        memory.reverse();
        if (place.start < end) {
          if (memory[0].length === 0) memory[0] = this.#blockMemory();
          reading = this.#read(place, memory[0], signals);
          reading.catch(() => {}); // looked at in the next round, or given up
        }
        for (; row < start + block.order.length && row < end; row++) {
          const from = block.order[row - start] * dIn;
          batch.set(block.rows.subarray(from, from + dIn), filled);
          filled += dIn;
          if (block.documents) this.mixing.addRow(block.documents[block.order[row - start]]);
          if (filled < batch.length) continue;
          throwIfAborted(signal);
          this.mixing.endBatch();
          yield batch;
          batch = memoryOfBatch();
          filled = 0;
        }
      }
    } finally {
      stop.abort();
      await reading.catch(() => {});
    }
  }

  /** Takes back a batch that is done with: its memory holds a later one, so that a run needs but a few. */
  reuse(batch: Float32Array<ArrayBuffer>): void {
    this.#spare.push(batch);
  }

  #blockMemory(): Float32Array {
    const rows = Math.min(this.#chunksPerBlock * this.#chunkRows, this.#epochRows);
    return new Float32Array(rows * this.#source.dIn);
  }

  /** The block that holds a row of the stream. */
  #placeOf(row: number): Place {
    const epoch = Math.floor(row / this.#epochRows);
    const order = this.#chunkOrder(epoch);
    let start = epoch * this.#epochRows;
    for (let block = 0; ; block++) {
      const rows = this.#blockRows(order, block);
      if (row < start + rows) return { epoch, order, block, start };
      start += rows;
    }
  }

  #after({ epoch, order, block, start }: Place, rows: number): Place {
    if ((block + 1) * this.#chunksPerBlock < order.length)
      return { epoch, order, block: block + 1, start: start + rows };
    const nextOrder = epoch + 1 < this.#epochs ? this.#chunkOrder(epoch + 1) : order;
    return { epoch: epoch + 1, order: nextOrder, block: 0, start: start + rows };
  }

  #chunkOrder(epoch: number): Uint32Array {
    return new Random(hashSeed(this.#seed, 'chunk order', epoch)).permutation(this.#source.nChunks);
  }

  #blockChunks(order: Uint32Array, block: number): Uint32Array {
    return order.subarray(block * this.#chunksPerBlock, (block + 1) * this.#chunksPerBlock);
  }

  #blockRows(order: Uint32Array, block: number): number {
    let rows = 0;
    for (const chunk of this.#blockChunks(order, block)) rows += this.#source.chunkRows(chunk);
    return rows;
  }

  async #read(place: Place, memory: Float32Array, signal: AbortSignal): Promise<Block> {
    const started = performance.now();
    let filled = 0;
    let nRows = 0;
    const documents: Uint32Array[] = [];
    for (const chunk of this.#blockChunks(place.order, place.block)) {
      const { activations, origins } = await this.#readRows(chunk, signal);
      memory.set(activations, filled);
      filled += activations.length;
      this.#source.recycle?.(activations);
      nRows += this.#source.chunkRows(chunk);
      if (origins.documents) documents.push(origins.documents);
    }
    const random = new Random(hashSeed(this.#seed, 'row order', place.epoch, place.block));
    const order = filledUp(random.permutation(filled / this.#source.dIn), nRows);
    this.secondsReading += (performance.now() - started) / 1000;
    return { rows: memory, order, ...(documents.length > 0 && { documents: joined(documents) }) };
  }

  async #readRows(chunk: number, signal: AbortSignal): Promise<SourceRows> {
    if (this.#source.readRows) return this.#source.readRows(chunk, signal);
    return { activations: await this.#source.readChunk(chunk, signal), origins: {} };
  }
}

/** `n` entries of an order: what is missing is taken from its beginning, over and over. */
function filledUp(order: Uint32Array, n: number): Uint32Array {
  if (order.length === n) return order;
  if (order.length === 0)
    throw new MonosemeError(
      'ERR_OPTION',
      'Every row of a block was dropped for its norm.',
      'Allow larger norms (--max-norm-ratio) or a larger mixing buffer.',
    );
  return Uint32Array.from({ length: n }, (_, i) => order[i % order.length]);
}

function joined(parts: readonly Uint32Array[]): Uint32Array {
  const all = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** A block of the stream: which chunks it holds, and the number of its first row in the stream. */
interface Place {
  epoch: number;
  order: Uint32Array;
  block: number;
  start: number;
}

/** The rows of a block as they were read, and the order in which they are used. */
interface Block {
  rows: Float32Array;
  order: Uint32Array;
  /** Of each row, where they are known. */
  documents?: Uint32Array;
}
