import type { ErrorCode } from '../errors.ts';
import type { Codes, KernelBackend, UpdateRowsInput } from '../kernels/index.ts';
import { referenceBackend } from '../kernels/reference/index.ts';
import { Random } from '../random/index.ts';
import { codesCase, encodeCase, normals, updateCase } from './kernel-cases.ts';

type WrongCall = [what: string, code: ErrorCode, call: () => Promise<unknown>];

/** Calls that every backend must refuse, with the code of the refusal. */
export function* wrongCalls(backend: KernelBackend): Generator<WrongCall> {
  const random = new Random(10);
  const shape = { nRows: 4, dIn: 3, dSae: 5 };
  const encode = encodeCase(random, shape, { kind: 'threshold' }, normals);
  const short = new Float32Array(2);
  for (const key of ['x', 'W_enc', 'b_enc'] as const) {
    yield [key, 'ERR_SHAPE', () => backend.encode({ ...encode, [key]: short })];
  }
  for (const key of ['nRows', 'dIn', 'dSae'] as const) {
    for (const value of [-1, 1.5, NaN, 2 ** 32]) {
      yield [`${key} ${value}`, 'ERR_OPTION', () => backend.encode({ ...encode, [key]: value })];
    }
  }
  const thresholds = { kind: 'threshold', thresholds: short } as const;
  yield ['thresholds', 'ERR_SHAPE', () => backend.encode({ ...encode, selection: thresholds })];
  for (const kind of ['topK', 'batchTopK'] as const) {
    for (const k of [0, 6, 1.5]) {
      yield [`${kind} ${k}`, 'ERR_OPTION', () => backend.encode({ ...encode, selection: { kind, k } })];
    }
  }
  for (const latents of [[1, 1], [2, 1], [5]]) {
    const input = { ...encode, latents: Uint32Array.from(latents) };
    yield [`latents ${latents}`, 'ERR_OPTION', () => backend.encode(input)];
  }
  for (const [change, code] of [
    [{ rows: short }, 'ERR_SHAPE'],
    [{ offset: new Float32Array(0) }, 'ERR_OPTION'],
  ] as const) {
    const input = { rows: new Float32Array(6), offset: new Float32Array(3), ...change };
    yield [`center ${Object.keys(change)}`, code, () => backend.center(input)];
  }
  const product = { a: new Float32Array(6), b: new Float32Array(3), nRows: 2, inner: 3, width: 1 };
  yield ['a', 'ERR_SHAPE', () => backend.product({ ...product, a: short })];
  yield ['b', 'ERR_SHAPE', () => backend.product({ ...product, b: short })];
  yield ['sum', 'ERR_SHAPE', () => backend.product({ ...product, sum: new Float32Array(3) })];
  yield ['inner 0', 'ERR_OPTION', () => backend.product({ ...product, inner: 0 })];
  yield ['columnSums', 'ERR_SHAPE', () => backend.columnSums({ rows: short, width: 3 })];
  yield ['width 0', 'ERR_OPTION', () => backend.columnSums({ rows: short, width: 0 })];
  yield* wrongPairs(backend, codesCase(new Random(11), 4, 5, normals));
  const median = { points: new Float32Array(6), nRows: 2, width: 3, maxIterations: 1, tolerance: 0 };
  yield ['points', 'ERR_SHAPE', () => backend.geometricMedian({ ...median, points: short })];
  const none = { ...median, points: new Float32Array(0), nRows: 0 };
  yield ['no points', 'ERR_OPTION', () => backend.geometricMedian(none)];
}

