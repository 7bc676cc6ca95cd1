import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readManifest, readSafetensors } from '../formats/index.ts';
import { ModelRunner, OnnxModel } from '../model/index.ts';
import { fixture, randomTokens } from '../testing/fixtures.ts';
import { ActivationStore, modelSource } from './index.ts';

const POST = 'blocks.0.mlp.hook_post';
const root = await mkdtemp(join(tmpdir(), 'monoseme-store-'));
const tokens = randomTokens(23, 12);
/** 23 contexts: chunks of 2, shards of 6, so the last shard has 5 contexts and its last chunk 1. */
const SIZES = { contextsPerChunk: 2, rowsPerShard: 6 * 12 };

let runner: ModelRunner;
before(async () => {
  const model = await OnnxModel.open(fixture('models/one-layer'));
  runner = await ModelRunner.start(model, { hook: POST, threads: 1 });
});
after(async () => {
  await runner.close();
  await rm(root, { recursive: true });
});

async function allRows(source: {
  nChunks: number;
  readChunk(i: number): Promise<Float32Array>;
}): Promise<number[]> {
  const rows: number[] = [];
  for (let chunk = 0; chunk < source.nChunks; chunk++) rows.push(...(await source.readChunk(chunk)));
  return rows;
}

async function bytesOf(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder)).sort();
  return Object.fromEntries(
    await Promise.all(
      names.map(async (name) => [name, (await readFile(join(folder, name))).toString('hex')]),
    ),
  );
}

describe('straight from the model', () => {
  test('chunks are whole contexts in order, and give the rows of the model', async () => {
    const source = modelSource(runner, tokens, { contextsPerChunk: 5 });
    assert.deepEqual([source.dIn, source.contextSize, source.nChunks], [24, 12, 5]);
    assert.deepEqual(
      [0, 1, 2, 3, 4].map((chunk) => source.chunkRows(chunk)),
      [60, 60, 60, 60, 36],
    );
    assert.deepEqual(await allRows(source), [...(await runner.activations(tokens.tokens, 12))]);
  });

  test('its hash changes with the tokens and the model, and with nothing else', async () => {
    const { hash } = modelSource(runner, tokens);
    assert.equal(modelSource(runner, randomTokens(23, 12)).hash, hash);
    assert.notEqual(modelSource(runner, randomTokens(23, 12, 1)).hash, hash);
    const mid = await ModelRunner.start(runner.model, { hook: 'blocks.0.hook_resid_mid', threads: 1 });
    assert.notEqual(modelSource(mid, tokens).hash, hash);
    await mid.close();
  });

  test('no text, no context; an interruption', async () => {
    assert.throws(() => modelSource(runner, randomTokens(0, 12)), { code: 'ERR_EMPTY_TEXT' });
    const source = modelSource(runner, tokens);
    await assert.rejects(source.readChunk(0, AbortSignal.abort()), { code: 'ERR_INTERRUPTED' });
  });

  test('NaN and infinity are named with their place', async () => {
    const broken = Object.create(runner, {
      recycle: { value: () => {} },
      activations: {
        value: async (part: Uint32Array) => {
          const x = new Float32Array(part.length * 24);
          x[(12 + 3) * 24 + 5] = Infinity;
          return x;
        },
      },
    }) as ModelRunner;
    await assert.rejects(modelSource(broken, tokens, { contextsPerChunk: 4 }).readChunk(1), {
      code: 'ERR_NOT_FINITE',
      message: /blocks\.0\.mlp\.hook_post is Infinity at context 5, position 3 \(document document 5\)/,
    });
  });
});

