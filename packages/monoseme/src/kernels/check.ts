import { MonosemeError } from '../errors.ts';
import { expectLength, expectPositiveInteger } from '../tensor/index.ts';
import type {
  CenterInput,
  CoActivationInput,
  Codes,
  ColumnSumsInput,
  DecodeInput,
  EncodeInput,
  GeometricMedianInput,
  GradientInput,
  PairSumsInput,
  NestedResidualsInput,
  ProductInput,
  ResidualsInput,
  SampledProductsInput,
  ScreenInput,
  Selection,
  SparseSum,
  UpdateRowsInput,
} from './contract.ts';

/*
 * What both backends check before any work. Each check costs time in the number of arrays and latents, never in the
 * number of pairs: the pairs are checked by the backends while they read them.
 */

/** Sizes stay below 2^31 so that indices fit in 32 bits in every language. */
const MAX_SIZE = 2 ** 31 - 1;

function expectSize(name: string, value: number, least: 0 | 1): void {
  if (Number.isInteger(value) && value >= least && value <= MAX_SIZE) return;
  throw new MonosemeError(
    'ERR_OPTION',
    `${name} is ${value}.`,
    `It takes a whole number from ${least} to ${MAX_SIZE}.`,
  );
}

function expectFiniteOption(name: string, value: number, least: number): void {
  if (Number.isFinite(value) && value >= least) return;
  throw new MonosemeError('ERR_OPTION', `${name} is ${value}.`, `It takes a number of at least ${least}.`);
}

function checkSelection(selection: Selection, dSae: number): void {
  if (selection.kind === 'threshold') {
    if (selection.thresholds) expectLength('thresholds', selection.thresholds, dSae);
    return;
  }
  expectPositiveInteger('k', selection.k);
  if (selection.k > dSae) {
    throw new MonosemeError(
      'ERR_OPTION',
      `k is ${selection.k}, but the dictionary has ${dSae} latents.`,
      'Take a k of at most dSae.',
    );
  }
}

function checkLatents(latents: Uint32Array, dSae: number): void {
  for (let i = 0; i < latents.length; i++) {
    const ascending = i === 0 || latents[i] > latents[i - 1];
    if (ascending && latents[i] < dSae) continue;
    throw new MonosemeError(
      'ERR_OPTION',
      `latents holds ${latents[i]} at element ${i}.`,
      `It takes ascending, unique indices below dSae = ${dSae}.`,
    );
  }
}

export function checkEncode(input: EncodeInput): void {
  const { nRows, dIn, dSae } = input;
  expectSize('nRows', nRows, 0);
  expectSize('dIn', dIn, 1);
  expectSize('dSae', dSae, 1);
  expectLength('x', input.x, nRows, dIn);
  expectLength('W_enc', input.W_enc, dSae, dIn);
  expectLength('b_enc', input.b_enc, dSae);
  checkSelection(input.selection, dSae);
  if (input.latents) checkLatents(input.latents, dSae);
}

export function checkScreen({ W_enc, dIn, dSae }: ScreenInput): void {
  expectSize('dIn', dIn, 1);
  expectSize('dSae', dSae, 1);
  expectLength('W_enc', W_enc, dSae, dIn);
}

/** Lengths and ends; {@link corruptCodes} is for what is found inside. */
export function checkCodes(codes: Codes): void {
  expectSize('codes.nRows', codes.nRows, 0);
  expectSize('codes.dSae', codes.dSae, 1);
  expectLength('codes.rowPointers', codes.rowPointers, codes.nRows + 1);
  const nnz = codes.rowPointers[codes.nRows];
  if (codes.rowPointers[0] !== 0) throw corruptCodes('codes.rowPointers does not start at 0.');
  expectLength('codes.latentIndices', codes.latentIndices, nnz);
  expectLength('codes.values', codes.values, nnz);
}

export function corruptCodes(what: string): MonosemeError {
  return new MonosemeError('ERR_SHAPE', what, 'Pass codes as encode returns them.');
}

export function checkDecode(input: DecodeInput): void {
  checkCodes(input.codes);
  expectSize('dOut', input.dOut, 1);
  expectLength('W_dec', input.W_dec, input.codes.dSae, input.dOut);
  if (input.b_dec) expectLength('b_dec', input.b_dec, input.dOut);
}

export function checkResiduals(input: ResidualsInput): void {
  checkDecode(input);
  expectLength('target', input.target, input.codes.nRows, input.dOut);
  if (input.residuals) expectLength('residuals', input.residuals, input.codes.nRows, input.dOut);
}

export function checkNestedResiduals(input: NestedResidualsInput): void {
  const { codes, dOut, weights } = input;
  checkDecode(input);
  expectSize('The length of weights', weights.length, 1);
  expectLength('target', input.target, codes.nRows, dOut);
  expectLength('groups', input.groups, codes.values.length);
  const nHeld = Math.floor(input.residuals.length / (codes.nRows * dOut || 1));
  expectLength('residuals', input.residuals, limited(nHeld, 1, weights.length), codes.nRows, dOut);
  const { end = weights.length } = input;
  expectSize('end', end, 1);
  if (end > weights.length)
    throw new MonosemeError(
      'ERR_OPTION',
      `end is ${end}, but there are ${weights.length} groups.`,
      'Take one of them.',
    );
}

function limited(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}

export function checkSampledProducts(input: SampledProductsInput): void {
  checkDecode(input);
  expectLength('rows', input.rows, input.codes.nRows, input.dOut);
}

