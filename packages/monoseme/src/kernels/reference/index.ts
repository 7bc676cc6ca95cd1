import type { KernelBackend } from '../contract.ts';
import { coActivations } from './co-activations.ts';
import { decode } from './decode.ts';
import { encode } from './encode.ts';
import { geometricMedian } from './geometric-median.ts';
import { addPairSums } from './pair-sums.ts';
import { nestedResiduals } from './nested-residuals.ts';
import { product } from './product.ts';
import { residuals } from './residuals.ts';
import { center, columnSums } from './rows.ts';
import { sampledProducts } from './sampled-products.ts';
import { screen } from './screen.ts';
import { transpose } from './transpose.ts';
import { squaredGradientNorm, updateRows } from './update-rows.ts';

/**
 * What the contract means, in the plainest TypeScript: sums in f64, rounded once on store, no speed-ups.
 * It is the oracle of every other backend, and what runs where no native binding loads.
 */
export const referenceBackend: KernelBackend = {
  name: 'reference',
  description: 'reference (TypeScript), 1 thread',
  threads: 1,
  screeningPaysFrom: Infinity,
  screenedBytes: () => 0,
  floats: (length) => new Float32Array(length),
  release: () => {},
  encode: async (input) => encode(input),
  screen: async (input) => screen(input),
  decode: async (input) => decode(input),
  sampledProducts: async (input) => sampledProducts(input),
  residuals: async (input) => residuals(input),
  nestedResiduals: async (input) => nestedResiduals(input),
  transpose: async (codes) => transpose(codes),
  addPairSums: async (input) => addPairSums(input),
  coActivations: async (input) => coActivations(input),
  updateRows: async (input) => updateRows(input),
  squaredGradientNorm: async (input) => squaredGradientNorm(input),
  product: async (input) => product(input),
  center: async (input) => center(input),
  columnSums: async (input) => columnSums(input),
  geometricMedian: async (input) => geometricMedian(input),
};
