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
  const { end } = input;
  const size = codes.nRows * dOut;
  const nHeld = Math.max(1, residuals.length / (size || 1));
  const place = (group: number) => residuals.subarray((group % nHeld) * size, ((group % nHeld) + 1) * size);
  const squaredErrors = new Float64Array(end === undefined ? codes.nRows * weights.length : 0);
  const products = new Float32Array(end === undefined ? codes.values.length : 0);
  let after = end === undefined || end === weights.length ? undefined : place(end).slice();
  for (let group = (end ?? weights.length) - 1; group >= 0; group--) {
    const ofPrefix = withValues(codes, (pair) => (groups[pair] <= group ? codes.values[pair] : 0));
    const errors = residualsOf({ ...input, codes: ofPrefix, residuals: undefined });
    const next = after;
    const rows = errors.residuals.map((error, i) => {
      const weighted = weights[group] * error;
      return next ? weighted + next[i] : weighted;
    });
    if (group >= (end ?? weights.length) - nHeld) place(group).set(rows);
    after = rows;
    if (end !== undefined) continue;
    errors.squaredErrors.forEach((square, row) => (squaredErrors[row * weights.length + group] = square));
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
