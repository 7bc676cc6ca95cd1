import type { KernelBackend } from '../kernels/index.ts';
import { type ToyModel, ToySource, toySet } from '../toy/index.ts';
import type { TrainOptions } from '../training/index.ts';

/** The planted set with changes, as a source; a backend makes its rows where there are many of them. */
export function plantedSource(
  sizes: { nChunks: number; chunkRows: number; seed: number },
  changes: Partial<ToyModel> = {},
  backend?: KernelBackend,
): ToySource {
  return new ToySource({ ...toySet('planted'), ...changes, ...sizes }, backend);
}

/** 32 inputs, 64 features, 2 active on average: the planted set at half its sizes, for runs of seconds. */
export const SMALL_SET = {
  dIn: 32,
  nFeatures: 64,
  frequencies: { kind: 'equal', meanActive: 2 },
} as const satisfies Partial<ToyModel>;

/** How the small set is learnt. */
export const SMALL = {
  dSae: 128,
  batchRows: 512,
  learningRate: 3e-3,
  beta2: 0.999,
  learningRateWarmUp: 0,
  learningRateDecay: 0.2,
  normalize: 'none',
  bufferRows: 16_384,
  checkpointEvery: 1 << 24,
  logEvery: 1000,
} as const satisfies Partial<TrainOptions>;

/** 16 inputs, 24 features, 2 of them active on average: for runs of a second. */
export const TINY: Partial<ToyModel> = {
  dIn: 16,
  nFeatures: 24,
  frequencies: { kind: 'equal', meanActive: 2 },
};
