import { MonosemeError } from '../../errors.ts';
import { checkNestedResiduals } from '../check.ts';
import type { Codes, NestedResiduals, NestedResidualsInput } from '../contract.ts';
import { residuals as residualsOf } from './residuals.ts';
import { sampledProducts } from './sampled-products.ts';

/** See `KernelBackend.nestedResiduals`. Every reconstruction is worked out anew. */
export function nestedResiduals(input: NestedResidualsInput): NestedResiduals {
  checkNestedResiduals(input);
  const { codes, dOut, W_dec, groups, weights, residuals } = input;
  if (groups.some((group) => group >= weights.length))
    throw new MonosemeError(
      'ERR_OPTION',
      `groups holds ${groups.reduce((most, group) => Math.max(most, group), 0)}, but there are ${weights.length} weights.`,
      'Pass a weight for every group.',
    );
  const size = codes.nRows * dOut;
  const squaredErrors = new Float64Array(codes.nRows * weights.length);
  const products = new Float32Array(codes.values.length);
  for (let group = weights.length - 1; group >= 0; group--) {
    const ofPrefix = withValues(codes, (pair) => (groups[pair] <= group ? codes.values[pair] : 0));
    const errors = residualsOf({ ...input, codes: ofPrefix, residuals: undefined });
    errors.squaredErrors.forEach((square, row) => (squaredErrors[row * weights.length + group] = square));
    const rows = residuals.subarray(group * size, (group + 1) * size);
    for (let i = 0; i < size; i++) {
      const weighted = weights[group] * errors.residuals[i];
      rows[i] = group + 1 < weights.length ? weighted + residuals[(group + 1) * size + i] : weighted;
    }
    const ofAll = sampledProducts({ codes, dOut, rows, W_dec });
    groups.forEach((ofPair, pair) => {
      if (ofPair === group) products[pair] = ofAll[pair];
    });
  }
  return { residuals, squaredErrors, products };
}

function withValues(codes: Codes, value: (pair: number) => number): Codes {
  return { ...codes, values: codes.values.map((_, pair) => value(pair)) };
}
