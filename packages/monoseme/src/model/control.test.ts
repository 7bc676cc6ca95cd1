import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import ort from 'onnxruntime-node';
import { fixture, randomTokens } from '../testing/fixtures.ts';
import { OnnxModel, writeControl } from './index.ts';
import { parseOnnx } from './onnx-graph.ts';
import { entryBytes, isExternal, rawBytes } from './weight-bytes.ts';

const folder = await mkdtemp(join(tmpdir(), 'monoseme-control-'));
after(() => rm(folder, { recursive: true }));

/** Initialisers by name: dimensions and bytes. */
async function weights(path: string): Promise<Map<string, { dims: number[]; bytes: Uint8Array }>> {
  const { graph } = parseOnnx(Uint8Array.from(await readFile(path)), path);
  return new Map(
    graph.initializer
      .filter((tensor) => entryBytes(tensor) !== undefined && !isExternal(tensor))
      .map((tensor) => [tensor.name, { dims: tensor.dims.map(Number), bytes: rawBytes(tensor, path) }]),
  );
}

async function logits(path: string): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(path);
  const ids = BigInt64Array.from(Array.from(randomTokens(2, 12).tokens, BigInt));
  const { logits } = await session.run({ input_ids: new ort.Tensor('int64', ids, [2, 12]) });
  await session.release();
  return logits.data as Float32Array;
}

const sorted = (bytes: Uint8Array, size: number): string[] =>
  Array.from({ length: bytes.length / size }, (_, i) =>
    Buffer.from(bytes.subarray(i * size, (i + 1) * size)).toString('hex'),
  ).sort();

for (const [name, size] of [
  ['one-layer', 4],
  ['one-layer-fp16', 2],
] as const) {
  test(`${name}: matrices hold the same entries in another order, all else stays`, async () => {
    const out = join(folder, name);
    const control = await writeControl(fixture('models', name), out, { seed: 3 });
    const before = await weights(fixture('models', name, 'model.onnx'));
    const changed = await weights(control.path);
    assert.deepEqual([...changed.keys()], [...before.keys()]);
    let entries = 0;
    for (const [tensor, { dims, bytes }] of before) {
      const now = changed.get(tensor)!;
      assert.deepEqual(now.dims, dims);
      assert.equal(Buffer.compare(now.bytes, bytes) !== 0, dims.length > 1, tensor);
      assert.equal(control.matrices.includes(tensor), dims.length > 1, tensor);
      assert.deepEqual(sorted(now.bytes, size), sorted(bytes, size), tensor);
      if (dims.length > 1) entries += dims[0] * dims[1];
    }
    assert.equal(control.nEntries, entries);
    const model = await OnnxModel.open(out);
    assert.equal(model.contextSize, 12, 'config.json came along');
    assert.notDeepEqual(await logits(control.path), await logits(fixture('models', name, 'model.onnx')));
  });
}

test('the same seed gives the same bytes, another seed others, and weights in a data file the same model', async () => {
  const first = await readFile(join(folder, 'one-layer', 'model.onnx'));
  const make = (source: string, seed: number) =>
    writeControl(fixture('models', source), join(folder, `${source}-${seed}-again`), { seed });
  assert.deepEqual(await readFile((await make('one-layer', 3)).path), first);
  assert.notDeepEqual(await readFile((await make('one-layer', 4)).path), first);
  const external = await make('one-layer-external', 3);
  assert.deepEqual(await logits(external.path), await logits(join(folder, 'one-layer', 'model.onnx')));
});

test('tensors to keep; names that are not there', async () => {
  const out = join(folder, 'kept');
  const control = await writeControl(fixture('models/one-layer'), out, { keep: ['W_pos'] });
  assert.ok(!control.matrices.includes('W_pos') && control.matrices.includes('W_E'));
  const [before, now] = await Promise.all(
    [fixture('models/one-layer/model.onnx'), control.path].map(async (path) =>
      (await weights(path)).get('W_pos'),
    ),
  );
  assert.deepEqual(now, before);
  const wrong = writeControl(fixture('models/one-layer'), join(folder, 'wrong'), { keep: ['W_poss'] });
  await assert.rejects(wrong, { code: 'ERR_OPTION', message: /"W_poss"/ });
});

test('a folder in use, an interruption and data that is cut off', async () => {
  const source = fixture('models/one-layer-external');
  await assert.rejects(writeControl(source, join(folder, 'kept')), { code: 'ERR_EXISTS' });
  await writeFile(join(folder, 'file'), '');
  await assert.rejects(writeControl(source, join(folder, 'file')), { code: 'ERR_FILE' });
  const out = join(folder, 'stopped');
  await assert.rejects(writeControl(source, out, { signal: AbortSignal.abort() }), {
    code: 'ERR_INTERRUPTED',
  });
  await writeControl(source, out);
  const cut = join(folder, 'cut');
  await cp(source, cut, { recursive: true });
  await truncate(join(cut, 'model.onnx.data'), 3000);
  await assert.rejects(writeControl(cut, join(folder, 'cut-control')), {
    code: 'ERR_MODEL',
    message: /cut off/,
  });
});
