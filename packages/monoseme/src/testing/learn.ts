import type { KernelBackend } from '../kernels/index.ts';
import { dictionaryCoder, measureOnToy, type ToyFigures } from '../toy/index.ts';
import { resolveOptions, type StepMetrics, trainInMemory, type TrainOptions } from '../training/index.ts';
import type { TrainState } from '../training/parameters.ts';
import { plantedSource } from './planted.ts';

/** The small planted-dictionary experiment: 64 inputs, 128 true features, 3 active on average, 256 latents. */
export const PLANTED: Partial<TrainOptions> = {
  dSae: 256,
  batchRows: 1024,
  learningRate: 1e-3,
  beta2: 0.999,
  learningRateWarmUp: 0,
  learningRateDecay: 0,
  normalize: 'none',
  bufferRows: 65_536,
  checkpointEvery: 1 << 24,
  logEvery: 100,
};

/** Figures on rows that training did not see, as the finished dictionary is used. */
export interface Learned extends ToyFigures {
  /** Metrics of the last step. */
  readonly last: StepMetrics;
  readonly resampled: number;
}

/** Train on planted data and measure what was recovered. */
export async function learn(
  backend: KernelBackend,
  steps: number,
  changes: Partial<TrainOptions>,
  { offset = 0, prepare = (_state: TrainState): void => {} } = {},
): Promise<Learned> {
  const given = { ...PLANTED, ...changes };
  const options = resolveOptions({ ...given, tokens: steps * (given.batchRows as number) });
  const source = plantedSource(
    { nChunks: Math.ceil(options.tokens / 4096), chunkRows: 4096, seed: 1 },
    { offset },
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
