import assert from 'node:assert/strict';
import { Transform } from 'node:stream';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { PackedLines } from './packed-lines.ts';

const rows = Array.from({ length: 3000 }, (_, i) => ({ i, text: `row ${i} — ü` }));

test('lines that are added piece by piece are one packed file', async () => {
  const lines = new PackedLines();
  for (let start = 0; start < rows.length; start += 700) await lines.add(rows.slice(start, start + 700));
  await lines.add([]);
  assert.equal(lines.count, rows.length);
  const text = gunzipSync(await lines.end()).toString();
  const read = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as object);
  assert.deepEqual(read, rows);
});

for (const [when, atOnce] of [
  ['is met by whoever adds the next lines', true],
  ['is met by whoever asks for the file', false],
] as const)
  test(`packing that fails ${when}`, async () => {
    const failing = new Transform({
      transform: (_bytes, _encoding, done) => setImmediate(() => done(new Error('no memory'))),
    });
    const lines = new PackedLines(failing);
    await lines.add(rows);
    await assert.rejects(async () => {
      if (atOnce) for (let i = 0; i < 3; i++) await lines.add(rows);
      else await lines.end();
    }, /no memory/);
  });
