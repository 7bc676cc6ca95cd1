import { parentPort } from 'node:worker_threads';
import { asMonosemeError } from './runtime-error.ts';
import { flushSubnormals } from './subnormal.ts';
import { batchHandlers } from './worker-batches.ts';
import {
  type AnswerMessage,
  type Handlers,
  type Op,
  type RequestMessage,
  transferList,
} from './worker-messages.ts';
import { passHandlers } from './worker-passes.ts';
import { native, sessionHandlers, sessions } from './worker-sessions.ts';

/**
 * The thread in which ONNX Runtime works: its `run` blocks the thread that calls it. Requests are answered
 * one after the other, in the order in which they came.
 */
const handlers: Handlers<Op> = { ...sessionHandlers, ...batchHandlers, ...passHandlers };

let queue = flushSubnormals();
parentPort!.on('message', (message: RequestMessage | 'close') => {
  queue = queue.then(async () => {
    if (message === 'close') {
      for (const { session } of sessions.values()) await native(() => session.release());
      parentPort!.close();
      return;
    }
    const { id, op, request } = message;
    try {
      const answer = await (handlers[op] as (request: unknown) => Promise<unknown>)(request);
      parentPort!.postMessage({ id, answer } satisfies AnswerMessage, transferList(answer));
    } catch (error) {
      const { code, what, advice } = asMonosemeError(error);
      parentPort!.postMessage({ id, error: { code, what, advice } } satisfies AnswerMessage);
    }
  });
});
