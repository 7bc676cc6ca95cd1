import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { MonosemeError } from '../errors.ts';
import { openCollection } from '../collection/index.ts';
import { exportJsonl, openFeatureIndex } from '../features/index.ts';
import { selectBackend } from '../kernels/index.ts';
import { buildSmallCollection } from '../testing/small-collection.ts';
import { buildSmallIndex, SMALL_D_SAE, SMALL_LATENTS } from '../testing/small-index.ts';
import { exportSite } from './index.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monoseme-export-'));
  await buildSmallIndex(join(folder, 'index'));
  await mkdir(join(folder, 'page/assets'), { recursive: true });
  await writeFile(join(folder, 'page/index.html'), 'page');
  await writeFile(join(folder, 'page/assets/a.js'), 'script');
});
after(() => rm(folder, { recursive: true, force: true }));

test('a site holds the page and a whole index, and nothing is overwritten', async () => {
  const out = join(folder, 'deep/site');
  await exportSite(join(folder, 'index'), out, join(folder, 'page'));
  assert.equal(await readFile(join(out, 'assets/a.js'), 'utf8'), 'script');
  await (await openFeatureIndex(join(out, 'index'))).verify();
  assert.deepEqual(await readdir(join(folder, 'deep')), ['site']);
  const codeOf = (promise: Promise<unknown>) =>
    promise.then(
      () => undefined,
      (error: MonosemeError) => error.code,
    );
  assert.equal(await codeOf(exportSite(join(folder, 'index'), out, join(folder, 'page'))), 'ERR_EXISTS');
  assert.equal(await codeOf(exportSite(join(folder, 'index'), join(folder, 'x'), folder)), 'ERR_NOT_FOUND');
  assert.equal(await codeOf(exportSite(folder, join(folder, 'x'), join(folder, 'page'))), 'ERR_NOT_FOUND');
});

test('a collection is one site: its manifest, its indexes by name, and the matches', async () => {
  const runs = join(folder, 'runs');
  await buildSmallCollection(runs);
  const collection = await openCollection([runs], await selectBackend({ name: 'reference' }));
  const out = join(folder, 'many');
  await exportSite(collection, out, join(folder, 'page'));
  const manifest = JSON.parse(await readFile(join(out, 'index/manifest.json'), 'utf8'));
  assert.deepEqual(manifest, JSON.parse(JSON.stringify(collection.manifest)));
  for (const { name } of manifest.details.members)
    await (await openFeatureIndex(join(out, 'index', name))).verify();
  assert.equal((await readdir(join(out, 'index/matches'))).length, manifest.details.matches.length);
  assert.deepEqual(
    await readFile(join(out, 'index/matches/coarse--fine.bin')),
    Buffer.from(await collection.matches('coarse--fine.bin')),
  );
  await exportSite(collection, join(folder, 'many.zip'), join(folder, 'page'));
});

test('JSON lines: a feature each, with the texts of its examples', async () => {
  const index = await openFeatureIndex(join(folder, 'index'));
  const path = join(folder, 'features.jsonl');
  await exportJsonl(index, path);
  const lines = (await readFile(path, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(lines.length, SMALL_D_SAE);
  const cat = lines[SMALL_LATENTS.cat];
  assert.equal(cat.latent_index, SMALL_LATENTS.cat);
  for (const { tokens, strings, token_index, first_token_index } of cat.examples) {
    assert.equal(strings[token_index - first_token_index], ' cat');
    assert.equal(strings.length, tokens.length);
  }
  const aborted = AbortSignal.abort();
  await assert.rejects(exportJsonl(index, join(folder, 'no.jsonl'), { signal: aborted }), {
    code: 'ERR_INTERRUPTED',
  });
  assert.ok(!(await readdir(folder)).some((name) => name.startsWith('no.jsonl')));
});
