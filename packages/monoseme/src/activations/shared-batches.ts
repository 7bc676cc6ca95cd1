import { throwIfAborted } from '../errors.ts';
import type { MixingStatistic } from './mixing-statistic.ts';

/** Batches in a fixed order, which can be read from any place. */
export interface BatchStream {
  readonly nBatches: number;
  /** Seconds spent on reading so far, beside what was done with the batches. */
  readonly secondsReading: number;
  /** How mixed the batches so far were, where it is known. */
  readonly mixing?: MixingStatistic;
  /** Batches `fromBatch` … `nBatches − 1`, each an array of the caller's own. */
  batches(fromBatch?: number, signal?: AbortSignal): AsyncGenerator<Float32Array<ArrayBuffer>>;
  /** Takes back a batch that is done with: its memory holds a later one. */
  reuse?(batch: Float32Array<ArrayBuffer>): void;
}

/** A reader of a shared stream. Who does not read to the end must close it, or the others wait for ever. */
export interface SharedReader extends BatchStream {
  close(): void;
}

interface Waiting {
  readonly next: number;
  readonly resolve: (batch: Float32Array<ArrayBuffer> | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * One stream for several readers: every batch is read once, and each reader gets a copy. Readers keep step: a batch is
 * read when all that are open wait for one, so at most one is in memory beside the copies in use. A reader that starts
 * further on (a resumed run) waits until the others are there.
 */
export class SharedBatches {
  readonly #stream: BatchStream;
  readonly #readers = new Map<SharedReader, Waiting | undefined>();
  #iterator: AsyncGenerator<Float32Array<ArrayBuffer>> | undefined;
  #position = 0;
  #isReading = false;

  constructor(stream: BatchStream) {
    this.#stream = stream;
  }

  /** A further reader. All are made before the first of them reads. */
  reader(): SharedReader {
    const wait = (next: number) =>
      new Promise<Float32Array<ArrayBuffer> | undefined>((resolve, reject) => {
        this.#readers.set(reader, { next, resolve, reject });
        this.#readOn();
      });
    const close = (): void => {
      if (!this.#readers.delete(reader)) return;
      if (this.#readers.size > 0) this.#readOn();
      else void this.#iterator?.return(undefined);
    };
    const stream = this.#stream;
    const { nBatches } = stream;
    const reader: SharedReader = {
      nBatches,
      get secondsReading() {
        return stream.secondsReading;
      },
      ...(stream.mixing && { mixing: stream.mixing }),
      close,
      async *batches(fromBatch = 0, signal) {
        try {
          for (let next = fromBatch; next < nBatches; next++) {
            throwIfAborted(signal);
            const batch = await wait(next);
            if (batch === undefined) return;
            yield batch;
          }
        } finally {
          close();
        }
      },
    };
    this.#readers.set(reader, undefined);
    return reader;
  }

  #readOn(): void {
    if (this.#isReading || [...this.#readers.values()].includes(undefined)) return;
    this.#isReading = true;
    void this.#deliver().then(() => {
      this.#isReading = false;
      if (this.#readers.size > 0) this.#readOn();
    });
  }

  /** Read a batch and give it to those whose turn it is. */
  async #deliver(): Promise<void> {
    const waiting = [...this.#readers] as [SharedReader, Waiting][];
    try {
      if (this.#iterator === undefined) {
        this.#position = Math.min(...waiting.map(([, { next }]) => next));
        this.#iterator = this.#stream.batches(this.#position);
      }
      const { value, done } = await this.#iterator.next();
      for (const [reader, { next, resolve }] of waiting) {
        if (next !== this.#position && !done) continue;
        if (this.#readers.has(reader)) this.#readers.set(reader, undefined);
        resolve(done ? undefined : value.slice());
      }
      this.#position++;
    } catch (error) {
      for (const [reader, { reject }] of waiting) {
        this.#readers.delete(reader);
        reject(error);
      }
    }
  }
}
