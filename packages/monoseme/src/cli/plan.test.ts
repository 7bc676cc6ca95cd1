import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fixture } from '../testing/fixtures.ts';

const BIN = fileURLToPath(new URL('../../bin/monoseme.js', import.meta.url));

test('plan adds up what it measured, and leaves nothing behind', async () => {
  const args = ['plan', fixture('models/one-layer'), '--hook', 'blocks.0.mlp.hook_post', '--tokens', '1M'];
  const options = ['--d-sae', '32', '--batch-rows', '64', '--dtype', 'int8', '--json'];
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...args, ...options], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  const {
    rates,
    stored,
    streaming,
    d_in: dIn,
  } = JSON.parse(stdout) as Record<string, Record<string, number>>;
  assert.equal(dIn, 24);
  assert.equal(stored.disk_bytes, 1e6 * (24 + 4 + 12));
  const harvest = 1e6 / rates.model + stored.disk_bytes / rates.disk_bytes;
  assert.ok(Math.abs(stored.harvest_seconds / harvest - 1) < 1e-9);
  assert.ok(Math.abs(streaming.train_seconds - (1e6 / rates.model + 1e6 / rates.training)) < 1e-6);
  assert.equal(streaming.disk_bytes, 0);
  assert.ok(stored.memory_bytes > 2 ** 26 && rates.training > 0 && rates.model > 0);
  assert.deepEqual(
    (await readdir('.')).filter((name) => name.startsWith('monoseme-plan')),
    [],
  );
});
