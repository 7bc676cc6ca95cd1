import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ActivationStore } from '../activations/index.ts';
import { ModelRunner, OnnxModel } from '../model/index.ts';
import { fixture, randomTokens } from '../testing/fixtures.ts';

const BIN = fileURLToPath(new URL('../../bin/monoseme.js', import.meta.url));

test('verify counts the shards, and names the first that was altered', async () => {
  const root = await mkdtemp(join(tmpdir(), 'monoseme-verify-'));
  const folder = join(root, 'store');
  const model = await OnnxModel.open(fixture('models/one-layer'));
  const runner = await ModelRunner.start(model, { hook: 'blocks.0.mlp.hook_post', threads: 1 });
  const sizes = { contextsPerChunk: 2, rowsPerShard: 24 };
  await ActivationStore.write(folder, runner, randomTokens(5, 12), sizes);
  await runner.close();
  const verify = () => spawnSync(process.execPath, [BIN, 'verify', folder, '--json'], { encoding: 'utf8' });
  const sound = verify();
  assert.equal(sound.status, 0, sound.stderr);
  const { shards, rows } = JSON.parse(sound.stdout) as Record<string, unknown>;
  assert.deepEqual([shards, rows], [3, 60]);
  const shard = join(folder, 'shard-00001.safetensors');
  const bytes = await readFile(shard);
  bytes[bytes.length - 1] ^= 1;
  await writeFile(shard, bytes);
  const altered = verify();
  assert.equal(altered.status, 1);
  assert.match(altered.stderr, /^ERR_FORMAT: .*shard-00001.* its checksum differs/m);
  await rm(root, { recursive: true });
});
