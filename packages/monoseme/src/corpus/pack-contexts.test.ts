import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Document } from './document.ts';
import { isHeldOut } from './document.ts';
import { packContexts } from './pack-contexts.ts';
import { Tokenizer } from './tokenizer.ts';

const tokenizer = Tokenizer.open(
  fileURLToPath(new URL('../../../../models/one-layer-a/tokenizer.json', import.meta.url)),
);
const texts = Array.from({ length: 200 }, (_, i): Document => {
  return { id: `d/${i}`, source: i % 2 ? 'odd' : 'even', text: `Text number ${i}. `.repeat(1 + (i % 5)) };
});

test('documents follow each other after separators, and the rest is dropped', async () => {
  const documents = texts.slice(0, 3);
  const stream = documents.flatMap(({ text }) => [0, ...tokenizer.encode(text)]);
  const set = await packContexts(documents, tokenizer, { contextSize: 8, split: 'all' });
  assert.equal(set.nContexts, Math.floor(stream.length / 8));
  assert.deepEqual([...set.tokens], stream.slice(0, set.nContexts * 8));
});

test('spans tile the tokens, begin with the separator and decode to the documents', async () => {
  const set = await packContexts(texts, tokenizer, { contextSize: 16, split: 'all', seed: 3 });
  const byId = new Map(texts.map((document) => [document.id, document]));
  let end = 0;
  for (const [i, { id, source, start, length }] of set.documents.entries()) {
    assert.equal(start, end);
    end = start + length;
    assert.equal(set.tokens[start], 0);
    const text = tokenizer.decode(set.tokens.subarray(start + 1, end));
    assert.equal(byId.get(id)!.source, source);
    if (i < set.documents.length - 1) assert.equal(text, byId.get(id)!.text);
    else assert.ok(byId.get(id)!.text.startsWith(text));
  }
  assert.equal(end, set.tokens.length);
});

test('train and held-out documents are apart and together are all', async () => {
  const idsOf = async (split: 'train' | 'heldOut' | 'all') =>
    (await packContexts(texts, tokenizer, { contextSize: 1, split })).documents.map(({ id }) => id);
  const train = await idsOf('train');
  const heldOut = await idsOf('heldOut');
  assert.ok(heldOut.length > 0 && heldOut.every(isHeldOut) && !train.some(isHeldOut));
  assert.deepEqual((await idsOf('all')).sort(), texts.map(({ id }) => id).sort());
  assert.equal(train.length + heldOut.length, texts.length);
});

test('the seed draws the order; the same seed gives the same tokens', async () => {
  const pack = (seed?: number) => packContexts(texts, tokenizer, { contextSize: 16, split: 'all', seed });
  assert.deepEqual(await pack(1), await pack(1));
  assert.notDeepEqual((await pack(1)).documents, (await pack(2)).documents);
  assert.equal((await pack()).documents[0].id, 'd/0');
});

test('maxTokens stops early, at whole contexts', async () => {
  const set = await packContexts(texts, tokenizer, { contextSize: 16, split: 'all', maxTokens: 100 });
  assert.equal(set.tokens.length, 96);
  assert.equal(
    set.documents.reduce((sum, { length }) => sum + length, 0),
    96,
  );
});

test('too little text, a bad option and an abort are typed errors', async () => {
  const pack = (documents: Document[], options: object) =>
    packContexts(documents, tokenizer, { contextSize: 16, split: 'all', ...options });
  await assert.rejects(pack([], {}), { code: 'ERR_EMPTY_TEXT' });
  await assert.rejects(pack([{ id: 'x', source: 's', text: 'short' }], {}), { code: 'ERR_EMPTY_TEXT' });
  await assert.rejects(pack(texts, { maxTokens: 15 }), { code: 'ERR_EMPTY_TEXT' });
  await assert.rejects(pack(texts, { contextSize: 0 }), { code: 'ERR_OPTION' });
  await assert.rejects(pack(texts, { signal: AbortSignal.abort() }), { code: 'ERR_INTERRUPTED' });
});