function* wrongCompany(backend: KernelBackend): Generator<WrongCall> {
  const good = {
    ends: Uint32Array.of(0, 1, 3, 3, 4),
    latents: Uint16Array.of(0, 0, 2, 1),
    nFired: Uint32Array.of(2, 1, 1),
    ...{ contextSize: 2, first: 0, end: 3, most: 1, fewest: 1 },
  };
  for (const [change, code] of [
    [{ ends: Uint32Array.of(0, 1, 3, 4) }, 'ERR_SHAPE'],
    [{ ends: Uint32Array.of(0, 3, 1, 3, 4) }, 'ERR_SHAPE'],
    [{ ends: Uint32Array.of(0, 1, 3, 3, 3) }, 'ERR_SHAPE'],
    [{ ends: new Uint32Array(0), contextSize: 1 }, 'ERR_SHAPE'],
    [{ latents: Uint32Array.of(0, 0, 3, 1) }, 'ERR_SHAPE'],
    [{ latents: Uint16Array.of(0, 2, 0, 1), first: 1 }, 'ERR_SHAPE'],
    [{ nFired: Uint32Array.of(1, 2, 1) }, 'ERR_SHAPE'],
    [{ nFired: Uint32Array.of(2, 4294967295, 1) }, 'ERR_SHAPE'],
    [{ contextSize: 0 }, 'ERR_OPTION'],
    [{ first: 2, end: 1 }, 'ERR_OPTION'],
    [{ end: 4 }, 'ERR_OPTION'],
    [{ most: 0 }, 'ERR_OPTION'],
    [{ fewest: 0 }, 'ERR_OPTION'],
  ] as const) {
    const input = { ...good, ...change };
    yield [`coActivations ${JSON.stringify(change)}`, code, () => backend.coActivations(input)];
  }
}

