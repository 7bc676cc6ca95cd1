import assert from 'node:assert/strict';
import type {
  CoActivationInput,
  Codes,
  CodesByLatent,
  EncodeInput,
  KernelBackend,
  PairSumsInput,
  NestedResidualsInput,
  Selection,
  UpdateRowsInput,
} from '../kernels/index.ts';
import { Random } from '../random/index.ts';
import { encodeFloats } from '../tensor/index.ts';

/*
 * Inputs for the kernels' contract suite, and comparisons whose tolerance follows from the length of the sums.
 */

/** Rounding of one f32 operation, relative. */
const UNIT = 2 ** -24;

/** A view that starts at an odd element of a larger array, whose other elements stay at a value that is never computed. */
export function unaligned(values: ArrayLike<number>): Float32Array {
  const whole = new Float32Array(values.length + 4).fill(12345.5);
  const view = whole.subarray(1, 1 + values.length);
  view.set(values);
  return view;
}

/** Whether nothing was written beside a view that {@link unaligned} made. */
export function assertGuards(view: Float32Array): void {
  const whole = new Float32Array(view.buffer);
  const guards = [whole[0], ...whole.subarray(1 + view.length)];
  assert.deepEqual(guards, [12345.5, 12345.5, 12345.5, 12345.5], 'something was written beside the array');
}

export function normals(random: Random, n: number, scale = 1): Float32Array {
  return unaligned(Float32Array.from({ length: n }, () => scale * random.normal()));
}

/** Small whole numbers: their sums of products are exact in f32 in any order, and full of ties. */
export function wholeNumbers(random: Random, n: number): Float32Array {
  return unaligned(Float32Array.from({ length: n }, () => random.integer(5) - 2));
}

type Draw = (random: Random, n: number) => Float32Array;

export interface Shape {
  nRows: number;
  dIn: number;
  dSae: number;
}

/** Zero, one, odd, and on both sides of every lane, panel, tile, block and range of a traversal. */
export const SHAPES: Shape[] = [
  { nRows: 0, dIn: 5, dSae: 7 },
  { nRows: 1, dIn: 1, dSae: 1 },
  { nRows: 1, dIn: 17, dSae: 1025 },
  { nRows: 3, dIn: 4, dSae: 9 },
  { nRows: 7, dIn: 16, dSae: 8 },
  { nRows: 15, dIn: 31, dSae: 15 },
  { nRows: 16, dIn: 32, dSae: 16 },
  { nRows: 17, dIn: 33, dSae: 17 },
  { nRows: 24, dIn: 64, dSae: 63 },
  { nRows: 25, dIn: 65, dSae: 65 },
  { nRows: 47, dIn: 12, dSae: 130 },
  { nRows: 48, dIn: 100, dSae: 128 },
  { nRows: 49, dIn: 257, dSae: 33 },
  { nRows: 97, dIn: 300, dSae: 40 },
  { nRows: 3, dIn: 511, dSae: 20 },
  { nRows: 5, dIn: 512, dSae: 300 },
  { nRows: 50, dIn: 513, dSae: 20 },
  { nRows: 2, dIn: 1031, dSae: 270 },
  { nRows: 530, dIn: 6, dSae: 10 },
  { nRows: 400, dIn: 320, dSae: 12 },
];

/** Small shapes, most of them on no boundary at all. */
export function randomShape(random: Random): Shape {
  const size = (limit: number) => 1 + random.integer(random.integer(2) === 0 ? 8 : limit);
  return { nRows: random.integer(16) === 0 ? 0 : size(120), dIn: size(140), dSae: size(200) };
}

export function selections(random: Random, { dSae }: Shape): Selection[] {
  const k = 1 + random.integer(dSae);
  return [
    { kind: 'threshold' },
    { kind: 'threshold', thresholds: wholeNumbers(random, dSae) },
    { kind: 'topK', k: 1 },
    { kind: 'topK', k },
    { kind: 'topK', k: dSae },
    { kind: 'batchTopK', k: 1 },
    { kind: 'batchTopK', k },
    { kind: 'batchTopK', k: dSae },
    // Guesses that many, some and none reach.
    ...[1e-3, 3, 1e9].map((guess) => ({ kind: 'batchTopK', k, guess }) as const),
  ];
}

