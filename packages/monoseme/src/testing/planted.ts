import { type ToyModel, ToySource, toySet } from '../toy/index.ts';

/** The planted set with changes, as a source. */
export function plantedSource(
  sizes: { nChunks: number; chunkRows: number; seed: number },
  changes: Partial<ToyModel> = {},
): ToySource {
  return new ToySource({ ...toySet('planted'), ...changes, ...sizes });
}

/** 16 inputs, 24 features, 2 of them active on average: for runs of a second. */
export const TINY: Partial<ToyModel> = {
  dIn: 16,
  nFeatures: 24,
  frequencies: { kind: 'equal', meanActive: 2 },
};
