import { parentPort, workerData } from 'node:worker_threads';
import { CoActivation } from './co-activation.ts';
import type { LatentsAsked, ThreadInput } from './co-activation-thread.ts';

/** The thread of a {@link CoActivationThread}. */
const { kept, contextSize, seed } = workerData as ThreadInput;
const coActivation = new CoActivation(kept, contextSize, seed);
parentPort!.on('message', ({ first, end, n }: LatentsAsked) =>
  parentPort!.postMessage(Array.from({ length: end - first }, (_, i) => coActivation.of(first + i, n))),
);
