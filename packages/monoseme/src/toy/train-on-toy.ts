import { MixingBuffer, SharedBatches } from '../activations/index.ts';
import type { Dictionary } from '../dictionary/index.ts';
import type { KernelBackend } from '../kernels/contract.ts';
import { trainInMemory, type TrainOptions } from '../training/index.ts';
import type { ToySource } from './toy-source.ts';

export interface ToyRuns {
  readonly source: ToySource;
  readonly backend: KernelBackend;
  /** Batches of the same size; each run takes as many of them as its tokens say. */
  readonly runs: readonly TrainOptions[];
  readonly signal?: AbortSignal;
  /** Called after every step of every run. */
  readonly onStep?: (doneSteps: number, totalSteps: number) => void;
}

/** What a run came to: a dictionary and the seconds it took beside the others, or the error that ended it. */
export type ToyOutcome =
  { readonly dictionary: Dictionary; readonly seconds: number } | { readonly error: Error };

/**
 * Train several dictionaries on the same rows, made once. Rows of synthetic data need no mixing. One that fails holds up
 * nobody.
 */
export async function trainOnToy({ source, backend, runs, signal, onStep }: ToyRuns): Promise<ToyOutcome[]> {
  const { batchRows } = runs[0];
  const shared = new SharedBatches(new MixingBuffer(source, { batchRows, bufferRows: 1, seed: 0 }));
  const totalSteps = runs.reduce((sum, { tokens }) => sum + Math.floor(tokens / batchRows), 0);
  let doneSteps = 0;
  const started = performance.now();
  const train = async (options: TrainOptions, batches = shared.reader()): Promise<ToyOutcome> => {
    try {
      const onEach = () => onStep?.(++doneSteps, totalSteps);
      const { dictionary } = await trainInMemory({
        source,
        backend,
        options,
        batches,
        signal,
        onStep: onEach,
      });
      return { dictionary, seconds: (performance.now() - started) / 1000 };
    } catch (error) {
      if (signal?.aborted) throw error;
      return { error: error as Error };
    } finally {
      batches.close();
    }
  };
  return Promise.all(runs.map((options) => train(options)));
}
