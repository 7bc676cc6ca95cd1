import { MonosemeError } from '../errors.ts';

/** Requests that may wait: more are turned away at once rather than kept waiting for minutes. */
const MOST_WAITING = 8;
/** How long one request may work. */
const LONGEST_MS = 60_000;

/** Works off requests to the model one at a time. */
export class LiveQueue {
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** Requests that are worked on or wait. */
  get length(): number {
    return this.#waiting;
  }

  /**
   * @param work gets a signal that fires when its time is up or its client left
   * @throws {MonosemeError} ERR_LIMIT when too many wait already
   */
  run<T>(client: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#waiting >= MOST_WAITING)
      return Promise.reject(
        new MonosemeError('ERR_LIMIT', `${this.#waiting} requests wait already.`, 'Try again in a moment.'),
      );
    this.#waiting++;
    const result = this.#last.then(() => {
      const signal = AbortSignal.any([client, AbortSignal.timeout(LONGEST_MS)]);
      return work(signal);
    });
    this.#last = result.catch(() => {}).finally(() => this.#waiting--);
    return result;
  }
}
