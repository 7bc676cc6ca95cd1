import assert from 'node:assert/strict';
import { test } from 'node:test';
import { skipReason } from '../testing/every-backend.ts';
import type { Codes, Residuals } from './index.ts';
import { withPassingResults } from './passing-results.ts';
import { selectBackend } from './select-backend.ts';

const OPTIONS = { skip: skipReason('portable') };
const W = Float32Array.of(1, 0, 0, 1);
const encode = {
  x: Float32Array.of(3, 1),
  nRows: 1,
  dIn: 2,
  dSae: 2,
  W_enc: W,
  b_enc: new Float32Array(2),
  selection: { kind: 'threshold' },
} as const;

test('results are given back when the work is done, arrays of the caller are not', OPTIONS, async () => {
  const backend = await selectBackend({ name: 'native', threads: 1 });
  const given = new Float32Array(2);
  const results: [Codes, Residuals][] = [];
  const sum = await withPassingResults(backend, async (passing) => {
    const codes = await passing.encode(encode);
    const input = { codes, dOut: 2, W_dec: W, target: encode.x, residuals: given };
    results.push([codes, await passing.residuals(input)]);
    return codes.values[0] + codes.values[1];
  });
  assert.equal(sum, 4);
  const [[codes, { residuals, products, squaredErrors }]] = results;
  for (const array of [codes.rowPointers, codes.latentIndices, codes.values, products, squaredErrors])
    assert.equal(array.length, 0);
  assert.equal(residuals, given);
  assert.equal(given.length, 2);
  assert.deepEqual([encode.x.length, W.length], [2, 4]);
});

test('after an error results stay: calls that are still running may read them', OPTIONS, async () => {
  const backend = await selectBackend({ name: 'native', threads: 1 });
  const results: Codes[] = [];
  const failing = withPassingResults(backend, async (passing) => {
    results.push(await passing.encode(encode));
    throw new Error('out of cheese');
  });
  await assert.rejects(failing, /out of cheese/);
  assert.deepEqual([...results[0].values], [3, 1]);
});

test('arrays may be given back twice, and empty ones', OPTIONS, async () => {
  const backend = await selectBackend({ name: 'native', threads: 1 });
  const array = new Float32Array(3);
  backend.release([array, array.subarray(1), new Float32Array(0)]);
  backend.release([array]);
  assert.equal(array.length, 0);
});
