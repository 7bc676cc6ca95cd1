import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadBinding } from '@monoseme/kernels-native';
import { MonosemeError, type ErrorCode } from '../errors.ts';
import { Random } from '../random/index.ts';
import {
  assertClose,
  assertGuards,
  assertSelected,
  codesCase,
  encodeCase,
  normals,
  randomShape,
  resultsOfAll,
  selections,
  SHAPES,
  someLatents,
  sumBound,
  unaligned,
  type UpdateCase,
  updateCase,
  wholeNumbers,
  withBf16Moments,
} from '../testing/kernel-cases.ts';
import { type KernelBackend, type Moments, selectBackend } from './index.ts';
import { decodeFloats } from '../tensor/index.ts';
import { wrongCalls } from '../testing/wrong-kernel-calls.ts';
import { nativeError } from './native-backend.ts';
import { referenceBackend } from './reference/index.ts';

/*
 * The contract of the kernels, checked on the reference and on every instruction set of the native backend. On whole
 * numbers every sum is exact, so results must equal the reference's, ties included; on normal numbers they must agree
 * within the rounding of their sums.
 */

const INSTRUCTION_SETS = ['avx512', 'avx2', 'neon', 'portable'];
const RANDOM_SHAPES = Number(process.env.KERNEL_SHAPES ?? 100);

function availableSets(): string[] | string {
  try {
    return loadBinding().instructionSets();
  } catch (error) {
    if (process.env.REQUIRE_NATIVE === '1') throw error;
    return 'the native kernels are not built';
  }
}

const available = availableSets();

function skipReason(instructionSet: string): string | false {
  if (typeof available === 'string') return available;
  return available.includes(instructionSet) ? false : `this CPU has no ${instructionSet}`;
}

describe('kernels: reference', () => contract(async () => referenceBackend));
for (const instructionSet of INSTRUCTION_SETS) {
  const options = { skip: skipReason(instructionSet) };
  describe(`kernels: native ${instructionSet}`, options, () => {
    contract(() => selectBackend({ name: 'native', threads: 2, instructionSet }));
    sameBytesOnAnyThreads(instructionSet);
  });
}
describe('kernels: native failures', { skip: skipReason('portable') }, nativeFailures);

/** The shape corpus, then random shapes. */
function* shapes(random: Random) {
  yield* SHAPES;
  for (let i = 0; i < RANDOM_SHAPES; i++) yield randomShape(random);
}