export function checkPairSums({ a, b, width, sums }: PairSumsInput): void {
  checkCodes(a);
  checkCodes(b);
  if (a.nRows !== b.nRows)
    throw new MonosemeError(
      'ERR_SHAPE',
      `a has ${a.nRows} rows and b ${b.nRows}.`,
      'Pass codes of the same rows.',
    );
  if (![1, 2, 4].includes(width))
    throw new MonosemeError('ERR_OPTION', `width is ${width}.`, 'It takes 1, 2 or 4.');
  expectLength('sums', sums, a.dSae, b.dSae, width);
}

export function checkCoActivations({ ends, nFired, contextSize, ...input }: CoActivationInput): void {
  const { first, end, most, fewest } = input;
  expectSize('contextSize', contextSize, 1);
  for (const [name, value] of Object.entries({ first, end })) expectSize(name, value, 0);
  for (const [name, value] of Object.entries({ most, fewest })) expectSize(name, value, 1);
  if (first > end || end > nFired.length)
    throw new MonosemeError(
      'ERR_OPTION',
      `Latents ${first} to ${end} are asked about, of ${nFired.length}.`,
      'Ask about latents of the dictionary.',
    );
  if (ends.length % contextSize === 1 % contextSize) return;
  throw new MonosemeError(
    'ERR_SHAPE',
    `ends has ${ends.length} elements, but contexts have ${contextSize} tokens.`,
    'Pass whole contexts, and one element more.',
  );
}

export function checkGradient(input: GradientInput): void {
  const { width, pull } = input;
  const { dSae } = input.byLatent;
  expectSize('byLatent.dSae', dSae, 1);
  expectSize('width', width, 1);
  for (const sum of [input, ...(input.also ?? [])]) checkSparseSum(sum, dSae, width);
  expectLength('weights', input.weights, dSae, width);
  if (input.mask) expectLength('mask', input.mask, dSae);
  if (!pull) return;
  expectLength('pull.factors', pull.factors, dSae, pull.parts.length);
  if (pull.parts.reduce((sum, part) => sum + part, 0) === width) return;
  throw new MonosemeError(
    'ERR_SHAPE',
    `pull.parts is ${pull.parts.join(', ')}, but a row has ${width} elements.`,
    'Pass parts that make up a row.',
  );
}

function checkSparseSum({ byLatent, coefficients, rows }: SparseSum, dSae: number, width: number): void {
  expectSize('byLatent.nRows', byLatent.nRows, 0);
  expectLength('byLatent.latentPointers', byLatent.latentPointers, dSae + 1);
  const nnz = byLatent.latentPointers[dSae];
  expectLength('byLatent.rowIndices', byLatent.rowIndices, nnz);
  expectLength('byLatent.pairIndices', byLatent.pairIndices, nnz);
  expectLength('coefficients', coefficients, nnz);
  expectLength('rows', rows, byLatent.nRows, width);
}

export function checkUpdateRows(input: UpdateRowsInput): void {
  checkGradient(input);
  const { byLatent, width, adam, gradientScale = 1 } = input;
  expectFiniteOption('gradientScale', gradientScale, 0);
  if (input.mask && input.screened)
    throw new MonosemeError(
      'ERR_OPTION',
      'Some latents are updated, and bytes are to be made again.',
      'Update all latents of screened weights at once.',
    );
  if (input.firstMoments.constructor !== input.secondMoments.constructor) {
    throw new MonosemeError(
      'ERR_OPTION',
      'One moment is f32 and the other bf16.',
      'Keep both moments in the same type.',
    );
  }
  expectLength('firstMoments', input.firstMoments, byLatent.dSae, width);
  expectLength('secondMoments', input.secondMoments, byLatent.dSae, width);
  expectFiniteOption('learningRate', adam.learningRate, 0);
  expectFiniteOption('epsilon', adam.epsilon, 0);
  expectPositiveInteger('step', adam.step);
  for (const name of ['beta1', 'beta2'] as const) {
    if (adam[name] >= 0 && adam[name] < 1) continue;
    throw new MonosemeError(
      'ERR_OPTION',
      `${name} is ${adam[name]}.`,
      'It takes a number from 0 to below 1.',
    );
  }
}

export function checkProduct({ a, b, nRows, inner, width, sum }: ProductInput): void {
  expectSize('nRows', nRows, 0);
  expectSize('inner', inner, 1);
  expectSize('width', width, 1);
  expectLength('a', a, nRows, inner);
  expectLength('b', b, inner, width);
  if (sum) expectLength('sum', sum, nRows, width);
}

export function checkCenter({ rows, offset }: CenterInput): void {
  expectSize('The length of offset', offset.length, 1);
  expectLength('rows', rows, Math.floor(rows.length / offset.length), offset.length);
}

export function checkColumnSums({ rows, width }: ColumnSumsInput): void {
  expectSize('width', width, 1);
  expectLength('rows', rows, Math.floor(rows.length / width), width);
}

export function checkGeometricMedian(input: GeometricMedianInput): void {
  expectSize('width', input.width, 1);
  expectSize('maxIterations', input.maxIterations, 0);
  expectFiniteOption('tolerance', input.tolerance, 0);
  if (input.nRows === 0) {
    throw new MonosemeError('ERR_OPTION', 'There are no points.', 'A median needs at least one.');
  }
  expectSize('nRows', input.nRows, 1);
  expectLength('points', input.points, input.nRows, input.width);
}