describe('on disk', () => {
  for (const [dtype, tolerance] of [
    ['F32', 0],
    ['F16', 2 ** -11],
    ['BF16', 2 ** -8],
  ] as const) {
    test(`${dtype}: what is stored is what the model gives`, async () => {
      const folder = join(root, dtype);
      const store = await ActivationStore.write(folder, runner, tokens, { dtype, ...SIZES });
      assert.deepEqual([store.dIn, store.contextSize, store.nChunks, store.nRows], [24, 12, 12, 276]);
      assert.deepEqual([store.hookName, store.modelName], [POST, 'one-layer']);
      assert.equal(store.chunkRows(11), 12);
      const stored = await allRows(store);
      const exact = await runner.activations(tokens.tokens, 12);
      assert.equal(stored.length, exact.length);
      for (let i = 0; i < exact.length; i++)
        assert.ok(Math.abs(stored[i] - exact[i]) <= tolerance * Math.max(Math.abs(exact[i]), 2 ** -14));
      const ids: number[] = [];
      for (let chunk = 0; chunk < store.nChunks; chunk++)
        ids.push(...(await store.readOrigins(chunk)).tokenIds!);
      assert.deepEqual(ids, [...tokens.tokens]);
      await store.verify();
    });
  }

  test('a shard is a safetensors file that says what it holds', async () => {
    const file = await readSafetensors(join(root, 'F16', 'shard-00003.safetensors'));
    assert.deepEqual(file.info('activations'), { dtype: 'F16', shape: [60, 24] });
    assert.deepEqual(file.info('token_ids'), { dtype: 'I32', shape: [60] });
    const positions = new Int32Array((await file.tensor('positions')).bytes.buffer);
    assert.deepEqual(
      [...positions],
      Array.from({ length: 60 }, (_, i) => i % 12),
    );
    await file.close();
    const manifest = await readManifest(join(root, 'F16'), 'activation-store');
    assert.equal(manifest.madeFrom.model, runner.model.sha256);
    assert.equal((manifest.details.shards as unknown[]).length, 4);
    assert.match(manifest.versions.onnxruntime, /^\d+\.\d+\.\d+/);
  });

  test('harvesting again changes nothing and runs no model', async () => {
    const before = await bytesOf(join(root, 'F16'));
    const idle = Object.create(runner, {
      activations: { value: () => assert.fail('the model ran') },
      halfActivations: { value: () => assert.fail('the model ran') },
    }) as ModelRunner;
    await ActivationStore.write(join(root, 'F16'), idle, tokens, { dtype: 'F16', ...SIZES });
    assert.deepEqual(await bytesOf(join(root, 'F16')), before);
  });

  test('interrupted after any number of chunks, it goes on to the same bytes', async () => {
    const reference = await bytesOf(join(root, 'F16'));
    for (let stopAfter = 1; stopAfter <= 12; stopAfter++) {
      const folder = join(root, `stop-${stopAfter}`);
      const controller = new AbortController();
      let chunks = -1;
      const harvest = ActivationStore.write(folder, runner, tokens, {
        ...SIZES,
        signal: controller.signal,
        onProgress: () => {
          if (++chunks === stopAfter) controller.abort();
        },
      });
      await assert.rejects(harvest, { code: 'ERR_INTERRUPTED' });
      await assert.rejects(ActivationStore.open(folder), { code: 'ERR_NOT_FOUND', message: /not finished/ });
      const kept = (await readdir(folder)).filter((name) => name.startsWith('shard')).length;
      assert.equal(kept, Math.floor((stopAfter - 1) / 3), 'only the shard being made is lost');
      let first: number | undefined;
      await ActivationStore.write(folder, runner, tokens, {
        ...SIZES,
        onProgress: (done) => (first ??= done),
      });
      assert.equal(first, kept * 72, 'whole shards are not made again');
      assert.deepEqual(await bytesOf(folder), reference);
    }
  });

  test('damaged, cut off, foreign and half-written shards are made again', async () => {
    const folder = join(root, 'damaged');
    await ActivationStore.write(folder, runner, tokens, SIZES);
    const reference = await bytesOf(folder);
    const shard = (i: number) => join(folder, `shard-0000${i}.safetensors`);
    const flipped = await readFile(shard(0));
    flipped[flipped.length - 10] ^= 1;
    await writeFile(shard(0), flipped);
    await truncate(shard(1), 500);
    await writeFile(shard(2), await readFile(join(root, 'BF16', 'shard-00002.safetensors')));
    await writeFile(`${shard(3)}.partial`, 'half');
    const store = await ActivationStore.open(folder);
    await assert.rejects(store.verify(), { code: 'ERR_FORMAT', message: /shard-00000.*checksum/ });
    await assert.rejects(store.readChunk(3), { code: 'ERR_FORMAT', message: /shard-00001/ });
    await assert.rejects(store.readChunk(6), { code: 'ERR_MISMATCH', message: /shard-00002/ });
    await rm(`${shard(3)}.partial`);
    await rm(shard(3));
    await assert.rejects(store.readChunk(9), {
      code: 'ERR_NOT_FOUND',
      message: /shard-00003.* is missing\..*--salvage/,
    });
    await assert.rejects(ActivationStore.salvage(folder), { code: 'ERR_NOT_FOUND', message: /No shard/ });
    await ActivationStore.write(folder, runner, tokens, SIZES);
    assert.deepEqual(await bytesOf(folder), reference);
  });

  test('a folder with something else in it is left alone', async () => {
    const write = (folder: string, options: object) =>
      ActivationStore.write(folder, runner, tokens, { ...SIZES, ...options });
    await assert.rejects(write(join(root, 'F16'), { dtype: 'F32' }), {
      code: 'ERR_EXISTS',
      message: /other settings/,
    });
    await assert.rejects(ActivationStore.write(join(root, 'F16'), runner, randomTokens(4, 12)), {
      code: 'ERR_EXISTS',
    });
    await assert.rejects(write(root, {}), { code: 'ERR_EXISTS', message: /not empty/ });
    await assert.rejects(write(join(root, 'F16', 'plan.json'), {}), { code: 'ERR_FILE' });
    await assert.rejects(write(join(root, 'new'), { dtype: 'F8' }), { code: 'ERR_OPTION' });
    const long = ActivationStore.write(join(root, 'long'), runner, randomTokens(2, 13));
    await assert.rejects(long, { code: 'ERR_OPTION', message: /context size is 13/ });
    assert.ok(!(await readdir(root)).includes('long'));
    await assert.rejects(write(join(root, 'new'), { rowsPerShard: 0 }), { code: 'ERR_OPTION' });
    await assert.rejects(ActivationStore.open(join(root, 'none')), { code: 'ERR_NOT_FOUND' });
  });

  test('a plan that was altered is noticed', async () => {
    const folder = join(root, 'altered');
    await ActivationStore.write(folder, runner, tokens, SIZES);
    const plan = await readFile(join(folder, 'plan.json'), 'utf8');
    await writeFile(join(folder, 'plan.json'), plan.replace('"d_in": 24', '"d_in": 12'));
    await assert.rejects(ActivationStore.open(folder), { code: 'ERR_MISMATCH' });
    await writeFile(join(folder, 'plan.json'), plan.replace('"d_in": 24', '"d_in": -1'));
    await assert.rejects(ActivationStore.open(folder), { code: 'ERR_FORMAT' });
  });

  test('values beyond F16 are named, with the way out; BF16 takes them', async () => {
    const large = Object.create(runner, {
      recycle: { value: () => {} },
      activations: {
        value: async (part: Uint32Array) => new Float32Array(part.length * 24).fill(-65_520),
      },
      halfActivations: {
        value: async (part: Uint32Array) => new Uint16Array(part.length * 24).fill(0xfc00),
      },
    }) as ModelRunner;
    const folder = join(root, 'overflow');
    await assert.rejects(ActivationStore.write(folder, large, tokens, SIZES), {
      code: 'ERR_NOT_FINITE',
      message: /is -65520, too large for F16, at context 0, position 0 .* BF16 or F32/,
    });
    assert.deepEqual(await readdir(folder), []);
    await ActivationStore.write(folder, large, tokens, { ...SIZES, dtype: 'BF16' });
  });

  test('a store larger than the disk is refused before anything is computed', async () => {
    const nContexts = 2 ** 40;
    const vast = { ...tokens, nContexts };
    await assert.rejects(
      ActivationStore.write(join(root, 'vast'), runner, vast, { contextsPerChunk: 2 ** 30 }),
      {
        code: 'ERR_DISK_FULL',
        message: /need \d+ MiB/,
      },
    );
  });
});
