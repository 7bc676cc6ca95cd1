import { MixingBuffer } from '../activations/index.ts';
import { architectureNamed, type Dictionary, encode } from '../dictionary/index.ts';
import type { KernelBackend } from '../kernels/index.ts';
import { resolveOptions, type StepMetrics, type TrainOptions } from '../training/index.ts';
import { initialState } from '../training/initialize.ts';
import { trainLoop_ } from '../training/loop.ts';
import { finishedForm, type TrainState } from '../training/parameters.ts';
import { PlantedSource, recovery, type Recovery } from './planted.ts';

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

export interface Learned extends Recovery {
  /** Metrics of the last step. */
  readonly last: StepMetrics;
  readonly resampled: number;
  /** On rows that training did not see, as the finished dictionary is used: active latents a row, living latents. */
  readonly l0: number;
  readonly alive: number;
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
  const nChunks = Math.ceil(options.tokens / 4096);
  const planted = { dIn: 64, nFeatures: 128, meanActive: 3, offset, chunkRows: 4096, seed: 1 };
  const source = new PlantedSource({ ...planted, nChunks });
  const state = await initialState(source, backend, options, undefined);
  prepare(state);
  let resampled = 0;
  const last = await trainLoop_(
    state,
    { source, backend, options },
    new MixingBuffer(source, options),
    steps,
    {
      onMetrics: (metrics) => (resampled += metrics.resampled),
      checkpoint: async () => {},
    },
  );
  const architecture = architectureNamed(options.architecture);
  const { weights, ...form } = finishedForm(state, architecture, options);
  const names = { hookName: '', modelName: '', contextSize: 1, metadata: {} };
  const sizes = { dIn: 64, dSae: options.dSae, applyBDecToInput: architecture.centersInput };
  const dictionary: Dictionary = { config: { ...form, ...sizes, ...names }, weights };
  const codes = await encode(dictionary, backend, await source.readChunk(nChunks), 4096);
  return {
    ...recovery(source.features, weights.W_dec, 64),
    last,
    resampled,
    l0: codes.values.length / 4096,
    alive: new Set(codes.latentIndices).size,
  };
}
