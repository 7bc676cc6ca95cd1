import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from 'onnx-buf';
import { fixture, randomTokens } from '../testing/fixtures.ts';
import { HUB_COMMIT, HubServer } from '../testing/hub-server.ts';
import { ModelRunner, OnnxModel } from './index.ts';

const HOOK = 'blocks.0.mlp.hook_post';
const external = (name: string) => readFile(fixture('models/one-layer-external', name));

/** The model with its weights in a file of another name. */
async function movedData(location: string): Promise<Buffer> {
  const proto = fromBinary(ModelProtoSchema, await external('model.onnx'));
  for (const { externalData } of proto.graph!.initializer)
    for (const entry of externalData) if (entry.key === 'location') entry.value = location;
  return Buffer.from(toBinary(ModelProtoSchema, proto));
}

let server: HubServer;
let folder: string;
let hub: { endpoint: string; cacheFolder: string; token: string; offline: boolean };
beforeEach(async () => {
  server = new HubServer({
    'README.md': Buffer.from('a model'),
    'config.json': Buffer.from('{"max_position_embeddings": 9}'),
    'tokenizer.json': Buffer.from('{}'),
    'chat_template.jinja': Buffer.from('{{ messages }}'),
    'model.safetensors': Buffer.alloc(50_000),
    'onnx/model.onnx': await movedData('model.onnx_data'),
    'onnx/model.onnx_data': await external('model.onnx.data'),
    'onnx/model_fp16.onnx': await readFile(fixture('models/one-layer-fp16/model.onnx')),
    'onnx/lost.onnx': await movedData('lost.bin'),
    'several/a.onnx': await movedData('a.bin'),
    'several/b.onnx': await movedData('b.bin'),
    'escape/model.onnx': await movedData('../tokenizer.json'),
  });
  folder = await mkdtemp(join(tmpdir(), 'monoseme-hub-model-'));
  hub = { endpoint: await server.start(), cacheFolder: folder, token: '', offline: false };
});
afterEach(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

const open = (path: string, options = {}) => OnnxModel.open(path, { hub: { ...hub, ...options } });
const downloads = () => server.requests.filter(({ path }) => /^(cdn|lab)\//.test(path)).length;

async function cached(): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const snapshot = join(folder, 'models--lab--open', 'snapshots', HUB_COMMIT);
  const files = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
  return files
    .map((path) => relative(snapshot, path))
    .filter((path) => !path.startsWith('..'))
    .sort();
}

async function activations(model: OnnxModel): Promise<Float32Array> {
  const runner = await ModelRunner.start(model, { hook: HOOK, threads: 1 });
  const rows = await runner.activations(randomTokens(2, 6).tokens, 6);
  await runner.close();
  return rows;
}

test('of a repository the graph, the data it names and its companions are downloaded, once', async () => {
  const model = await open('hf:lab/open');
  assert.deepEqual([model.name, model.contextSize], ['lab/open', 9]);
  assert.equal(model.tokenizerPath, join(dirname(dirname(model.path)), 'tokenizer.json'));
  assert.deepEqual(await cached(), [
    'chat_template.jinja',
    'config.json',
    'onnx/model.onnx',
    'onnx/model.onnx_data',
    'tokenizer.json',
  ]);
  const here = await OnnxModel.open(fixture('models/one-layer-external'));
  assert.deepEqual(await activations(model), await activations(here));
  const before = downloads();
  assert.equal((await open('hf:lab/open')).sha256, model.sha256);
  assert.equal(downloads(), before);
  assert.equal(
    (await open('hf:lab/open', { offline: true, endpoint: 'http://127.0.0.1:1' })).sha256,
    model.sha256,
  );
});

test('another graph is named by its path; its tokenizer is found in the root', async () => {
  const model = await open('hf:lab/open/onnx/model_fp16.onnx');
  assert.ok(model.storesHalves);
  assert.equal(model.contextSize, 9);
  assert.deepEqual(await cached(), [
    'chat_template.jinja',
    'config.json',
    'onnx/model_fp16.onnx',
    'tokenizer.json',
  ]);
});

test('a download that was cut off goes on', async () => {
  server.faults.cutAfter = 3000;
  const model = await open('hf:lab/open');
  assert.ok(server.requests.some(({ range }) => range?.startsWith('bytes=3000-')));
  assert.equal((await activations(model)).length, 12 * 24);
});

test('the cache of other tools, whose files are links to blobs', async () => {
  const { path, sha256 } = await open('hf:lab/open');
  const blobs = join(folder, 'models--lab--open', 'blobs');
  await mkdir(blobs);
  for (const [i, file] of (await cached()).entries()) {
    const place = join(dirname(dirname(path)), file);
    await rename(place, join(blobs, String(i)));
    await symlink(relative(dirname(place), join(blobs, String(i))), place);
  }
  const model = await open('hf:lab/open', { offline: true });
  assert.equal(model.sha256, sha256);
  assert.equal((await activations(model)).length, 12 * 24);
});

test('what cannot be opened', async () => {
  const cases: [string, string, RegExp][] = [
    ['hf:lab/none', 'ERR_NOT_FOUND', /lab\/none/],
    ['hf:lab/gated', 'ERR_GATED', /lab\/gated/],
    ['hf:lab/open/onnx/none.onnx', 'ERR_NOT_FOUND', /none\.onnx/],
    ['hf:lab/open/several', 'ERR_MODEL', /2 \.onnx files and none is model\.onnx: a\.onnx, b\.onnx/],
    ['hf:lab/open/escape', 'ERR_MODEL', /outside its folder \("\.\.\/tokenizer\.json"\)/],
    ['hf:lab/open/onnx/lost.onnx', 'ERR_NOT_FOUND', /lost\.bin/],
    ['hf:datasets/lab/open', 'ERR_OPTION', /is a data set/],
  ];
  for (const [path, code, message] of cases) await assert.rejects(open(path), { code, message }, path);
  const gated = await open('hf:lab/gated', { token: 'hf_good' });
  assert.equal(gated.resolveHook(HOOK).dIn, 24);
  server.faults.changeBytes = true;
  await assert.rejects(open('hf:lab/open/onnx/model_fp16.onnx'), { code: 'ERR_DOWNLOAD' });
});
