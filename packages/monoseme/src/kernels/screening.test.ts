import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadBinding, type NativeKernels } from '@monoseme/kernels-native';
import { Random } from '../random/index.ts';
import { skipReason } from '../testing/every-backend.ts';
import { normals, unaligned, updateCase, wholeNumbers } from '../testing/kernel-cases.ts';
import type { Codes, EncodeInput, KernelBackend, Selection } from './index.ts';
import { nativeBackend } from './native-backend.ts';

/*
 * Codes with screening are the same bytes as without. Thresholds are set so that few latents are active, since dense
 * blocks are not screened, and on the very values that they divide: a bound that is too tight by one unit in the last
 * place loses a latent.
 */

interface Inputs {
  readonly x: Float32Array;
  readonly W_enc: Float32Array;
}
type Draw = (random: Random, n: number) => Float32Array;

/** Rows and weights that are hard to bound. */
const INPUTS: Record<string, (random: Random, nRows: number, dIn: number, dSae: number) => Inputs> = {
  normal: drawn(normals),
  'whole numbers, full of ties': drawn(wholeNumbers),
  'heavy tails': drawn((random, n) => normals(random, n).map((value) => value ** 5)),
  subnormal: drawn((random, n) => normals(random, n).map((value) => value * 1e-20)),
  'far from 1': (random, nRows, dIn, dSae) => ({
    x: normals(random, nRows * dIn).map((value) => value * 1e15),
    W_enc: normals(random, dSae * dIn).map((value) => value * 1e-13),
  }),
  'one huge coordinate': (random, nRows, dIn, dSae) => {
    const inputs = drawn(normals)(random, nRows, dIn, dSae);
    for (let row = 0; row < nRows; row += 2) inputs.x[row * dIn + random.integer(dIn)] = 1e6;
    for (let j = 0; j < dSae; j += 3) inputs.W_enc[j * dIn + random.integer(dIn)] = -1e4;
    return inputs;
  },
  // The latents that top-k looks at first tell nothing of the others.
  'every 16th latent far above the others': (random, nRows, dIn, dSae) => {
    const inputs = drawn(normals)(random, nRows, dIn, dSae);
    for (let j = 0; j < dSae; j += 16) for (let i = j * dIn; i < (j + 1) * dIn; i++) inputs.W_enc[i] *= 1000;
    return inputs;
  },
  'rows of zeros, of infinity, of NaN and beyond f32': (random, nRows, dIn, dSae) => {
    const inputs = drawn(normals)(random, nRows, dIn, dSae);
    const odd = [0, 1e-45, 1e-30, 1e30, 3e38, Infinity, NaN];
    odd.forEach((value, i) => {
      if (3 * i < nRows) inputs.x.fill(value, 3 * i * dIn, (3 * i + 1) * dIn);
      if (5 * i < dSae) inputs.W_enc.fill(value, 5 * i * dIn, (5 * i + 1) * dIn);
    });
    return inputs;
  },
};

const SHAPES = [
  { nRows: 120, dIn: 100, dSae: 300 },
  { nRows: 97, dIn: 512, dSae: 130 },
  { nRows: 300, dIn: 64, dSae: 65 },
  { nRows: 70, dIn: 1031, dSae: 20 },
  { nRows: 60, dIn: 1, dSae: 1 },
  // With few inputs bytes err by as much as their bounds say, so that what top-k thinks of its bars is wrong.
  { nRows: 60, dIn: 2, dSae: 400 },
  { nRows: 1, dIn: 17, dSae: 700 },
  { nRows: 520, dIn: 20, dSae: 256 },
];

function drawn(draw: Draw) {
  return (random: Random, nRows: number, dIn: number, dSae: number): Inputs => ({
    x: draw(random, nRows * dIn),
    W_enc: draw(random, dSae * dIn),
  });
}

/** Thresholds at which a latent has one or two active rows, or would have if its least value were a unit higher. */
async function sharpThresholds(backend: KernelBackend, input: Omit<EncodeInput, 'selection'>) {
  const thresholds = new Float32Array(input.dSae).fill(-Infinity);
  const all = await backend.encode({ ...input, selection: { kind: 'threshold', thresholds } });
  const columns: number[][] = Array.from({ length: input.dSae }, () => []);
  all.latentIndices.forEach((latent, pair) => columns[latent].push(all.values[pair]));
  const units = new Int32Array(thresholds.buffer);
  columns.forEach((column, j) => {
    column.sort((a, b) => b - a);
    thresholds[j] = column[j % 2] ?? 0;
    if (j % 4 < 2 && thresholds[j] > 0) units[j]--;
  });
  return thresholds;
}

