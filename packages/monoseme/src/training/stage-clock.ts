import type { KernelBackend } from '../kernels/index.ts';

/** Where the time of a run went, in seconds of the clock on the wall. */
export interface StageSeconds {
  /** Reading and converting activations; most of it beside the steps. */
  read: number;
  /** Steps that could not begin because their batch was not there. */
  wait: number;
  encode: number;
  /** Reconstructions and their errors. */
  decode: number;
  /** What else a step does before its update. */
  gradients: number;
  update: number;
}

/** Measures {@link StageSeconds} of a training loop. */
export class StageClock {
  readonly seconds: StageSeconds = { read: 0, wait: 0, encode: 0, decode: 0, gradients: 0, update: 0 };

  /** The same backend, with its calls measured. */
  timed(backend: KernelBackend): KernelBackend {
    const timed =
      <I, O>(stage: keyof StageSeconds, call: (input: I) => Promise<O>) =>
      (input: I): Promise<O> =>
        this.#measure(stage, () => call(input));
    return {
      ...backend,
      encode: timed('encode', backend.encode),
      decode: timed('decode', backend.decode),
      residuals: timed('decode', backend.residuals),
      nestedResiduals: timed('decode', backend.nestedResiduals),
      sampledProducts: timed('decode', backend.sampledProducts),
      updateRows: timed('update', backend.updateRows),
    };
  }

  /** The same batches; the time until each is there counts as waiting. */
  async *waited<T>(batches: AsyncIterable<T>): AsyncGenerator<T> {
    let asked = performance.now();
    for await (const batch of batches) {
      this.seconds.wait += (performance.now() - asked) / 1000;
      yield batch;
      asked = performance.now();
    }
  }

  /** A step on a timed backend: what its calls leave of its time counts as gradients. */
  async step<T>(work: () => Promise<T>): Promise<T> {
    const calls = () => this.seconds.encode + this.seconds.decode + this.seconds.update;
    const before = calls();
    const start = performance.now();
    const result = await work();
    this.seconds.gradients += Math.max(0, (performance.now() - start) / 1000 - (calls() - before));
    return result;
  }

  async #measure<T>(stage: keyof StageSeconds, work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    try {
      return await work();
    } finally {
      this.seconds[stage] += (performance.now() - start) / 1000;
    }
  }
}
