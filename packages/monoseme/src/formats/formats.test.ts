import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MonosemeError } from '../errors.ts';
import { atomicWrite, parseJson, readJson, readManifest, sha256, sha256File } from './index.ts';
import { writeJson, writeManifest } from './index.ts';

const folder = await mkdtemp(join(tmpdir(), 'monoseme-formats-'));
after(() => rm(folder, { recursive: true }));

const parse = (text: string): unknown => parseJson(new TextEncoder().encode(text), 'the text');

test('a failed write leaves the old file and no partial one', async () => {
  const path = join(folder, 'atomic', 'a.bin');
  await atomicWrite(path, 'old');
  const failure = new MonosemeError('ERR_NOT_FINITE', 'no', '');
  const write = atomicWrite(path, async (file) => {
    await file.write('new and half');
    throw failure;
  });
  await assert.rejects(write, failure);
  assert.equal(await readFile(path, 'utf8'), 'old');
  assert.deepEqual(await readdir(join(folder, 'atomic')), ['a.bin']);
});

test('a full disk is said so, and nothing is left', { skip: await noFullDevice() }, async () => {
  // Errors of the device come as errors of the system: /dev/full gives ENOSPC on every write.
  const full = await import('node:fs/promises').then(({ open }) => open('/dev/full', 'w'));
  const path = join(folder, 'full', 'a.bin');
  const write = atomicWrite(path, async () => {
    await full.write(new Uint8Array(10));
  });
  await assert.rejects(write, { code: 'ERR_DISK_FULL' });
  await full.close();
  assert.deepEqual(await readdir(join(folder, 'full')), []);
});

async function noFullDevice(): Promise<string | false> {
  const { access } = await import('node:fs/promises');
  return access('/dev/full').then(
    () => false,
    () => 'this system has no /dev/full',
  );
}

test('JSON from outside: what is valid passes', async () => {
  assert.deepEqual(parse('{"a": [1, {"b": "x\\"{[", "c\\u0061": null}], "d": {"a": 1}}'), {
    a: [1, { b: 'x"{[', ca: null }],
    d: { a: 1 },
  });
  assert.deepEqual(parse('[["a", "a"], {"k": "k"}]'), [['a', 'a'], { k: 'k' }]);
  await writeJson(join(folder, 'x.json'), { a: 1 });
  assert.equal(await readFile(join(folder, 'x.json'), 'utf8'), '{\n  "a": 1\n}\n');
  assert.deepEqual(await readJson(join(folder, 'x.json')), { a: 1 });
});

test('JSON from outside: what is not valid is an error of the format', () => {
  const bad = [
    '',
    '{',
    '{"a": 1,}',
    '"open',
    '{"a\\',
    '{"a": 1, "a": 2}',
    '{"a": 1, "\\u0061": 2}',
    `${'['.repeat(65)}${']'.repeat(65)}`,
  ];
  for (const text of bad) assert.throws(() => parse(text), { code: 'ERR_FORMAT' }, text.slice(0, 20));
  assert.throws(() => parseJson(Uint8Array.of(0x22, 0xff, 0x22), 'x'), {
    code: 'ERR_FORMAT',
    message: /UTF-8/,
  });
  assert.doesNotThrow(() => parse(`${'['.repeat(64)}${']'.repeat(64)}`));
});

test('a file that is too large is not read, one that is missing is said so', async () => {
  await writeFile(join(folder, 'large.json'), '[1, 2, 3]');
  await assert.rejects(readJson(join(folder, 'large.json'), 8), { code: 'ERR_LIMIT', message: /9 bytes/ });
  await assert.rejects(readJson(join(folder, 'none.json')), { code: 'ERR_NOT_FOUND' });
  await assert.rejects(readJson(folder), { code: 'ERR_FILE' });
});

test('a manifest comes back as it was, with the toolkit as its maker', async () => {
  const path = join(folder, 'artifact');
  const manifest = { kind: 'thing', madeFrom: { model: 'abc' }, seed: 3, backend: 'b', details: { d_in: 4 } };
  await writeManifest(path, manifest);
  const { versions, ...rest } = await readManifest(path, 'thing');
  assert.deepEqual(rest, manifest);
  assert.match(versions.monoseme, /^\d+\.\d+\.\d+/);
  await assert.rejects(readManifest(path, 'other'), { code: 'ERR_MISMATCH', message: /holds a thing/ });
});

test('what is no manifest, or one of the future, is refused', async () => {
  const refused = async (json: unknown, code: string) => {
    await writeJson(join(folder, 'bad', 'manifest.json'), json);
    await assert.rejects(readManifest(join(folder, 'bad')), { code });
  };
  const good = { schema_version: 1, kind: 'a', made_from: {} };
  await writeJson(join(folder, 'bad', 'manifest.json'), good);
  await readManifest(join(folder, 'bad'));
  for (const json of [null, [], 3, {}, { ...good, kind: 1 }, { ...good, made_from: { a: 1 } }])
    await refused(json, 'ERR_FORMAT');
  await refused({ ...good, seed: 0.5 }, 'ERR_FORMAT');
  await refused({ ...good, schema_version: 2 }, 'ERR_MISMATCH');
});

test('hashes of bytes and of files agree', async () => {
  await writeFile(join(folder, 'abc'), 'abc');
  const known = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  assert.equal(sha256('a', new TextEncoder().encode('bc')), known);
  assert.equal(await sha256File(join(folder, 'abc')), known);
  await assert.rejects(sha256File(join(folder, 'none')), { code: 'ERR_NOT_FOUND' });
});