function contract(open: () => Promise<KernelBackend>): void {
  test('encode keeps exactly what the reference keeps, ties included', async () => {
    const backend = await open();
    const random = new Random(1);
    for (const shape of shapes(random)) {
      for (const selection of selections(random, shape)) {
        const whole = encodeCase(random, shape, selection, wholeNumbers);
        const input = random.integer(3) > 0 ? whole : { ...whole, latents: someLatents(random, shape.dSae) };
        const expected = await referenceBackend.encode(input);
        assert.deepEqual(await backend.encode(input), expected, JSON.stringify({ ...shape, selection }));
      }
    }
  });

  test('encode is within rounding on normal numbers', async () => {
    const backend = await open();
    const random = new Random(2);
    for (const shape of shapes(random)) {
      const drawn = selections(random, shape);
      const selection = drawn[random.integer(drawn.length)];
      const input = encodeCase(random, shape, selection, normals);
      assertSelected(input, await backend.encode(input));
    }
  });

  test('encode never keeps NaN, keeps infinity, and leaves silent rows empty', async () => {
    const backend = await open();
    const x = Float32Array.from([NaN, 1, Infinity, 1, -5, -5, 1, 1]);
    const input = {
      x,
      nRows: 4,
      dIn: 2,
      dSae: 2,
      W_enc: new Float32Array(4).fill(1),
      b_enc: new Float32Array(2),
    };
    for (const selection of [
      { kind: 'threshold' },
      { kind: 'topK', k: 2 },
      { kind: 'batchTopK', k: 2 },
    ] as const) {
      const codes = await backend.encode({ ...input, selection });
      assert.deepEqual([...codes.rowPointers], [0, 0, 2, 2, 4]);
      assert.deepEqual([...codes.values], [Infinity, Infinity, 2, 2]);
    }
    const thresholds = Float32Array.from([NaN, 1]);
    const codes = await backend.encode({ ...input, selection: { kind: 'threshold', thresholds } });
    assert.deepEqual([...codes.latentIndices], [1, 1]);
  });

  test('top-k with values that only rise, only fall, and are all equal', async () => {
    const backend = await open();
    const dSae = 700;
    for (const bias of [(j: number) => j, (j: number) => dSae - j, () => 1]) {
      const b_enc = Float32Array.from({ length: dSae }, (_, j) => bias(j));
      const input = {
        x: new Float32Array(40),
        nRows: 40,
        dIn: 1,
        dSae,
        W_enc: new Float32Array(dSae),
        b_enc,
      };
      for (const kind of ['topK', 'batchTopK'] as const) {
        const selected = { ...input, selection: { kind, k: 3 } };
        assert.deepEqual(await backend.encode(selected), await referenceBackend.encode(selected));
      }
    }
  });

  test('decode, sampledProducts and residuals are exact on whole numbers', async () => {
    const backend = await open();
    const random = new Random(3);
    for (const { nRows, dIn: dOut, dSae } of shapes(random)) {
      const codes = codesCase(random, nRows, dSae, wholeNumbers);
      const W_dec = wholeNumbers(random, dSae * dOut);
      const b_dec = random.integer(2) === 0 ? wholeNumbers(random, dOut) : undefined;
      const rows = wholeNumbers(random, nRows * dOut);
      const where = JSON.stringify({ nRows, dOut, dSae });
      for (const [actual, expected] of [
        [
          await backend.decode({ codes, dOut, W_dec, b_dec }),
          await referenceBackend.decode({ codes, dOut, W_dec, b_dec }),
        ],
        [
          await backend.sampledProducts({ codes, dOut, W_dec, rows }),
          await referenceBackend.sampledProducts({ codes, dOut, W_dec, rows }),
        ],
      ]) {
        assertClose(where, actual, expected, () => 0);
      }
      const input = { codes, dOut, W_dec, b_dec, target: rows };
      const expected = await referenceBackend.residuals(input);
      const actual = await backend.residuals(input);
      for (const key of ['residuals', 'squaredErrors', 'products'] as const) {
        assertClose(`${key} ${where}`, actual[key], expected[key], () => 0);
      }
    }
  });

  test('decode and sampledProducts are within rounding on normal numbers', async () => {
    const backend = await open();
    const random = new Random(4);
    for (const { nRows, dIn: dOut, dSae } of shapes(random)) {
      const codes = codesCase(random, nRows, dSae, normals);
      const [W_dec, rows] = [normals(random, dSae * dOut), normals(random, nRows * dOut)];
      const magnitudes = {
        codes: { ...codes, values: codes.values.map(Math.abs) },
        dOut,
        W_dec: W_dec.map(Math.abs),
        rows: rows.map(Math.abs),
      };
      const decodeBounds = await referenceBackend.decode(magnitudes);
      assertClose(
        'decode',
        await backend.decode({ codes, dOut, W_dec }),
        await referenceBackend.decode({ codes, dOut, W_dec }),
        (i) => sumBound(dSae, decodeBounds[i]),
      );
      const productBounds = await referenceBackend.sampledProducts(magnitudes);
      assertClose(
        'sampledProducts',
        await backend.sampledProducts({ codes, dOut, W_dec, rows }),
        await referenceBackend.sampledProducts({ codes, dOut, W_dec, rows }),
        (i) => sumBound(dOut, productBounds[i]),
      );
    }
  });

  test('transpose sorts by latent, then by row', async () => {
    const backend = await open();
    const random = new Random(5);
    for (const { nRows, dSae } of shapes(random)) {
      const codes = codesCase(random, nRows, dSae, normals);
      const actual = await backend.transpose(codes);
      assert.deepEqual(actual, await referenceBackend.transpose(codes));
      for (let i = 0; i < actual.pairIndices.length; i++) {
        const pair = actual.pairIndices[i];
        const row = actual.rowIndices[i];
        assert.ok(codes.rowPointers[row] <= pair && pair < codes.rowPointers[row + 1]);
      }
    }
  });

  test('updateRows takes the step of the reference and writes nowhere else', async () => {
    const backend = await open();
    const random = new Random(6);
    for (const { nRows, dIn: width, dSae } of shapes(random)) {
      const byLatent = await referenceBackend.transpose(codesCase(random, nRows, dSae, normals));
      for (const constraint of ['none', 'unitNorm'] as const) {
        const input = updateCase(random, byLatent, width, constraint);
        const expected = copyOfUpdate(input);
        await referenceBackend.updateRows(expected);
        await backend.updateRows(input);
        // Gradients are sums of nRows products of about 1; projecting and normalising add sums over the width.
        const bound = sumBound(nRows + width, 64 * Math.sqrt(nRows + width));
        for (const key of ['weights', 'firstMoments', 'secondMoments'] as const) {
          assertClose(key, input[key], expected[key], (i) => bound * (1 + Math.abs(expected[key][i])));
          assertGuards(input[key]);
        }
      }
    }
  });

  test('updateRows leaves a row of length 0, and a silent row without moments, as they are', async () => {
    const backend = await open();
    const random = new Random(7);
    const codes = codesCase(random, 3, 5, normals);
    const silent = {
      ...codes,
      rowPointers: new Uint32Array(4),
      latentIndices: new Uint32Array(0),
      values: new Float32Array(0),
    };
    for (const constraint of ['none', 'unitNorm'] as const) {
      const input = updateCase(random, await backend.transpose(silent), 19, constraint);
      input.firstMoments.fill(0);
      input.secondMoments.fill(0);
      input.weights.fill(0);
      for (let j = 1; j < 5; j++) input.weights[j * 19 + j] = -1;
      const before = input.weights.slice();
      await backend.updateRows(input);
      assertClose('weights', input.weights, before, () => 0);
    }
  });

  test('updateRows with bf16 moments differs from f32 by the rounding of the moments alone', async () => {
    const backend = await open();
    const random = new Random(14);
    for (const { nRows, dIn: width, dSae } of SHAPES) {
      const byLatent = await referenceBackend.transpose(codesCase(random, nRows, dSae, normals));
      const input = withBf16Moments(updateCase(random, byLatent, width, 'unitNorm'));
      const [first, second] = [input.firstMoments, input.secondMoments].map((bits) => decodeBf16(bits));
      const expected = {
        ...input,
        weights: input.weights.slice(),
        firstMoments: first,
        secondMoments: second,
      };
      await backend.updateRows(expected);
      await backend.updateRows(input);
      assertClose('weights', input.weights, expected.weights, () => 0);
      for (const key of ['firstMoments', 'secondMoments'] as const) {
        const rounded = decodeBf16(input[key]);
        assertClose(key, rounded, expected[key], (i) => 2 ** -7 * Math.abs(expected[key][i]));
      }
    }
  });

  test('a bf16 moment decays on average as an f32 one, though a step is less than half a unit', async () => {
    const backend = await open();
    const codes = { nRows: 1, dSae: 8, rowPointers: new Uint32Array(2), latentIndices: new Uint32Array(0) };
    const byLatent = await backend.transpose({ ...codes, values: new Float32Array(0) });
    const input = withBf16Moments(updateCase(new Random(15), byLatent, 64, 'none'));
    const before = decodeBf16(input.secondMoments);
    const nSteps = 300;
    for (let step = 1; step <= nSteps; step++) {
      await backend.updateRows({ ...input, adam: { ...input.adam, beta2: 0.999, step } });
    }
    const mean = (values: Float32Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const share = mean(decodeBf16(input.secondMoments)) / mean(before);
    assert.ok(Math.abs(share - 0.999 ** nSteps) < 0.01, `${share} instead of ${0.999 ** nSteps}`);
  });

  test('squaredGradientNorm is the square of the gradient that updateRows uses', async () => {
    const backend = await open();
    const random = new Random(16);
    for (const { nRows, dIn: width, dSae } of shapes(random)) {
      const byLatent = await referenceBackend.transpose(codesCase(random, nRows, dSae, normals));
      for (const constraint of ['none', 'unitNorm'] as const) {
        const input = updateCase(random, byLatent, width, constraint);
        const expected = await referenceBackend.squaredGradientNorm(input);
        const actual = await backend.squaredGradientNorm(input);
        // What the projection removes leaves its rounding behind.
        const whole = await referenceBackend.squaredGradientNorm({ ...input, constraint: 'none' });
        assertClose('norm', [actual], [expected], () => 2e-5 * whole);
      }
    }
  });

  test('center and columnSums do what they say', async () => {
    const backend = await open();
    const random = new Random(17);
    for (const { nRows, dIn: width } of shapes(random)) {
      const offset = normals(random, width);
      const drawn = normals(random, nRows * width);
      const results = [];
      for (const by of [backend, referenceBackend]) {
        const rows = unaligned(drawn);
        const centered = unaligned(new Float32Array(drawn.length));
        await by.center({ rows, offset, centered });
        assertGuards(rows);
        assertGuards(centered);
        results.push({ centered, sums: await by.columnSums({ rows, width }) });
      }
      const [actual, expected] = results;
      assertClose('centered', actual.centered, expected.centered, () => 0);
      assertClose('sums', actual.sums, expected.sums, () => 1e-12 * (1 + nRows));
    }
  });

  test('residuals go where they are asked to go', async () => {
    const backend = await open();
    const random = new Random(18);
    const codes = codesCase(random, 9, 12, normals);
    const input = { codes, dOut: 7, W_dec: normals(random, 12 * 7), target: normals(random, 9 * 7) };
    const residuals = unaligned(new Float32Array(9 * 7));
    const given = await backend.residuals({ ...input, residuals });
    assert.equal(given.residuals, residuals);
    assertGuards(residuals);
    assert.deepEqual([...residuals], [...(await backend.residuals(input)).residuals]);
  });

  test('geometricMedian finds the point that the reference finds', async () => {
    const backend = await open();
    const random = new Random(8);
    for (const { nRows, dIn: width } of shapes(random)) {
      if (nRows === 0) continue;
      const points = normals(random, nRows * width);
      points.set(points.slice(0, width), (nRows - 1) * width); // The last point is a copy of the first.
      const input = { points, nRows, width, maxIterations: 100, tolerance: 1e-5 };
      const expected = await referenceBackend.geometricMedian(input);
      assertClose('median', await backend.geometricMedian(input), expected, () => 2e-4);
    }
    const outlier = Float32Array.from([0, 0, 1, 0, 0, 1, 1, 1, 1e6, 1e6]);
    const input = { points: outlier, nRows: 5, width: 2, maxIterations: 500, tolerance: 1e-9 };
    const median = await backend.geometricMedian(input);
    assertClose('median', median, [0.8, 0.8], () => 0.2);
  });

  test('inputs that are only read are not changed', async () => {
    const backend = await open();
    const random = new Random(9);
    const shape = { nRows: 20, dIn: 30, dSae: 40 };
    const input = encodeCase(random, shape, { kind: 'topK', k: 3 }, normals);
    const codes = codesCase(random, 20, 40, normals);
    const readOnly = [input.x, input.W_enc, input.b_enc, codes.values];
    const before = readOnly.map((array) => array.slice());
    await backend.encode(input);
    await backend.residuals({ codes, dOut: 30, W_dec: input.W_enc, target: input.x });
    await backend.transpose(codes);
    readOnly.forEach((array, i) => {
      assert.deepEqual([...array], [...before[i]]);
      assertGuards(array);
    });
  });

  test('wrong inputs are refused with a code, before any work', async () => {
    const backend = await open();
    for (const [what, code, call] of wrongCalls(backend)) {
      await assert.rejects(call, (error) => {
        assert.ok(error instanceof MonosemeError, `${what}: ${error}`);
        assert.equal(error.code, code, `${what}: ${error.message}`);
        assert.match(error.message, /^[^\n]+$/);
        return true;
      });
    }
  });
}

function decodeBf16(bits: Moments): Float32Array {
  return decodeFloats(new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength), 'BF16');
}