/** Some latents, ascending. */
export function someLatents(random: Random, dSae: number): Uint32Array {
  return Uint32Array.from([...Array(dSae).keys()].filter(() => random.integer(3) === 0));
}

export function encodeCase(random: Random, shape: Shape, selection: Selection, draw: Draw): EncodeInput {
  const { nRows, dIn, dSae } = shape;
  return {
    ...shape,
    x: draw(random, nRows * dIn),
    W_enc: draw(random, dSae * dIn),
    b_enc: draw(random, dSae),
    selection,
  };
}

/** Random codes: some rows empty, some full. */
export function codesCase(random: Random, nRows: number, dSae: number, draw: Draw): Codes {
  const rowPointers = new Uint32Array(nRows + 1);
  const latents: number[] = [];
  for (let row = 0; row < nRows; row++) {
    const oneIn = [Infinity, 1, 2, 10][random.integer(4)];
    for (let latent = 0; latent < dSae; latent++) {
      if (random.uniform() < 1 / oneIn) latents.push(latent);
    }
    rowPointers[row + 1] = latents.length;
  }
  const values = draw(random, latents.length);
  return { nRows, dSae, rowPointers, latentIndices: Uint32Array.from(latents), values };
}

/** Two sets of codes of the same rows, and sums that are not 0. */
export function pairSumsCase(random: Random, { nRows, dIn, dSae }: Shape, draw: Draw): PairSumsInput {
  const [a, b] = [codesCase(random, nRows, dSae, draw), codesCase(random, nRows, dIn, draw)];
  const width = ([1, 2, 4] as const)[random.integer(3)];
  return { a, b, width, sums: Float64Array.from({ length: dSae * dIn * width }, () => random.normal()) };
}

/** What fires in contexts of one to five tokens, and some of the latents asked about. */
export function coActivationCase(random: Random, { nRows, dSae }: Shape): CoActivationInput {
  const contextSize = 1 + random.integer(5);
  const whole = nRows - (nRows % contextSize);
  const { rowPointers: ends, latentIndices } = codesCase(random, whole, dSae, normals);
  const nFired = new Uint32Array(dSae);
  for (const latent of latentIndices) nFired[latent]++;
  const first = random.integer(dSae + 1);
  return {
    ends,
    latents: random.integer(2) === 0 ? latentIndices : Uint16Array.from(latentIndices),
    ...{ nFired, contextSize, first, end: first + random.integer(dSae + 1 - first) },
    ...{ most: 1 + random.integer(6), fewest: 1 + random.integer(3) },
  };
}

/** The same pairs in up to four groups, one of which may have no pairs. */
export function nestedCase(
  random: Random,
  input: Omit<NestedResidualsInput, 'groups' | 'weights' | 'residuals'>,
  draw: Draw,
): NestedResidualsInput {
  const nGroups = 1 + random.integer(4);
  return {
    ...input,
    groups: Uint8Array.from(input.codes.values, () => random.integer(nGroups)),
    weights: draw(random, nGroups),
    residuals: unaligned(new Float32Array(nGroups * input.target.length)),
  };
}

/** An update whose moments are f32. */
export interface UpdateCase extends UpdateRowsInput {
  readonly firstMoments: Float32Array;
  readonly secondMoments: Float32Array;
}

export function updateCase(
  random: Random,
  byLatent: CodesByLatent,
  width: number,
  constraint: UpdateRowsInput['constraint'],
): UpdateCase {
  const { dSae, nRows, rowIndices } = byLatent;
  return {
    byLatent,
    width,
    coefficients: normals(random, rowIndices.length),
    rows: normals(random, nRows * width),
    weights: normals(random, dSae * width),
    firstMoments: normals(random, dSae * width, 0.1),
    // Away from 0, where a step is not sensitive to the rounding of its gradient.
    secondMoments: unaligned(Float32Array.from({ length: dSae * width }, () => 0.5 + random.uniform())),
    constraint,
    ...(random.integer(2) === 0 ? furtherGradients(random, dSae, width) : {}),
    ...(random.integer(2) === 0 ? { gradientScale: random.uniform() } : {}),
    adam: { learningRate: 0.01, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, step: 1 + random.integer(20) },
  };
}

