import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MonosemeError } from '../errors.ts';
import { Random } from '../random/index.ts';
import {
  assertClose,
  assertGuards,
  assertSelected,
  codesCase,
  encodeCase,
  nestedCase,
  normals,
  resultsOfAll,
  selections,
  someLatents,
  sumBound,
  unaligned,
  wholeNumbers,
} from '../testing/kernel-cases.ts';
import { type KernelBackend, selectBackend } from './index.ts';
import { EVERY_BACKEND, shapes } from '../testing/every-backend.ts';
import { wrongCalls } from '../testing/wrong-kernel-calls.ts';
import { referenceBackend } from './reference/index.ts';

/*
 * The contract of the kernels, checked on the reference and on every instruction set of the native backend. On whole
 * numbers every sum is exact, so results must equal the reference's, ties included; on normal numbers they must agree
 * within the rounding of their sums.
 */

for (const { name, options, instructionSet, open } of EVERY_BACKEND) {
  describe(`kernels: ${name}`, options, () => {
    contract(open);
    if (instructionSet !== undefined) sameBytesOnAnyThreads(instructionSet);
  });
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

  test('nestedResiduals and product are exact on whole numbers', async () => {
    const backend = await open();
    const random = new Random(20);
    for (const { nRows, dIn: dOut, dSae } of shapes(random)) {
      const codes = codesCase(random, nRows, dSae, wholeNumbers);
      const W_dec = wholeNumbers(random, dSae * dOut);
      const b_dec = random.integer(2) === 0 ? wholeNumbers(random, dOut) : undefined;
      const target = wholeNumbers(random, nRows * dOut);
      const input = nestedCase(random, { codes, dOut, W_dec, b_dec, target }, wholeNumbers);
      const actual = await backend.nestedResiduals(input);
      assertGuards(input.residuals);
      const residuals = new Float32Array(input.residuals.length);
      const expected = await referenceBackend.nestedResiduals({ ...input, residuals });
      const where = JSON.stringify({ nRows, dOut, dSae, groups: input.weights.length });
      for (const key of ['residuals', 'squaredErrors', 'products'] as const) {
        assertClose(`${key} ${where}`, actual[key], expected[key], () => 0);
      }
      for (const isTransposed of [false, true]) {
        // [nRows, dSae] · [dSae, dOut]
        const a = wholeNumbers(random, nRows * dSae);
        const factors = { a, isTransposed, b: W_dec, nRows, inner: dSae, width: dOut };
        const product = await referenceBackend.product(factors);
        assertClose(`product ${where}`, await backend.product(factors), product, () => 0);
        const sum = wholeNumbers(random, nRows * dOut);
        const summed = await referenceBackend.product({ ...factors, sum: sum.slice() });
        assertClose(
          `sum ${where}`,
          summed,
          sum.map((value, i) => value + product[i]),
          () => 0,
        );
        assert.equal(await backend.product({ ...factors, sum }), sum);
        assertClose(`sum ${where}`, sum, summed, () => 0);
      }
    }
  });

  test('one group of weight 1 is what residuals gives, and a product is a chain in its order', async () => {
    const backend = await open();
    const random = new Random(21);
    const codes = codesCase(random, 40, 60, normals);
    const [W_dec, target] = [normals(random, 60 * 37), normals(random, 40 * 37)];
    const nested = await backend.nestedResiduals({
      codes,
      dOut: 37,
      W_dec,
      target,
      groups: new Uint8Array(codes.values.length),
      weights: Float32Array.of(1),
      residuals: new Float32Array(target.length),
    });
    const plain = await backend.residuals({ codes, dOut: 37, W_dec, target });
    const bound = sumBound(100, 200);
    for (const key of ['residuals', 'products'] as const)
      assertClose(key, nested[key], plain[key], () => bound);
    const a = normals(random, 700 * 3);
    const b = normals(random, 700 * 50);
    const transposed = new Float32Array(a.length).map((_, i) => a[(i % 3) * 700 + Math.floor(i / 3)]);
    const shape = { b, nRows: 3, inner: 700, width: 50 };
    const expected = await backend.product({ a, ...shape });
    assert.deepEqual(await backend.product({ a: transposed, isTransposed: true, ...shape }), expected);
  });

  test('nestedResiduals makes the same bytes however many groups it holds, turn by turn', async () => {
    const backend = await open();
    const random = new Random(23);
    for (const { nRows, dIn: dOut, dSae } of shapes(random)) {
      const codes = codesCase(random, nRows, dSae, normals);
      const W_dec = normals(random, dSae * dOut);
      const target = normals(random, nRows * dOut);
      const input = nestedCase(random, { codes, dOut, W_dec, target }, normals);
      const { residuals: all, ...whole } = await backend.nestedResiduals(input);
      const size = target.length;
      for (let nHeld = 1; nHeld <= input.weights.length; nHeld++) {
        const residuals = new Float32Array(nHeld * size);
        for (let end = input.weights.length; end > 0; end -= nHeld) {
          const isFirst = end === input.weights.length;
          const turn = await backend.nestedResiduals({ ...input, residuals, ...(!isFirst && { end }) });
          const { squaredErrors, products } = turn;
          if (isFirst) assert.deepEqual({ squaredErrors, products }, whole);
          else assert.equal(squaredErrors.length + products.length, 0);
          for (let group = Math.max(0, end - nHeld); group < end; group++) {
            const start = (group % nHeld) * size;
            assert.deepEqual(
              residuals.subarray(start, start + size),
              all.slice(group * size, (group + 1) * size),
              `group ${group} of ${input.weights.length}, ${nHeld} held`,
            );
          }
        }
        // Once more from the start, as after the turns in which the length of a gradient was found.
        await backend.nestedResiduals({ ...input, residuals, end: input.weights.length });
        const last = input.weights.length - 1;
        const start = (last % nHeld) * size;
        assert.deepEqual(residuals.subarray(start, start + size), all.slice(last * size));
      }
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

  test('center and columnSums do what they say', async () => {
    const backend = await open();
    const random = new Random(17);
    for (const { nRows, dIn: width } of shapes(random)) {
      const offset = normals(random, width);
      const drawn = normals(random, nRows * width);
      const results = [];
      for (const by of [backend, referenceBackend]) {
        const centered = unaligned(drawn);
        await by.center({ rows: centered, offset });
        assertGuards(centered);
        results.push({ centered, sums: await by.columnSums({ rows: drawn, width }) });
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

  test('residuals may take the place of the target', async () => {
    const backend = await open();
    const random = new Random(24);
    for (const { nRows, dIn: dOut, dSae } of shapes(random)) {
      const codes = codesCase(random, nRows, dSae, normals);
      const W_dec = normals(random, dSae * dOut);
      const target = unaligned(normals(random, nRows * dOut));
      const apart = await backend.residuals({ codes, dOut, W_dec, target });
      const inPlace = await backend.residuals({ codes, dOut, W_dec, target, residuals: target.subarray() });
      assert.deepEqual(inPlace, apart);
      assertGuards(target);
    }
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
