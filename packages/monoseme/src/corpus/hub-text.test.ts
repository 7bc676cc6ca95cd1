import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { collect } from '../testing/collect.ts';
import { fixture } from '../testing/fixtures.ts';
import { HubServer } from '../testing/hub-server.ts';
import { readSources, type SourceOptions } from './read-sources.ts';

let server: HubServer;
let folder: string;
let hub: SourceOptions['hub'];
beforeEach(async () => {
  const jsonl = (...texts: string[]) => texts.map((text) => `${JSON.stringify({ text })}\n`).join('');
  server = new HubServer({
    'README.md': Buffer.from('about the data set'),
    'data/test-0.jsonl': Buffer.from(jsonl('held back')),
    'data/train-0.jsonl.gz': gzipSync(jsonl('first', 'second')),
    'data/train-1.jsonl': Buffer.from(jsonl('third')),
    'notes/a.txt': Buffer.from('a note'),
    'parquet/rows.parquet': await readFile(fixture('texts/zstd.parquet')),
  });
  folder = await mkdtemp(join(tmpdir(), 'monoseme-hub-text-'));
  hub = { endpoint: await server.start(), cacheFolder: folder, token: '', offline: false };
});
afterEach(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

const read = async (path: string, options: SourceOptions = {}) =>
  (await collect(readSources([`hf:datasets/lab/open${path}`], { hub, ...options }))).map(({ text }) => text);
const downloads = () => server.requests.filter(({ path }) => path.startsWith('cdn/')).length;

test('a folder, a file and a glob of a data set', async () => {
  assert.deepEqual(await read('/data'), ['held back', 'first', 'second', 'third']);
  assert.deepEqual(await read('/data/train-1.jsonl'), ['third']);
  assert.deepEqual(await read('/data/train-*'), ['first', 'second', 'third']);
  assert.deepEqual(await read('/notes'), ['a note']);
});

test('of a whole data set the records alone are read', async () => {
  const texts = await read('', { take: 4 });
  assert.deepEqual(texts.length, 4);
  await assert.rejects(read(''), { code: 'ERR_FORMAT', message: /rows\.parquet has no column "text"/ });
  assert.equal((await read('/parquet', { textField: 'body' })).length, 500);
});

test('a file is downloaded when its turn comes, and not twice', async () => {
  assert.deepEqual(await read('/data/train-*', { take: 1 }), ['first']);
  assert.equal(downloads(), 1);
  await read('/data/train-*');
  await read('/data/train-*');
  assert.equal(downloads(), 2);
});

test('what was downloaded is read without a connection', async () => {
  await read('/data');
  await server.stop();
  const offline = { hub: { ...hub, offline: true } };
  assert.deepEqual(await read('/data', offline), ['held back', 'first', 'second', 'third']);
  assert.deepEqual(await read('/data/train-*', offline), ['first', 'second', 'third']);
});

test('what is not there, gated or without text is a typed error', async () => {
  await assert.rejects(read('/nowhere'), { code: 'ERR_NOT_FOUND' });
  await assert.rejects(read('/data/*.xml'), { code: 'ERR_NOT_FOUND', message: /no text file/ });
  await assert.rejects(collect(readSources(['hf:datasets/lab/missing'], { hub })), { code: 'ERR_NOT_FOUND' });
  await assert.rejects(collect(readSources(['hf:datasets/lab/gated'], { hub })), { code: 'ERR_GATED' });
});
