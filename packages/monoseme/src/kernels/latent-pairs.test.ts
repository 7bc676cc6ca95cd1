import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Random } from '../random/index.ts';
import { EVERY_BACKEND, shapes } from '../testing/every-backend.ts';
import { assertClose, coActivationCase, normals, pairSumsCase } from '../testing/kernel-cases.ts';
import { codesOfRows } from '../testing/sparse-rows.ts';
import type { KernelBackend } from './index.ts';
import { referenceBackend } from './reference/index.ts';

/* The contract of what is counted and summed over pairs of latents, on the reference and on every instruction set. */

for (const { name, options, open } of EVERY_BACKEND)
  describe(`kernels, pairs of latents: ${name}`, options, () => contract(open));

function contract(open: () => Promise<KernelBackend>): void {
  test('addPairSums has the bits of the reference, and leaves the pairs that never stand together', async () => {
    const backend = await open();
    const random = new Random(19);
    for (const shape of shapes(random)) {
      const input = pairSumsCase(random, shape, normals);
      const expected = { ...input, sums: input.sums.slice() };
      await referenceBackend.addPairSums(expected);
      await backend.addPairSums(input);
      assertClose(JSON.stringify({ ...shape, width: input.width }), input.sums, expected.sums, () => 0);
    }
  });

  test('addPairSums is the definition', async () => {
    const backend = await open();
    const [a, b] = [
      [
        [2, 0],
        [0, 3],
        [-1, 4],
      ],
      [
        [5, 0, 1],
        [0, 2, 7],
        [3, 0, 0],
      ],
    ].map((rows) => codesOfRows(rows, rows[0].length));
    const sums = new Float64Array(2 * 3 * 4);
    await backend.addPairSums({ a, b, width: 4, sums });
    // Of a 0: with b 0 on rows 0 and 2, with b 2 on row 0. Of a 1: with b 0 on row 2, with b 1 and b 2 on row 1.
    const [none, expected] = [
      [0, 0, 0, 0],
      [7, 2, 34, 5],
    ];
    assert.deepEqual([...sums.subarray(0, 12)], [...expected, ...none, 2, 1, 1, 4]);
    assert.deepEqual([...sums.subarray(12)], [12, 1, 9, 16, 6, 1, 4, 9, 21, 1, 49, 9]);
  });

  test('coActivations finds what the reference finds', async () => {
    const backend = await open();
    const random = new Random(20);
    for (const shape of shapes(random)) {
      const input = coActivationCase(random, shape);
      const expected = await referenceBackend.coActivations(input);
      assert.deepEqual(await backend.coActivations(input), expected, JSON.stringify(shape));
    }
  });

  test('coActivations is the definition', async () => {
    const backend = await open();
    // Two contexts of four tokens, and what fires on each.
    const tokens = [[0, 3], [1], [0, 2, 3], [1], [0], [1], [3], [0, 3]];
    const ends = Uint32Array.from([0, ...tokens.map((_, i) => tokens.slice(0, i + 1).flat().length)]);
    const text = { ends, latents: Uint16Array.from(tokens.flat()), contextSize: 4 };
    const nFired = Uint32Array.of(4, 3, 1, 4);
    const found = await backend.coActivations({ ...text, nFired, first: 0, end: 4, most: 2, fewest: 1 });
    // Beside 0: 1 a token later at three of four firings, ¾ ln(¾ · 8/3); 3 at the same token, ¾ ln(¾ · 8/4).
    // Beside 2: 1 a token before and one later, ln(8/3), of which the earlier counts; 0 and 3 two before and here, ln 2.
    const of = (latent: number) =>
      [0, 1].map((place) => {
        const i = found.pointers[latent] + place;
        return [found.others[i], found.lags[i], found.counts[i]].join(' ');
      });
    assert.deepEqual([0, 1, 2, 3].map(of), [
      ['1 1 3', '3 0 3'],
      ['0 -1 3', '2 -1 1'],
      ['1 -1 1', '0 -2 1'],
      ['0 0 3', '2 0 1'],
    ]);
    assert.deepEqual([...found.pointers], [0, 2, 4, 6, 8]);
  });
}
