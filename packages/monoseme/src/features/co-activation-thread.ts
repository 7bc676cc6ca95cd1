import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { MonosemeError } from '../errors.ts';
import type { CoActiveLatents } from './co-activation.ts';
import type { KeptFirings } from './kept-codes.ts';

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

/**
 * For every latent in order, at most `n` that fire beside it ({@link CoActivation}): found in a thread of its own, a block
 * ahead of whoever takes them. Leaving the loop ends the thread.
 *
 * @throws {MonosemeError} ERR_MEMORY when the thread dies
 */
export async function* coActivations(input: ThreadInput, n: number): AsyncGenerator<CoActiveLatents> {
  const dSae = input.kept.nFired.length;
  const worker = new Worker(new URL('./co-activation-worker.js', import.meta.url), {
    workerData: input,
    execArgv: [],
  });
  const ask = (first: number) => {
    worker.postMessage({ first, end: Math.min(dSae, first + BLOCK), n } satisfies LatentsAsked);
    const answer = once(worker, 'message') as Promise<[CoActiveLatents[]]>;
    // Its failure is met when its turn comes.
    answer.catch(() => {});
    return answer;
  };
  try {
    let next = ask(0);
    for (let first = 0; first < dSae; first += BLOCK) {
      const [found] = await next;
      if (first + BLOCK < dSae) next = ask(first + BLOCK);
      yield* found;
    }
  } catch (cause) {
    throw new MonosemeError(
      'ERR_MEMORY',
      `The thread that looks for co-active latents died: ${String(cause).split('\n')[0]}.`,
      'If memory was short, end other programs or take less text.',
      { cause },
    );
  } finally {
    await worker.terminate();
  }
}