/** One more pair for every latent, and a pull on two parts of its row (or the whole). */
function furtherGradients(random: Random, dSae: number, width: number): Partial<UpdateCase> {
  const nRows = 3;
  const first = Math.floor(width / 3);
  const parts = Uint32Array.from(first > 0 ? [first, width - first] : [width]);
  const pointers = Uint32Array.from({ length: dSae + 1 }, (_, j) => j);
  const byLatent = {
    nRows,
    dSae,
    latentPointers: pointers,
    rowIndices: Uint32Array.from({ length: dSae }, () => random.integer(nRows)),
    pairIndices: pointers.slice(0, dSae).reverse(),
  };
  return {
    also: [{ byLatent, coefficients: normals(random, dSae), rows: normals(random, nRows * width) }],
    pull: { factors: normals(random, dSae * parts.length), parts },
  };
}

/** The same with moments in bf16. */
export function withBf16Moments(input: UpdateCase): UpdateRowsInput {
  const bf16 = (values: Float32Array) => new Uint16Array(encodeFloats(values, 'BF16').buffer);
  return { ...input, firstMoments: bf16(input.firstMoments), secondMoments: bf16(input.secondMoments) };
}

/** The pre-activation of a row and a latent in f64, and how far an f32 sum of it may be off. */
export function preActWithBound(input: EncodeInput, row: number, latent: number): [number, number] {
  const { x, W_enc, b_enc, dIn } = input;
  let sum = b_enc[latent];
  let magnitude = Math.abs(sum);
  for (let i = 0; i < dIn; i++) {
    const product = x[row * dIn + i] * W_enc[latent * dIn + i];
    sum += product;
    magnitude += Math.abs(product);
  }
  return [sum, sumBound(dIn, magnitude)];
}

/** How far an f32 sum of n products may be off, whose magnitudes add up to `magnitude`. */
export function sumBound(n: number, magnitude: number): number {
  return 2 * (n + 2) * UNIT * magnitude + 1e-37;
}

/** Every difference within its bound; else the count, the worst place and both values. */
export function assertClose(
  name: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  bound: (index: number) => number,
): void {
  assert.equal(actual.length, expected.length, `${name}: length`);
  let count = 0;
  let worst = 0;
  let worstIndex = -1;
  for (let i = 0; i < actual.length; i++) {
    if (Object.is(actual[i], expected[i])) continue;
    const excess = Math.abs(actual[i] - expected[i]) / bound(i);
    if (excess <= 1) continue;
    count++;
    if (worstIndex < 0 || !(excess <= worst)) [worst, worstIndex] = [excess, i];
  }
  if (count === 0) return;
  assert.fail(
    `${name}: ${count} of ${actual.length} differ; worst at ${worstIndex}: ` +
      `${actual[worstIndex]} instead of ${expected[worstIndex]} (${worst} times the bound)`,
  );
}

/** The structure that every result of `encode` has. */
export function assertWellFormed(codes: Codes, nRows: number, dSae: number): void {
  assert.equal(codes.nRows, nRows);
  assert.equal(codes.dSae, dSae);
  assert.equal(codes.rowPointers.length, nRows + 1);
  assert.equal(codes.rowPointers[0], 0);
  assert.equal(codes.rowPointers[nRows], codes.values.length);
  assert.equal(codes.latentIndices.length, codes.values.length);
  for (let row = 0; row < nRows; row++) {
    for (let pair = codes.rowPointers[row] + 1; pair < codes.rowPointers[row + 1]; pair++) {
      assert.ok(codes.latentIndices[pair] > codes.latentIndices[pair - 1], `row ${row} ascends`);
    }
  }
}

