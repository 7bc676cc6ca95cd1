import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { collect } from '../testing/collect.ts';
import type { Document } from './document.ts';
import { isHeldOut } from './document.ts';
import { packContexts } from './pack-contexts.ts';
import { shuffleDocuments } from './shuffle-documents.ts';
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

test('documents from a stream are read no further than needed', async () => {
  let read = 0;
  async function* stream() {
    for (const document of texts) {
      read++;
      yield document;
    }
  }
  const options = { contextSize: 16, split: 'all', maxTokens: 100 } as const;
  assert.deepEqual(
    await packContexts(stream(), tokenizer, options),
    await packContexts(texts, tokenizer, options),
  );
  assert.ok(read > 5 && read < 30, `${read} documents read`);
});

test('one document a context: no context holds two, and what is left of a document is dropped', async () => {
  const set = await packContexts(texts, tokenizer, { contextSize: 16, split: 'all', packing: 'documents' });
  let place = 0;
  for (const { text, id } of texts) {
    const ids = [0, ...tokenizer.encode(text)];
    const kept = ids.slice(0, ids.length - (ids.length % 16));
    assert.deepEqual([...set.tokens.subarray(place, place + kept.length)], kept);
    const span = set.documents.find((document) => document.id === id);
    assert.deepEqual(span && [span.start, span.length], kept.length ? [place, kept.length] : undefined);
    place += kept.length;
  }
  assert.equal(place, set.tokens.length);
  assert.ok(place > 0);
});

test('tokens that begin documents and contexts and end documents', async () => {
  const documents = texts.slice(0, 3);
  const texts_ = documents.map(({ text }) => [...tokenizer.encode(text)]);
  const pack = (options: object) =>
    packContexts(documents, tokenizer, { contextSize: 4, split: 'all', ...options });
  const none = await pack({ beginDocument: null });
  assert.deepEqual([...none.tokens], texts_.flat().slice(0, none.tokens.length));
  const ends = await pack({ beginDocument: null, endDocument: 7 });
  assert.deepEqual([...ends.tokens], texts_.flatMap((ids) => [...ids, 7]).slice(0, ends.tokens.length));
  const begins = await pack({ beginContext: 5 });
  const stream = texts_.flatMap((ids) => [0, ...ids]);
  for (let context = 0; context < begins.nContexts; context++) {
    const row = [...begins.tokens.subarray(4 * context, 4 * context + 4)];
    assert.deepEqual(row, [5, ...stream.slice(3 * context, 3 * context + 3)]);
  }
  // The separator serves as the first token of a context when it stands there anyway.
  const both = await pack({ beginContext: 0 });
  assert.deepEqual([...both.tokens.subarray(0, 4)], stream.slice(0, 4));
  assert.equal(both.tokens[4], 0);
  await assert.rejects(pack({ contextSize: 1, beginContext: 0 }), { code: 'ERR_OPTION' });
});

test('a corpus larger than the buffer is shuffled within it: all documents once, moved about', async () => {
  const shuffled = await collect(shuffleDocuments(texts, 1, 3000));
  assert.deepEqual(shuffled.map(({ id }) => id).sort(), texts.map(({ id }) => id).sort());
  assert.deepEqual(shuffled, await collect(shuffleDocuments(texts, 1, 3000)));
  assert.notDeepEqual(shuffled, await collect(shuffleDocuments(texts, 2, 3000)));
  const early = shuffled.slice(0, 20).map(({ id }) => Number(id.slice(2)));
  assert.ok(Math.max(...early) < 150, 'a late document before the buffer reached it');
  assert.notDeepEqual(
    early,
    [...early].sort((a, b) => a - b),
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
