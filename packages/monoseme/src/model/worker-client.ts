import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { MonosemeError } from '../errors.ts';
import { type AnswerMessage, type AnswerOf, GUARD, type Op, type RequestOf } from './worker-messages.ts';

interface Waiting {
  resolve: (answer: never) => void;
  reject: (error: MonosemeError) => void;
}

/** How long an exiting process waits for a native call: as long as one call of a large model may take. */
const EXIT_WAIT_MS = 20_000;

const running = new Set<WorkerClient>();
process.on('exit', () => {
  for (const client of running) client.awaitIdle();
});

/**
 * Asks the model's worker and waits for its answers. It keeps the process alive only while an answer is due.
 */
export class WorkerClient {
  readonly #worker: Worker;
  readonly #guard = new Int32Array(new SharedArrayBuffer(4 * GUARD.LENGTH));
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;
  #ended: MonosemeError | undefined;

  constructor() {
    // No flags of the process: some, like --input-type, do not go with a worker made from a file.
    this.#worker = new Worker(new URL('./model-worker.js', import.meta.url), {
      workerData: this.#guard,
      execArgv: [],
      // What it makes is handed over; a young generation that grows would only look as if memory followed the text.
      resourceLimits: { maxYoungGenerationSizeMb: 4 },
    });
    running.add(this);
    this.#worker.on('message', (message: AnswerMessage) => this.#receive(message));
    this.#worker.on('error', (error) =>
      this.#end(died(String(error instanceof Error ? error.message : error))),
    );
    this.#worker.on('exit', (code) => this.#end(died(`it ended with code ${code}`)));
    this.#worker.unref();
  }

  /**
   * @param transfer buffers that are handed over rather than copied; they are empty here afterwards
   * @throws {MonosemeError} the worker's own errors; ERR_MODEL when it ended or was closed
   */
  ask<K extends Op>(op: K, request: RequestOf<K>, transfer: ArrayBuffer[] = []): Promise<AnswerOf<K>> {
    if (this.#ended) return Promise.reject(this.#ended);
    const id = this.#nextId++;
    this.#worker.ref();
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject });
      this.#worker.postMessage({ id, op, request }, transfer);
    });
  }

  /** End the worker once it has answered what it was asked. Further questions fail. */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = new MonosemeError('ERR_MODEL', 'The model is closed.', 'Start it again.');
    this.#worker.ref();
    const exit = once(this.#worker, 'exit');
    this.#worker.postMessage('close');
    await exit;
  }

  /** Forbid further native calls and block until none is running. */
  awaitIdle(): void {
    Atomics.store(this.#guard, GUARD.STOP, 1);
    Atomics.wait(this.#guard, GUARD.BUSY, 1, EXIT_WAIT_MS);
  }

  /** End the worker without waiting for its answers. */
  async terminate(): Promise<void> {
    this.awaitIdle();
    await this.#worker.terminate();
  }

  #receive(message: AnswerMessage): void {
    const waiting = this.#waiting.get(message.id);
    if (!waiting) return;
    this.#waiting.delete(message.id);
    if (this.#waiting.size === 0 && !this.#ended) this.#worker.unref();
    if ('error' in message) {
      const { code, what, advice } = message.error;
      waiting.reject(new MonosemeError(code, what, advice));
    } else {
      waiting.resolve(message.answer as never);
    }
  }

  #end(error: MonosemeError): void {
    running.delete(this);
    this.#ended ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#ended);
    this.#waiting.clear();
  }
}

function died(reason: string): MonosemeError {
  return new MonosemeError(
    'ERR_MODEL',
    `The model's thread died: ${reason.split('\n')[0].slice(0, 200)}.`,
    'If memory was short, use shorter contexts; else report it.',
  );
}
