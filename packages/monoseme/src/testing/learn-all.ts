import type { KernelBackend } from '../kernels/index.ts';
import { dictionaryCoder, measureOnToy, type ToyFigures, trainOnToy } from '../toy/index.ts';
import { resolveOptions, type TrainOptions } from '../training/index.ts';
import { plantedSource } from './planted.ts';

/** 32 inputs, 64 features, 2 active on average: the planted set at half its sizes, for runs of seconds. */
export const SMALL_SET = {
  dIn: 32,
  nFeatures: 64,
  frequencies: { kind: 'equal', meanActive: 2 },
} as const;

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

/** Steps of an architecture, and what is said of it beside `SMALL`. */
export interface Lesson {
  readonly steps: number;
  readonly changes: Partial<TrainOptions>;
}

/** Train several architectures on the same rows, and measure what each recovered on rows that no training saw. */
export async function learnAll(
  backend: KernelBackend,
  lessons: Readonly<Record<string, Lesson>>,
): Promise<Map<string, ToyFigures>> {
  const names = Object.keys(lessons);
  const runs = names.map((architecture) => {
    const { steps, changes } = lessons[architecture];
    return resolveOptions({ ...SMALL, architecture, tokens: steps * SMALL.batchRows, ...changes });
  });
  const longest = Math.max(...runs.map(({ tokens }) => tokens));
  const source = plantedSource(
    { nChunks: Math.ceil(longest / 4096) + 1, chunkRows: 4096, seed: 1 },
    SMALL_SET,
  );
  const outcomes = await trainOnToy({ source, backend, runs });
  const coders = outcomes.map((outcome) => {
    if ('error' in outcome) throw outcome.error;
    return dictionaryCoder(outcome.dictionary, backend);
  });
  const figures = await measureOnToy(coders, backend, source, 1);
  return new Map(names.map((name, i) => [name, figures[i]]));
}