function copyOfUpdate(input: UpdateCase): UpdateCase {
  const { weights, firstMoments, secondMoments } = input;
  return {
    ...input,
    weights: unaligned(weights),
    firstMoments: unaligned(firstMoments),
    secondMoments: unaligned(secondMoments),
  };
}

/** More than the contract promises: no element of a result is summed by more than one thread. */
function sameBytesOnAnyThreads(instructionSet: string): void {
  test('1, 2 and 3 threads give the same bytes, and so does a second run', async () => {
    for (const shape of [
      { nRows: 300, dIn: 65, dSae: 150 },
      { nRows: 2, dIn: 600, dSae: 800 },
    ]) {
      const results: string[] = [];
      for (const threads of [1, 2, 2, 3]) {
        const backend = await selectBackend({ name: 'native', threads, instructionSet });
        results.push((await resultsOfAll(backend, 13, shape)).toString('hex'));
      }
      for (const result of results) assert.ok(result === results[0]);
    }
  });
}

function nativeFailures(): void {
  test('a panic becomes ERR_KERNEL, and the backend works on', async () => {
    const kernels = new (loadBinding().Kernels)(2);
    const failure = await kernels.panic('out of cheese').catch(nativeError);
    assert.equal(failure.code, 'ERR_KERNEL');
    assert.match(failure.message, /out of cheese/);
    assert.ok((await kernels.fmaFlopsPerSecond(1)) > 0);
  });

  test('the native side checks lengths itself', async () => {
    const kernels = new (loadBinding().Kernels)(1);
    const x = new Float32Array(2);
    const sizes = { nRows: 1000, dIn: 1000, dSae: 1000, dOut: 1000, width: 1000 };
    const codes = { ...sizes, rowPointers: new Uint32Array(1), latentIndices: new Uint32Array(9), values: x };
    const byLatent = {
      ...codes,
      latentPointers: codes.rowPointers,
      rowIndices: codes.rowPointers,
      pairIndices: codes.rowPointers,
    };
    const arrays = { codes, byLatent, x, W_enc: x, b_enc: x, W_dec: x, target: x, rows: x, points: x };
    const moments = { weights: x, firstMoments: x, secondMoments: x, coefficients: x };
    const adam = { learningRate: 0, beta1: 0, beta2: 0, epsilon: 0, step: 1 };
    const options = {
      selection: { kind: 'threshold' },
      constraint: 'none',
      adam,
      maxIterations: 1,
      tolerance: 0,
    };
    const input = {
      ...sizes,
      ...arrays,
      ...moments,
      ...options,
      scale: 1,
      offset: x,
      centered: new Float32Array(3),
    };
    for (const name of [
      'encode',
      'decode',
      'sampledProducts',
      'residuals',
      'updateRows',
      'squaredGradientNorm',
      'center',
      'geometricMedian',
    ] as const) {
      const error = nativeError(
        await kernels[name](input).then(
          () => assert.fail(name),
          (failure: unknown) => failure,
        ),
      );
      assert.equal(error.code, 'ERR_SHAPE', `${name}: ${error.message}`);
    }
    assert.equal(
      nativeError(await kernels.transpose(codes).catch((failure: unknown) => failure)).code,
      'ERR_SHAPE',
    );
  });

  test('what cannot be had is refused, not replaced', async () => {
    const refused = (code: ErrorCode) => (error: unknown) =>
      error instanceof MonosemeError && error.code === code;
    await assert.rejects(selectBackend({ name: 'native', instructionSet: 'mmx' }), refused('ERR_BACKEND'));
    for (const threads of [0, 1.5, 5000]) {
      await assert.rejects(selectBackend({ name: 'native', threads }), refused('ERR_OPTION'));
    }
  });
}
