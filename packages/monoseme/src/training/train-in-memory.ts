import { MixingBuffer, totalRows } from '../activations/index.ts';
import type { Dictionary } from '../dictionary/index.ts';
import { finishedDictionary } from './finished-dictionary.ts';
import { initialState } from './initialize.ts';
import { type LoopInput, trainLoop_ } from './loop.ts';
import { expectTrainingFits } from './memory.ts';
import type { StepMetrics } from './metrics.ts';
import { checkOptions } from './options.ts';
import type { TrainState } from './parameters.ts';

export interface InMemoryInput extends LoopInput {
  /** Changes the state before the first step. */
  readonly prepare?: (state: TrainState) => void;
  readonly onMetrics?: (metrics: StepMetrics) => void;
}

/**
 * Train a dictionary without a folder: for experiments of seconds, which nobody resumes. The same steps as
 * `trainDictionary`.
 *
 * @throws {MonosemeError} ERR_OPTION, ERR_MEMORY, ERR_DIVERGED, ERR_INTERRUPTED
 */
export async function trainInMemory(
  input: InMemoryInput,
): Promise<{ dictionary: Dictionary; last: StepMetrics }> {
  const { source, backend, signal } = input;
  const options = checkOptions(input.options);
  expectTrainingFits(source.dIn, options);
  const epochs = Math.max(1, Math.ceil(options.tokens / totalRows(source)));
  const buffer = input.batches ?? new MixingBuffer(source, { ...options, epochs });
  const nSteps = Math.floor(options.tokens / options.batchRows);
  const state = await initialState(source, backend, options, signal);
  input.prepare?.(state);
  const last = await trainLoop_(state, { ...input, options }, buffer, nSteps, {
    onMetrics: (metrics) => input.onMetrics?.(metrics),
    checkpoint: async () => {},
  });
  const origin = { source, options, hookName: '', modelName: '' };
  return { dictionary: finishedDictionary(state, origin), last };
}
