/**
 * pandas, polars and DuckDB read every table of an index, and find in it what the toolkit finds. Run by
 * `npm run test:peers`, which installs them and says where they are; without it the test says why it is skipped.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fixture } from '../testing/fixtures.ts';
import { buildSmallIndex, SMALL_D_SAE, smallToken } from '../testing/small-index.ts';
import { openFeatureIndex } from './index.ts';

const PEERS = JSON.parse(process.env['MONOSEME_PEERS'] ?? '{}') as Record<
  string,
  { python?: string; why?: string }
>;
const { python, why = 'npm run test:peers runs it' } = PEERS['tables'] ?? {};

test('pandas, polars and DuckDB read an index', { skip: python === undefined && why }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'monoseme-tables-'));
  try {
    await buildSmallIndex(folder);
    const index = await openFeatureIndex(folder);
    const token = smallToken(' cat');
    const args = [fixture('read-index.py'), folder, String(token)];
    const { status, stdout, stderr } = spawnSync(python as string, args, { encoding: 'utf8' });
    assert.equal(status, 0, stderr.slice(-2000));
    const read = JSON.parse(stdout) as Record<string, unknown>;

    const tables = index.details.files.filter(({ path }) => path.endsWith('.parquet'));
    assert.ok(tables.length >= 7);
    assert.deepEqual(read['rows'], Object.fromEntries(tables.map(({ path, rows }) => [path, rows])));
    const features = await index.features();
    assert.deepEqual(
      read['n_fired'],
      features.map(({ n_fired }) => n_fired),
    );
    assert.deepEqual(
      read['skewness'],
      features.map(({ skewness }) => skewness),
    );
    const strongest = [];
    for (const { latent_index, mean_activation } of (await index.latentsOf(token)).slice(0, 10)) {
      const [top] = await index.examplesOf(latent_index);
      strongest.push([latent_index, mean_activation, top.token_index]);
    }
    assert.deepEqual(read['strongest'], strongest);
    const histograms = [];
    for (let latent = 0; latent < SMALL_D_SAE; latent++)
      histograms.push((await index.detailsOf(latent)).histogram);
    assert.deepEqual(read['histograms'], histograms);
    assert.deepEqual(read['tokens'], Array.from(await index.tokens(0, 64)));
  } finally {
    await rm(folder, { recursive: true });
  }
});
