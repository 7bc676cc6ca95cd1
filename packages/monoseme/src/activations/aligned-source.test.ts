import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alignedSource } from './aligned-source.ts';
import type { ActivationSource } from './source.ts';

/** Three chunks of four rows; number i of row r of hook point h is 100 h + 10 r + i. */
function hookPoint(h: number, width: number, changes: Partial<ActivationSource> = {}): ActivationSource {
  return {
    ...{ dIn: width, contextSize: 2, nChunks: 3, description: `hook ${h}`, hash: `${h}` },
    chunkRows: () => 4,
    readChunk: async (chunk) =>
      Float32Array.from({ length: 4 * width }, (_, at) => {
        const row = 4 * chunk + Math.floor(at / width);
        return 100 * h + 10 * row + (at % width);
      }),
    readOrigins: async (chunk) => ({
      tokenIds: Uint32Array.from({ length: 4 }, (_, row) => 4 * chunk + row),
    }),
    ...changes,
  };
}

test('rows of several hook points stand side by side, of the same token', async () => {
  const source = await alignedSource([hookPoint(1, 2), hookPoint(2, 1), hookPoint(3, 2)]);
  assert.equal(source.dIn, 5);
  assert.deepEqual(source.widths, [2, 1, 2]);
  const rows = await source.readChunk(1);
  assert.equal(rows.length, 20);
  assert.deepEqual([...rows.subarray(5, 10)], [150, 151, 250, 350, 351]);
  const other = await alignedSource([hookPoint(1, 2), hookPoint(3, 2)]);
  assert.notEqual(source.hash, other.hash);
  assert.equal(source.modelHash, undefined);
  const [first, second] = ['a', 'b'].map((modelHash, i) => hookPoint(i + 1, 2, { modelHash }));
  assert.equal((await alignedSource([first, second])).modelHash, 'a');
});

test('hook points of other contexts or other tokens are refused, naming both', async () => {
  const refused = { code: 'ERR_MISMATCH', message: /hook 1 and hook 2/ };
  const shorter = hookPoint(2, 2, { nChunks: 2 });
  await assert.rejects(alignedSource([hookPoint(1, 2), shorter]), refused);
  const otherText = hookPoint(2, 2, { readOrigins: async () => ({ tokenIds: Uint32Array.of(9, 9, 9, 9) }) });
  await assert.rejects(alignedSource([hookPoint(1, 2), otherText]), refused);
});

test('rows that differ in the middle are refused when they come, naming the chunk', async () => {
  const chunk = (values: number[]) => async () => ({
    activations: new Float32Array(values.length),
    origins: { tokenIds: Uint32Array.from(values) },
  });
  const a = hookPoint(1, 1, { readRows: chunk([1, 2, 3, 5]) });
  const refused = { code: 'ERR_MISMATCH', message: /hook 1 and hook 2 hold rows of other tokens in chunk 1/ };
  for (const values of [
    [1, 2, 4, 5],
    [1, 2, 3],
  ]) {
    const b = hookPoint(2, 1, { readRows: chunk(values) });
    const source = await alignedSource([a, b]);
    await assert.rejects(source.readChunk(1), refused);
  }
});
