import assert from 'node:assert/strict';
import { copyFile, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ModelRunner, OnnxModel } from '../model/index.ts';
import { fixture, randomTokens } from '../testing/fixtures.ts';
import { ActivationStore, importStore } from './index.ts';

const root = await mkdtemp(join(tmpdir(), 'monoseme-sums-'));
const HOOK = 'blocks.0.mlp.hook_post';
const ALTERED = { code: 'ERR_FORMAT', message: /shard-00001.*checksum differs.*harvest again.*--salvage/ };
/** 10 contexts of 12 tokens, 24 numbers each: chunks of 2, shards of 4, so the last shard is half as long. */
const SIZES = { contextsPerChunk: 2, rowsPerShard: 4 * 12 };
const CHUNK_ROWS = 24;

let runner: ModelRunner;
before(async () => {
  runner = await ModelRunner.start(await OnnxModel.open(fixture('models/one-layer')), {
    hook: HOOK,
    threads: 1,
  });
});
after(async () => {
  await runner.close();
  await rm(root, { recursive: true });
});

/** Flip one bit of a tensor of a safetensors file, at its byte `byte`, counted from its end where that is negative. */
async function flip(path: string, tensor: string, byte: number): Promise<void> {
  const bytes = await readFile(path);
  const start = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<string, { data_offsets: number[] }>;
  const [from, to] = header[tensor].data_offsets;
  const at = start + (byte < 0 ? to : from) + byte;
  const file = await open(path, 'r+');
  await file.write(Uint8Array.of(bytes[at] ^ 4), 0, 1, at);
  await file.close();
}

/** Chunks that cannot be read any more. */
async function unreadable(
  store: ActivationStore,
  read: (chunk: number) => Promise<unknown> = (chunk) => store.readRows(chunk),
) {
  const chunks: number[] = [];
  for (let chunk = 0; chunk < store.nChunks; chunk++) {
    const error = await read(chunk).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (error === undefined) continue;
    await assert.rejects(Promise.reject(error as Error), ALTERED);
    chunks.push(chunk);
  }
  return chunks;
}

describe('a bit that flipped is noticed by whoever reads it', () => {
  for (const dtype of ['F16', 'BF16', 'F32', 'I8'] as const) {
    test(dtype, async () => {
      const folder = join(root, dtype);
      await ActivationStore.write(folder, runner, randomTokens(10, 12), { dtype, ...SIZES });
      const store = await ActivationStore.open(folder);
      const shard = join(folder, 'shard-00001.safetensors');
      await copyFile(shard, `${shard}.sound`);
      const tensors = ['activations', 'token_ids', 'positions', 'documents'];
      if (dtype === 'I8') tensors.push('scales');
      for (const tensor of tensors) {
        const isOrigin = ['token_ids', 'positions', 'documents'].includes(tensor);
        for (const [byte, chunk] of [
          [0, 2],
          [CHUNK_ROWS - 1, 2],
          [-1, 3],
        ]) {
          await flip(shard, tensor, byte);
          assert.deepEqual(await unreadable(store), [chunk], `${tensor}, byte ${byte}`);
          const ofOrigins = await unreadable(store, (i) => store.readOrigins(i));
          assert.deepEqual(ofOrigins, isOrigin ? [chunk] : []);
          await copyFile(`${shard}.sound`, shard);
        }
      }
      assert.deepEqual(await unreadable(store), []);
    });
  }

  test('in a store without sums of chunks the whole shard is compared', async () => {
    const folder = join(root, 'older');
    await ActivationStore.write(folder, runner, randomTokens(10, 12), SIZES);
    const path = join(folder, 'manifest.json');
    const manifest = JSON.parse(await readFile(path, 'utf8')) as { details: { shards: object[] } };
    for (const shard of manifest.details.shards) delete (shard as { crc32?: unknown }).crc32;
    await writeFile(path, JSON.stringify(manifest));
    assert.deepEqual(await unreadable(await ActivationStore.open(folder)), []);
    await flip(join(folder, 'shard-00001.safetensors'), 'positions', -1);
    assert.deepEqual(await unreadable(await ActivationStore.open(folder)), [2, 3]);
    const salvaged = await ActivationStore.salvage(folder);
    assert.deepEqual([salvaged.nChunks, salvaged.nLost], [3, 1]);
    assert.deepEqual(await unreadable(salvaged), []);
  });

  test('in a file that was imported without a copy', async () => {
    const files = ['a', 'b'].map((name) => join(root, `${name}.safetensors`));
    for (const file of files) await copyFile(fixture('imports/contexts.safetensors'), file);
    const { store, nLinked } = await importStore(join(root, 'linked'), files);
    assert.equal(nLinked, 2);
    assert.deepEqual(await unreadable(store), []);
    await flip(files[1], 'activations', 7);
    assert.deepEqual(await unreadable(store), [1]);
  });

  test('a manifest that lacks the sum of a tensor does not pass for it', async () => {
    const folder = join(root, 'lacking');
    await ActivationStore.write(folder, runner, randomTokens(10, 12), SIZES);
    const path = join(folder, 'manifest.json');
    const manifest = JSON.parse(await readFile(path, 'utf8')) as { details: { shards: object[] } };
    const [, { crc32 }] = manifest.details.shards as { crc32: Record<string, string> }[];
    crc32.positions = crc32.positions.slice(0, 8);
    await writeFile(path, JSON.stringify(manifest));
    assert.deepEqual(await unreadable(await ActivationStore.open(folder)), [3]);
  });
});
