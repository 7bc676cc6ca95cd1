import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { MonosemeError } from '../errors.ts';
import { exportJsonl, openFeatureIndex } from '../features/index.ts';
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