function bytesOf({ rowPointers, latentIndices, values }: Codes): string {
  return [rowPointers, latentIndices, values]
    .map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength).toString('hex'))
    .join();
}

/** With all latents screened and with the first of them. */
async function assertSameBytes(backend: KernelBackend, input: EncodeInput, what: string): Promise<void> {
  const expected = bytesOf(await backend.encode(input));
  for (const dSae of [input.dSae, Math.ceil(input.dSae / 3)]) {
    const screened = await backend.screen(firstLatents(input, dSae));
    assert.ok(
      bytesOf(await backend.encode({ ...input, screened })) === expected,
      `${what}, ${dSae} screened`,
    );
  }
}

function firstLatents<T extends { W_enc: Float32Array; dIn: number }>(input: T, dSae: number) {
  return { dIn: input.dIn, dSae, W_enc: input.W_enc.subarray(0, dSae * input.dIn) };
}

async function assertScreening(kernels: NativeKernels, threads: number): Promise<void> {
  const backend = nativeBackend(kernels, threads);
  const random = new Random(threads);
  const candidates = kernels.candidates;
  for (const { nRows, dIn, dSae } of SHAPES) {
    for (const [name, make] of Object.entries(INPUTS)) {
      const drawnBias = name.startsWith('whole') ? wholeNumbers : normals;
      const input = { nRows, dIn, dSae, ...make(random, nRows, dIn, dSae), b_enc: drawnBias(random, dSae) };
      const latents = Uint32Array.from({ length: Math.ceil(dSae / 3) }, (_, i) => 3 * i);
      const selections: Selection[] = [
        { kind: 'threshold', thresholds: await sharpThresholds(backend, input) },
        { kind: 'threshold' },
        { kind: 'topK', k: 1 },
        { kind: 'topK', k: Math.min(5, dSae) },
        { kind: 'topK', k: Math.ceil(dSae / 16) },
        { kind: 'batchTopK', k: 1 },
        { kind: 'batchTopK', k: Math.ceil(dSae / 16) },
      ];
      for (const selection of selections) {
        const what = `${name}, ${JSON.stringify({ nRows, dIn, dSae, kind: selection.kind })}`;
        await assertSameBytes(backend, { ...input, selection }, what);
        await assertSameBytes(backend, { ...input, selection, latents }, `${what}, some latents`);
      }
    }
  }
  assert.ok(kernels.candidates > candidates, 'nothing was screened');
}

for (const instructionSet of ['avx512+amx', 'avx512', 'avx2', 'neon', 'portable']) {
  describe(`screening: native ${instructionSet}`, { skip: skipReason(instructionSet) }, () => {
    for (const threads of [1, 3]) {
      test(`the same bytes with screening as without, ${threads} threads`, () =>
        assertScreening(new (loadBinding().Kernels)(threads, instructionSet), threads));
    }

    test('updateRows leaves what screen makes of the new weights', async () => {
      const backend = nativeBackend(new (loadBinding().Kernels)(2, instructionSet), 2);
      const random = new Random(5);
      const [nRows, dIn, dSae] = [60, 100, 70];
      const b_enc = unaligned(new Float32Array(dSae).fill(-20));
      const encode = { x: normals(random, nRows * dIn), nRows, dIn, dSae, b_enc };
      const W_enc = normals(random, dSae * dIn);
      const codes = await backend.encode({ ...encode, W_enc, selection: { kind: 'threshold' } });
      const input = updateCase(random, await backend.transpose(codes), dIn, 'unitNorm');
      for (const n of [dSae, 33]) {
        const screened = await backend.screen(firstLatents({ W_enc: input.weights, dIn }, n));
        await backend.updateRows({ ...input, screened });
        assert.deepEqual(screened, await backend.screen(firstLatents({ W_enc: input.weights, dIn }, n)));
      }
    });

    test('one of other sizes is refused', async () => {
      const backend = nativeBackend(new (loadBinding().Kernels)(1, instructionSet), 1);
      const [x, b_enc] = [new Float32Array(4), new Float32Array(2)];
      const input = { x, nRows: 1, dIn: 4, dSae: 2, W_enc: new Float32Array(8), b_enc };
      const { bytes, facts } = await backend.screen(input);
      const selection = { kind: 'threshold' } as const;
      for (const screened of [
        { bytes: bytes.subarray(1), facts },
        { bytes, facts: facts.subarray(5) },
        { bytes: new Int8Array(2 * bytes.length), facts: new Float32Array(2 * facts.length) },
      ])
        await assert.rejects(backend.encode({ ...input, selection, screened }), { code: 'ERR_SHAPE' });
    });
  });
}