function* wrongPairs(backend: KernelBackend, good: Codes): Generator<WrongCall> {
  const random = new Random(12);
  const wide = {
    dOut: 3,
    W_dec: normals(random, 15),
    target: normals(random, 12),
    rows: normals(random, 12),
  };
  const outside = good.latentIndices.slice();
  outside[outside.length - 1] = 5;
  const wrong: Codes[] = [
    { ...good, latentIndices: outside },
    { ...good, values: good.values.subarray(1) },
    { ...good, rowPointers: good.rowPointers.subarray(1) },
    { ...good, rowPointers: Uint32Array.from([0, 4294967295, 1, 1, good.values.length]) },
    { ...good, rowPointers: good.rowPointers.map((pointer) => pointer + 1) },
  ];
  for (const [i, codes] of wrong.entries()) {
    yield [`decode, codes ${i}`, 'ERR_SHAPE', () => backend.decode({ ...wide, codes })];
    yield [`residuals, codes ${i}`, 'ERR_SHAPE', () => backend.residuals({ ...wide, codes })];
    yield [`sampledProducts, codes ${i}`, 'ERR_SHAPE', () => backend.sampledProducts({ ...wide, codes })];
    yield [`transpose, codes ${i}`, 'ERR_SHAPE', () => backend.transpose(codes)];
    for (const sides of [
      { a: codes, b: good },
      { a: good, b: codes },
    ]) {
      const input = { ...sides, width: 1, sums: new Float64Array(25) } as const;
      yield [`addPairSums, codes ${i}`, 'ERR_SHAPE', () => backend.addPairSums(input)];
    }
  }
  const pairs = { a: good, b: good, width: 2, sums: new Float64Array(50) } as const;
  const fewer = { ...good, nRows: 0, rowPointers: new Uint32Array(1), latentIndices: new Uint32Array(0) };
  const none = { ...fewer, values: new Float32Array(0) };
  yield ['rows of b', 'ERR_SHAPE', () => backend.addPairSums({ ...pairs, b: none })];
  yield ['sums', 'ERR_SHAPE', () => backend.addPairSums({ ...pairs, width: 4 })];
  yield ['width 3', 'ERR_OPTION', () => backend.addPairSums({ ...pairs, width: 3 as 2 })];
  yield* wrongCompany(backend);
  const short = new Float32Array(2);
  yield ['W_dec', 'ERR_SHAPE', () => backend.decode({ ...wide, codes: good, W_dec: short })];
  yield ['b_dec', 'ERR_SHAPE', () => backend.decode({ ...wide, codes: good, b_dec: short })];
  yield ['target', 'ERR_SHAPE', () => backend.residuals({ ...wide, codes: good, target: short })];
  const elsewhere = { ...wide, codes: good, residuals: short };
  yield ['residuals', 'ERR_SHAPE', () => backend.residuals(elsewhere)];
  const nested = {
    ...wide,
    codes: good,
    groups: new Uint8Array(good.values.length),
    weights: new Float32Array(2),
    residuals: new Float32Array(24),
  };
  for (const key of ['target', 'weights', 'residuals'] as const)
    yield [
      `nested ${key}`,
      'ERR_SHAPE',
      () => backend.nestedResiduals({ ...nested, [key]: short.subarray(1) }),
    ];
  yield ['groups', 'ERR_SHAPE', () => backend.nestedResiduals({ ...nested, groups: new Uint8Array(0) })];
  const groups = nested.groups.map(() => 2);
  yield ['a group without weight', 'ERR_OPTION', () => backend.nestedResiduals({ ...nested, groups })];
  for (const end of [0, 3])
    yield [`end ${end}`, 'ERR_OPTION', () => backend.nestedResiduals({ ...nested, end })];
  yield ['rows', 'ERR_SHAPE', () => backend.sampledProducts({ ...wide, codes: good, rows: short })];
  const update = async (change: (input: UpdateRowsInput) => Partial<UpdateRowsInput>) => {
    const input = updateCase(random, await referenceBackend.transpose(good), 3, 'none');
    await backend.updateRows({ ...input, ...change(input) });
  };
  for (const key of ['coefficients', 'rows', 'weights', 'firstMoments', 'secondMoments']) {
    yield [key, 'ERR_SHAPE', () => update(() => ({ [key]: short }))];
  }
  const sums = (input: UpdateRowsInput) => ({ also: [{ ...input, rows: short }] });
  yield ['rows of a further sum', 'ERR_SHAPE', () => update(sums)];
  const pulls = { factors: new Float32Array(5), parts: Uint32Array.of(2) };
  yield ['parts of a pull', 'ERR_SHAPE', () => update(() => ({ pull: pulls }))];
  yield ['factors of a pull', 'ERR_SHAPE', () => update(() => ({ pull: { ...pulls, factors: short } }))];
  const mixed = (input: UpdateRowsInput) => ({ firstMoments: new Uint16Array(input.firstMoments.length) });
  yield ['moments of two types', 'ERR_OPTION', () => update(mixed)];
  yield ['mask', 'ERR_SHAPE', () => update(() => ({ mask: new Uint8Array(1) }))];
  const masked = ({ byLatent }: UpdateRowsInput) => ({
    mask: new Uint8Array(byLatent.dSae),
    screened: { bytes: new Int8Array(), facts: new Float32Array() },
  });
  yield ['bytes of some latents', 'ERR_OPTION', () => update(masked)];
  yield ['gradientScale', 'ERR_OPTION', () => update(() => ({ gradientScale: NaN }))];
  for (const key of ['latentPointers', 'rowIndices', 'pairIndices'] as const) {
    const broken = (input: UpdateRowsInput) => input.byLatent[key].map((value, i) => (i === 1 ? 99 : value));
    yield [
      key,
      'ERR_SHAPE',
      () => update((input) => ({ byLatent: { ...input.byLatent, [key]: broken(input) } })),
    ];
  }
  for (const wrongAdam of [
    { beta1: 1 },
    { beta2: -0.1 },
    { step: 0 },
    { epsilon: NaN },
    { learningRate: -1 },
  ]) {
    const change = (input: UpdateRowsInput) => ({ adam: { ...input.adam, ...wrongAdam } });
    yield [JSON.stringify(wrongAdam), 'ERR_OPTION', () => update(change)];
  }
}
