import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Random } from '../random/index.ts';
import type { Document } from './document.ts';
import { packContexts, packIntoFile } from './pack-contexts.ts';
import { TextFileWriter } from './text-file.ts';
import { tokenPieces } from './token-text.ts';
import { Tokenizer } from './tokenizer.ts';

const tokenizer = Tokenizer.open(
  fileURLToPath(new URL('../../../../models/one-layer-a/tokenizer.json', import.meta.url)),
);
const folder = await mkdtemp(join(tmpdir(), 'monoseme-text-file-'));
after(() => rm(folder, { recursive: true }));

const N = 6_000_000;
const tokenAt = (place: number) => Math.imul(place, 2654435761) >>> 12;

function written(n = N, nDocuments = 3): ReturnType<TextFileWriter['finish']> {
  const writer = new TextFileWriter(folder);
  for (let start = 0; start < n; start += 5000)
    writer.add(Uint32Array.from({ length: Math.min(5000, n - start) }, (_, i) => tokenAt(start + i)));
  const length = Math.floor(n / nDocuments);
  for (let i = 0; i < nDocuments; i++)
    writer.addDocument({ id: `"é\n${i}`, source: 's', start: i * length, length });
  return writer.finish(n - (n % 64), 64);
}

test('tokens are read anywhere as they were written', () => {
  const text = written();
  const random = new Random(1);
  for (let i = 0; i < 20_000; i++) {
    const length = 1 + random.integer(i % 100 === 0 ? 9000 : 12);
    const from = random.integer(N - 9000);
    const found = text.tokens.subarray(from, from + length);
    assert.equal(found.length, length);
    for (const at of [0, length >> 1, length - 1]) assert.equal(found[at], tokenAt(from + at));
  }
  let place = 0;
  for (const ids of tokenPieces(text.tokens))
    for (const id of ids) if (id !== tokenAt(place++)) assert.fail(`token ${place - 1} is ${id}`);
  assert.equal(place, N - (N % 64));
  assert.equal(text.tokens.subarray(place - 3, place + 40).length, 3);
  text.close();
});

test('memory does not grow with the text, and the folder shows nothing of it', async () => {
  const before = await settledMemory();
  const text = written(4 * N, 200_000);
  let place = 0;
  for (let from = 0; from < 4 * N - 9; from += 501) place += text.tokens.subarray(from, from + 9)[0];
  assert.ok(place > 0);
  assert.deepEqual(await readdir(folder), []);
  const { arrayBuffers, heapUsed } = await settledMemory();
  // Of 96 MB of tokens the pages that are kept, of 200,000 documents none.
  assert.ok(arrayBuffers - before.arrayBuffers < 18 * 2 ** 20, `${arrayBuffers - before.arrayBuffers} bytes`);
  assert.ok(heapUsed - before.heapUsed < 4 * 2 ** 20, `${heapUsed - before.heapUsed} bytes of heap`);
  let n = 0;
  for (const { id, start } of text.documents) {
    if (id !== `"é\n${n}` || start !== n * Math.floor((4 * N) / 200_000)) assert.fail(`document ${n}: ${id}`);
    n++;
  }
  assert.equal(n, 200_000);
  text.close();
});

test('a text packed into a file is the one packed in memory', async () => {
  const texts = Array.from({ length: 90 }, (_, i): Document => {
    return { id: `d/${i}`, source: i % 2 ? 'odd' : 'even', text: `Text number ${i}. `.repeat(1 + (i % 5)) };
  });
  for (const packing of ['stream', 'documents'] as const) {
    const options = { contextSize: 16, split: 'all', seed: 3, packing } as const;
    const held = await packContexts(texts, tokenizer, options);
    const text = await packIntoFile(texts, tokenizer, options, folder);
    assert.deepEqual(text.tokens.subarray(0, text.tokens.length), held.tokens);
    assert.deepEqual([...text.documents], held.documents);
    assert.deepEqual([text.nContexts, text.contextSize], [held.nContexts, held.contextSize]);
    text.close();
  }
});

test('too little text leaves neither files nor a folder', async () => {
  const out = join(folder, 'not-made');
  const text = { id: 'd', source: 's', text: 'A few words.' };
  await assert.rejects(packIntoFile([text], tokenizer, { contextSize: 99, split: 'all' }, out), {
    code: 'ERR_EMPTY_TEXT',
  });
  assert.deepEqual(await readdir(folder), []);
});

/** Memory after collections, until they find no more: buffers are given back some time after one. */
async function settledMemory(): Promise<NodeJS.MemoryUsage> {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  for (let last = Infinity; ;) {
    gc();
    await setTimeout(100);
    const usage = process.memoryUsage();
    const { arrayBuffers, heapUsed } = usage;
    if (arrayBuffers + heapUsed > last - 2 ** 16) return usage;
    last = arrayBuffers + heapUsed;
  }
}
