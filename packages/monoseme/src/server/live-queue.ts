import { MonosemeError, throwIfAborted } from '../errors.ts';

/** Requests that may wait: more are turned away at once rather than kept waiting for minutes. */
const MOST_WAITING = 8;
/** How long one request may work. */
const LONGEST_MS = 60_000;

/** What a request that is worked on is given, and tells. */
export interface Job {
  /** Fires when its time is up or its client left. */
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

/** What a client that waits is told: how many are before it, then how far its own work is. */
export type Progress = { readonly waiting: number } | { readonly done: number; readonly total: number };

/** Works off requests to the model one at a time. */
export class LiveQueue {
  /** Those that wait or are worked on, in order: whom to tell. */
  readonly #told: ((progress: Progress) => void)[] = [];
  #last: Promise<unknown> = Promise.resolve();

  /** Requests that are worked on or wait. */
  get length(): number {
    return this.#told.length;
  }

  /**
   * @param tell is called with the number of requests before this one, again whenever it changes, then with its progress
   * @throws {MonosemeError} ERR_LIMIT when too many wait already, at once
   */
  run<T>(
    client: AbortSignal,
    work: (job: Job) => Promise<T>,
    tell: (progress: Progress) => void = () => {},
  ): Promise<T> {
    if (this.length >= MOST_WAITING)
      throw new MonosemeError('ERR_LIMIT', `${this.length} requests wait already.`, 'Try again in a moment.');
    this.#told.push(tell);
    tell({ waiting: this.length - 1 });
    const result = this.#last.then(() => {
      const signal = AbortSignal.any([client, AbortSignal.timeout(LONGEST_MS)]);
      throwIfAborted(signal);
      return work({ signal, onProgress: (done, total) => tell({ done, total }) });
    });
    this.#last = result.catch(() => {}).finally(() => this.#leave());
    return result;
  }

  /** Do something once the requests that are there now are done; it is not one of them, and its failure is nobody's. */
  async afterThose(work: () => Promise<unknown>): Promise<void> {
    this.#last = this.#last.then(work).catch(() => {});
    await this.#last;
  }

  /** The first is done: the others move up. */
  #leave(): void {
    this.#told.shift();
    this.#told.forEach((tell, waiting) => tell({ waiting }));
  }
}