/** Whether what was kept is right for every pre-activation that rounding cannot move across the cut. */
export function assertSelected(input: EncodeInput, codes: Codes): void {
  assertWellFormed(codes, input.nRows, input.dSae);
  const { nRows, dSae, selection } = input;
  const latents = input.latents ?? Uint32Array.from(Array(dSae).keys());
  const all: { pre: number; bound: number; value: number | undefined; row: number; latent: number }[] = [];
  for (let row = 0; row < nRows; row++) {
    const kept = new Map<number, number>();
    for (let pair = codes.rowPointers[row]; pair < codes.rowPointers[row + 1]; pair++) {
      kept.set(codes.latentIndices[pair], codes.values[pair]);
    }
    for (const latent of latents) {
      const [pre, bound] = preActWithBound(input, row, latent);
      all.push({ pre, bound, value: kept.get(latent), row, latent });
      kept.delete(latent);
    }
    assert.equal(kept.size, 0, 'a latent outside the subset was kept');
  }
  const cutOf = (pairs: typeof all, n: number) => {
    const bound = Math.max(0, ...pairs.map((pair) => pair.bound));
    const sorted = pairs.map((pair) => pair.pre).sort((a, b) => b - a);
    return { cut: Math.max(0, sorted[n - 1] ?? -Infinity), slack: 2 * bound, limit: n };
  };
  const check = (pairs: typeof all, cut: (latent: number) => number, slack: number, limit: number) => {
    let n = 0;
    for (const { pre, bound, value, row, latent } of pairs) {
      const where = `row ${row}, latent ${latent}, ${pre} against ${cut(latent)}`;
      if (value === undefined) assert.ok(!(pre > cut(latent) + bound + slack), `missing: ${where}`);
      else {
        n++;
        assert.ok(Math.abs(value - pre) <= bound, `value ${value} of ${where}`);
        assert.ok(pre > cut(latent) - bound - slack, `too low: ${where}`);
      }
    }
    assert.ok(n <= limit, `${n} kept of at most ${limit}`);
  };
  if (selection.kind === 'threshold') {
    check(all, (latent) => selection.thresholds?.[latent] ?? 0, 0, Infinity);
    return;
  }
  const groups =
    selection.kind === 'batchTopK'
      ? [all]
      : [...Array(nRows).keys()].map((row) => all.slice(row * latents.length, (row + 1) * latents.length));
  const n = selection.kind === 'batchTopK' ? selection.k * nRows : selection.k;
  for (const group of groups) {
    const { cut, slack, limit } = cutOf(group, n);
    check(group, () => cut, slack, limit);
  }
}

/** Run every primitive once on one drawing of data; the bytes of all results. */
export async function resultsOfAll(backend: KernelBackend, seed: number, shape: Shape): Promise<Buffer> {
  const random = new Random(seed);
  const { nRows, dIn, dSae } = shape;
  const bytes: Uint8Array[] = [];
  const add = (...arrays: ArrayBufferView[]) => {
    for (const a of arrays) bytes.push(new Uint8Array(a.buffer, a.byteOffset, a.byteLength));
  };
  for (const selection of selections(random, shape)) {
    const codes = await backend.encode(encodeCase(random, shape, selection, normals));
    add(codes.rowPointers, codes.latentIndices, codes.values);
  }
  const codes = codesCase(random, nRows, dSae, normals);
  const W_dec = normals(random, dSae * dIn);
  const target = normals(random, nRows * dIn);
  const residuals = await backend.residuals({ codes, dOut: dIn, W_dec, target });
  add(residuals.residuals, residuals.squaredErrors, residuals.products);
  const nested = await backend.nestedResiduals(
    nestedCase(random, { codes, dOut: dIn, W_dec, target }, normals),
  );
  add(nested.residuals, nested.squaredErrors, nested.products);
  add(await backend.product({ a: target, b: W_dec.subarray(0, dIn * 5), nRows, inner: dIn, width: 5 }));
  const byLatent = await backend.transpose(codes);
  const update = updateCase(random, byLatent, dIn, 'unitNorm');
  await backend.updateRows(update);
  add(update.weights, update.firstMoments, update.secondMoments);
  const half = withBf16Moments(updateCase(random, byLatent, dIn, 'none'));
  add(Float64Array.of(await backend.squaredGradientNorm(half)));
  await backend.updateRows(half);
  add(half.weights, half.firstMoments, half.secondMoments);
  const centered = target.slice();
  await backend.center({ rows: centered, offset: W_dec.subarray(0, dIn) });
  add(centered, await backend.columnSums({ rows: target, width: dIn }));
  const pairs = pairSumsCase(random, shape, normals);
  await backend.addPairSums(pairs);
  add(pairs.sums);
  const company = await backend.coActivations(coActivationCase(random, shape));
  add(company.pointers, company.others, company.lags, company.counts);
  const points = normals(random, (nRows + 1) * dIn);
  add(
    await backend.geometricMedian({ points, nRows: nRows + 1, width: dIn, maxIterations: 20, tolerance: 0 }),
  );
  return Buffer.concat(bytes);
}
