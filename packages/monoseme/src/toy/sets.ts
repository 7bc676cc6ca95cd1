import { MonosemeError } from '../errors.ts';
import { nearestNames } from '../nearest-names.ts';
import type { ToyModel } from './toy-source.ts';

/** 64 inputs, 128 features, 3 of them active on average, as large as uniform numbers (after Sharkey et al. 2022). */
const PLANTED: ToyModel = {
  dIn: 64,
  nFeatures: 128,
  frequencies: { kind: 'equal', meanActive: 3 },
  magnitudes: { kind: 'uniform', from: 0, to: 1 },
};

/** 256 features in 64 inputs, 8 of them active on average: what libraries were measured on. */
const CROWDED: ToyModel = {
  dIn: 64,
  nFeatures: 256,
  frequencies: { kind: 'equal', meanActive: 8 },
  magnitudes: { kind: 'uniform', from: 0.5, to: 1.5 },
};

/**
 * SynthSAEBench-16k (Chanin 2026), its sizes times `scale`; frequencies, magnitudes, correlation, and the branching and
 * depth of the trees stay. Our random numbers, so the same distribution and not the same rows.
 */
export function synthSaeBench(scale: number): ToyModel {
  const scaled = (size: number) => Math.max(1, Math.round(size * scale));
  return {
    dIn: scaled(768),
    nFeatures: scaled(16_384),
    frequencies: { kind: 'zipf', exponent: 0.5, max: 0.4, min: 5e-4 },
    magnitudes: {
      kind: 'normal',
      firstMean: 5,
      lastMean: 4,
      deviation: { mean: 0.5, deviation: 0.5 },
    },
    correlation: { rank: 25, scale: 0.1 },
    hierarchy: { roots: scaled(128), branching: 4, depth: 3 },
    spread: true,
    offset: 0.5,
  };
}

/** Sets of synthetic data by name. */
export const TOY_SETS: Readonly<Record<string, ToyModel>> = {
  planted: PLANTED,
  crowded: CROWDED,
  'synth-sae-bench': synthSaeBench(0.1),
  correlated: { ...PLANTED, correlation: { rank: 8, scale: 0.25 } },
  hierarchical: { ...PLANTED, hierarchy: { roots: 12, branching: 3, depth: 2 } },
  'power-law': { ...PLANTED, frequencies: { kind: 'power-law', meanActive: 3, exponent: 0.7 } },
  offset: { ...PLANTED, offset: 3 },
  noise: { ...PLANTED, noise: 0.05 },
  circle: { ...PLANTED, circle: 0.25 },
};

/** @throws {MonosemeError} ERR_OPTION naming the nearest */
export function toySet(name: string): ToyModel {
  if (Object.hasOwn(TOY_SETS, name)) return TOY_SETS[name];
  const [nearest] = nearestNames(name, Object.keys(TOY_SETS));
  throw new MonosemeError(
    'ERR_OPTION',
    `There is no set ${name}; the nearest is ${nearest}.`,
    `Choose from: ${Object.keys(TOY_SETS).join(', ')}.`,
  );
}
