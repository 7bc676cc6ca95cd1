import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { writeSafetensors } from '../formats/index.ts';
import { ArrayRunner, InputArrays, OnnxModel } from '../model/index.ts';
import { Random } from '../random/index.ts';
import { fixture } from '../testing/fixtures.ts';
import { ActivationStore, arraySource, coordinatesOf } from './index.ts';

const N = 200;
const folder = await mkdtemp(join(tmpdir(), 'monoseme-array-source-'));
const images = join(folder, 'images.safetensors');
let model: OnnxModel;
let runner: ArrayRunner;
let inputs: InputArrays;

before(async () => {
  await writeImages(() => 0);
  model = await OnnxModel.open(fixture('arrays/recording-torchscript.onnx'));
  const sampleAxes = ['batch', 'channel', 'patch'];
  const { name } = model.hookPoints().find(({ aliases }) => aliases.includes('blocks.0.hook_resid_mid'))!;
  runner = await ArrayRunner.start(model, { hook: name, sampleAxes, threads: 1 });
  inputs = await InputArrays.open({ recording: images });
});
after(async () => {
  await inputs.close();
  await runner.close();
  await rm(folder, { recursive: true });
});

async function writeImages(extra: (sample: number) => number): Promise<void> {
  const random = new Random(1);
  const data = Float32Array.from({ length: N * 72 }, (_, i) => random.normal() + extra(Math.floor(i / 72)));
  await writeSafetensors(images, { recording: { dtype: 'F32', shape: [N, 3, 24], data } }, {});
}

test('a store of a model that reads arrays: rows with their coordinates', async () => {
  const store = await ActivationStore.writeFrom(join(folder, 'store'), arraySource(runner, inputs), {
    dtype: 'F32',
  });
  assert.deepEqual([store.nRows, store.dIn, store.contextSize], [N * 12, 16, 12]);
  assert.deepEqual(store.axes, [
    { name: 'channel', size: 3 },
    { name: 'patch', size: 4 },
  ]);
  assert.match(store.description, /200 samples of 3 channel × 4 patch/);
  const whole = await runner.activations(await inputs.read(0, N), N);
  let row = 0;
  for (let chunk = 0; chunk < store.nChunks; chunk++) {
    const { activations, origins } = await store.readRows(chunk);
    assert.equal(origins.tokenIds, undefined);
    for (let i = 0; i < activations.length / 16; i++, row++) {
      const sample = origins.documents![i];
      const { channel, patch } = coordinatesOf(origins.positions![i], store.axes!);
      assert.deepEqual([sample, channel, patch], [Math.floor(row / 12), Math.floor(row / 4) % 3, row % 4]);
      for (let d = 0; d < 16; d++) {
        const expected = whole[((sample * 3 + channel) * 4 + patch) * 16 + d];
        assert.ok(Math.abs(activations[i * 16 + d] - expected) < 1e-5);
      }
    }
  }
  assert.equal(row, N * 12);
  await store.verify();
});

test('an interrupted harvest goes on with the shards that are whole, to the same bytes', async () => {
  const options = { rowsPerShard: 1000 };
  const out = join(folder, 'resumed');
  const abort = new AbortController();
  const first = arraySource(runner, inputs);
  await assert.rejects(
    ActivationStore.writeFrom(out, first, {
      ...options,
      signal: abort.signal,
      onProgress: (done) => done > 1500 && abort.abort(),
    }),
    { code: 'ERR_INTERRUPTED' },
  );
  const read: number[] = [];
  const second = arraySource(runner, inputs);
  const watched = {
    ...second,
    readRows: (chunk: number) => {
      read.push(chunk);
      return second.readRows(chunk);
    },
  };
  await ActivationStore.writeFrom(out, watched, options);
  assert.ok(read.length > 0 && !read.includes(0), `chunks ${read.join()}`);
  await ActivationStore.writeFrom(join(folder, 'whole'), arraySource(runner, inputs), options);
  for (const file of ['shard-00000.safetensors', 'shard-00002.safetensors', 'manifest.json'])
    assert.deepEqual(await readFile(join(out, file)), await readFile(join(folder, 'whole', file)), file);
});

test('other samples are another source; a value that is not finite is named by its sample and place', async () => {
  const some = arraySource(runner, inputs, { maxSamples: 7 });
  assert.deepEqual([some.nChunks, some.chunkRows(0)], [1, 84]);
  const all = arraySource(runner, inputs);
  assert.notEqual(some.hash, all.hash);
  await writeImages((sample) => (sample === 90 ? 1e9 : 0));
  const changed = await InputArrays.open({ recording: images });
  assert.notEqual(arraySource(runner, changed).hash, all.hash);
  await assert.rejects(
    ActivationStore.writeFrom(join(folder, 'f16'), arraySource(runner, changed, { forF16: true })),
    { code: 'ERR_NOT_FINITE', message: /too large for F16, at sample 90, channel 0, patch 0\..*--dtype/ },
  );
  await changed.close();
  await writeImages((sample) => (sample === 90 ? NaN : 0));
  const broken = await InputArrays.open({ recording: images });
  await assert.rejects(ActivationStore.writeFrom(join(folder, 'nan'), arraySource(runner, broken)), {
    code: 'ERR_NOT_FINITE',
    message: /is NaN at sample 90, channel 0, patch 0/,
  });
  await broken.close();
});

test('coordinates count the last axis fastest', () => {
  const axes = [
    { name: 'a', size: 2 },
    { name: 'b', size: 3 },
    { name: 'c', size: 5 },
  ];
  assert.deepEqual(coordinatesOf(29, axes), { a: 1, b: 2, c: 4 });
  assert.deepEqual(coordinatesOf(7, axes), { a: 0, b: 1, c: 2 });
  assert.deepEqual(coordinatesOf(0, []), {});
});
