import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ended, startMonoseme } from '../testing/command-line.ts';

/** One shard of it is altered after a dictionary was trained on it. */
let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'monoseme-verify-'));
  await writeFile(join(root, 'text.txt'), 'the cat sat on a mat and 1 2 3\n'.repeat(16_000));
  const harvest = ['harvest', 'one-layer-a', '--text', 'text.txt', '--split', 'all', '--tokens', '140k'];
  await sound(...harvest, '--hook', 'blocks.0.mlp.hook_post', '--out', 'store');
  await sound(...TRAIN, '--out', 'dictionary');
  const { shards, rows } = await sound('verify', 'store');
  assert.deepEqual([shards, rows], [3, 139_776]);
  const shard = join(root, 'store/shard-00001.safetensors');
  const bytes = await readFile(shard);
  bytes[bytes.length - 1] ^= 1;
  await writeFile(shard, bytes);
});
after(() => rm(root, { recursive: true }));

const TRAIN = ['train', '--store', 'store', '--d-sae', '16', '--tokens', '120k', '--batch-rows', '1024'];
const monoseme = (...args: string[]) => ended(startMonoseme(args, { cwd: root }));
async function sound(...args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await monoseme(...args, '--json');
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as Record<string, unknown>;
}

for (const args of [
  ['verify', 'store'],
  [...TRAIN, '--out', 'out'],
  ['evaluate', 'dictionary', '--store', 'store', '--out', 'out'],
  ['index', 'dictionary', '--store', 'store', '--out', 'out'],
  ['steer', '--model', 'one-layer-a', '--hook', 'blocks.0.mlp.hook_post', '--prompt', 'a', '--mean', 'store'],
]) {
  test(`${args[0]} names the shard that was altered, and what to do`, async () => {
    const { code, stderr } = await monoseme(...args);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /^ERR_FORMAT: .*shard-00001.* its checksum differs\. Run the same harvest again/m);
    if (args[0] !== 'train')
      assert.ok(!existsSync(join(root, 'out/manifest.json')), 'nothing is left behind');
  });
}

test('train --salvage goes on without it', async () => {
  const { code, stderr } = await monoseme(...TRAIN, '--out', 'salvaged', '--salvage');
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^salvage +2 of 3 shards of store are whole, 74240 rows/m);
});
