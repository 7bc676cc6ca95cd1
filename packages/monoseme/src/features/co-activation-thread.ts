import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { MonosemeError } from '../errors.ts';
import type { CoActiveLatents } from './co-activation.ts';
import type { KeptFirings } from './kept-codes.ts';

const CO_ACTIVE = 10;
/** Latents whose company is asked for at once. */
const BLOCK = 128;

/** What the thread begins with: shared memory, not a copy. */
export interface ThreadInput {
  readonly kept: KeptFirings;
  readonly contextSize: number;
  readonly seed: number;
}

export interface LatentsAsked {
  readonly first: number;
  readonly end: number;
  readonly n: number;
}

/** {@link CoActivation} of all latents, found in a thread of its own, a block ahead of whoever takes them. */
export class CoActivationThread {
  readonly #dSae: number;
  readonly #worker: Worker;
  #next: Promise<[CoActiveLatents[]]>;

  constructor(input: ThreadInput) {
    this.#dSae = input.kept.nFired.length;
    this.#worker = new Worker(new URL('./co-activation-worker.js', import.meta.url), {
      workerData: input,
      execArgv: [],
    });
    this.#next = this.#ask(0);
  }

  /** For every latent in order, once: at most ten that fire beside it. @throws {MonosemeError} ERR_MEMORY when the thread dies */
  async *latents(): AsyncGenerator<CoActiveLatents> {
    for (let first = 0; first < this.#dSae; first += BLOCK) {
      const [found] = await this.#next.catch((cause: unknown) => {
        throw died(cause);
      });
      if (first + BLOCK < this.#dSae) this.#next = this.#ask(first + BLOCK);
      yield* found;
    }
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  #ask(first: number): Promise<[CoActiveLatents[]]> {
    const end = Math.min(this.#dSae, first + BLOCK);
    this.#worker.postMessage({ first, end, n: CO_ACTIVE } satisfies LatentsAsked);
    const answer = once(this.#worker, 'message') as Promise<[CoActiveLatents[]]>;
    // Its failure is met when its turn comes.
    answer.catch(() => {});
    return answer;
  }
}

function died(cause: unknown): MonosemeError {
  return new MonosemeError(
    'ERR_MEMORY',
    `The thread that looks for co-active latents died: ${String(cause).split('\n')[0]}.`,
    'If memory was short, end other programs or take less text.',
    { cause },
  );
}
