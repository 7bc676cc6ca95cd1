import type { KernelBackend } from '../kernels/index.ts';
import { dictionaryCoder, measureOnToy, type ToyFigures } from '../toy/index.ts';
import { resolveOptions, type StepMetrics, trainInMemory, type TrainOptions } from '../training/index.ts';
import type { TrainState } from '../training/parameters.ts';
import { plantedSource, SMALL, SMALL_SET } from './planted.ts';

/** Figures on rows that training did not see, as the finished dictionary is used. */
export interface Learned extends ToyFigures {
  /** Metrics of the last step. */
  readonly last: StepMetrics;
  readonly resampled: number;
}

/** Train on the small planted set and measure what was recovered. */
export async function learn(
  backend: KernelBackend,
  steps: number,
  changes: Partial<TrainOptions>,
  { offset = 0, prepare = (_state: TrainState): void => {} } = {},
): Promise<Learned> {
  const given = { ...SMALL, ...changes };
  const options = resolveOptions({ ...given, tokens: steps * given.batchRows });
  const source = plantedSource(
    { nChunks: Math.ceil(options.tokens / 4096), chunkRows: 4096, seed: 1 },
    { ...SMALL_SET, offset },
    backend,
  );
  let resampled = 0;
  const { dictionary, last } = await trainInMemory({
    source,
    backend,
    options,
    prepare,
    onMetrics: (metrics) => (resampled += metrics.resampled),
  });
  const [figures] = await measureOnToy([dictionaryCoder(dictionary, backend)], backend, source, 1);
  return { ...figures, last, resampled };
}
