import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { test } from 'node:test';
import ort from 'onnxruntime-node';
import { decodeFloats } from '../tensor/index.ts';
import { FIXTURE_MODELS, fixture, randomTokens } from '../testing/fixtures.ts';
import { ACTIVATIONS, cutGraph, EDITED, harvestPrefix, node } from './cut.ts';
import { makeFeeds } from './model-inputs.ts';
import { OnnxModel } from './index.ts';

const BATCH = 3;
const SEQUENCE = 7;

interface Wholes {
  logits: Float32Array;
  feeds: Record<string, ort.Tensor>;
}

function create(model: OnnxModel, bytes: Uint8Array): Promise<ort.InferenceSession> {
  const folder = dirname(model.path);
  return ort.InferenceSession.create(bytes, {
    logSeverityLevel: 3,
    graphOptimizationLevel: 'disabled',
    extra: { session: { model_external_initializers_file_folder_path: folder } },
  });
}

async function whole(model: OnnxModel): Promise<Wholes> {
  const { tokens } = randomTokens(BATCH, SEQUENCE);
  const feeds: Record<string, ort.Tensor> = {};
  for (const [name, { type, data, dims }] of Object.entries(makeFeeds(model.inputs, tokens, SEQUENCE)))
    feeds[name] = new ort.Tensor(type as 'float32', data as Float32Array, dims);
  const session = await ort.InferenceSession.create(model.path, { graphOptimizationLevel: 'disabled' });
  const { logits } = await session.run(feeds);
  await session.release();
  return { logits: floats(logits), feeds };
}

function floats({ type, data }: ort.Tensor): Float32Array {
  if (type !== 'float16') return data as Float32Array;
  const { buffer, byteOffset, byteLength } = data as Uint16Array;
  return decodeFloats(new Uint8Array(buffer, byteOffset, byteLength), 'F16');
}

/** Prefix, then suffix on the edited activations; the suffix gives the logits as they are. */
async function run(
  model: OnnxModel,
  hook: string,
  feeds: Record<string, ort.Tensor>,
  edit: (x: ort.Tensor) => ort.Tensor,
) {
  const OUT = 'out';
  const head = { nodes: [node('Identity', ['logits'], OUT)], outputs: [OUT] };
  const { prefix, suffix } = cutGraph(model.graph, hook, model.tensors, head);
  const pick = (names: string[]) => Object.fromEntries(names.map((name) => [name, feeds[name]]));
  const first = await create(model, prefix.bytes);
  const { [ACTIVATIONS]: activations, ...crossing } = await first.run(pick(prefix.modelInputs));
  const second = await create(model, suffix.bytes);
  const edited = edit(activations);
  const outputs = await second.run({ ...pick(suffix.modelInputs), ...crossing, [EDITED]: edited });
  await first.release();
  await second.release();
  return { logits: floats(outputs[OUT]), activations, prefix, suffix };
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length);
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i] - b[i]));
  return largest;
}

for (const name of FIXTURE_MODELS) {
  test(`prefix then suffix is the whole model, at every hook point of ${name}`, async () => {
    const model = await OnnxModel.open(fixture('models', name));
    const { logits, feeds } = await whole(model);
    const isHalf = model.tensors.get('logits')!.type === 'float16';
    const points = model.hookPoints();
    assert.ok(points.length >= 20);
    for (const { name: hook } of points) {
      const cut = await run(model, hook, feeds, (x) => x);
      // ONNX Runtime computes fp16 in f32 and rounds where types meet: a cut moves a few of those places.
      assert.ok(largestDifference(cut.logits, logits) < (isHalf ? 0.02 : 1e-5), hook);
    }
  });
}

test('no node is in both halves, and together they are what the logits need', async () => {
  for (const name of FIXTURE_MODELS) {
    const model = await OnnxModel.open(fixture('models', name));
    const { graph } = model;
    const needed = graph.ancestors(['logits']);
    for (const { name: hook } of model.hookPoints()) {
      const head = { nodes: [], outputs: ['logits'] };
      const { prefix, suffix } = cutGraph(graph, hook, model.tensors, head);
      const outputs = async (bytes: Uint8Array<ArrayBuffer>) => {
        const { parseOnnx } = await import('./onnx-graph.ts');
        const made = parseOnnx(bytes, hook).graph.node.flatMap(({ output }) => output);
        return made.filter((tensor) => !graph.isWeight(tensor) && tensor !== ACTIVATIONS);
      };
      const early = await outputs(prefix.bytes);
      const late = (await outputs(suffix.bytes)).filter((tensor) => tensor !== hook);
      assert.deepEqual(
        early.filter((tensor) => late.includes(tensor)),
        [],
        hook,
      );
      const both = new Set([...early, ...late]);
      for (const node of needed)
        for (const tensor of node.output) assert.ok(both.has(tensor) || graph.isWeight(tensor));
    }
  }
});

test('an edit reaches the logits, and only through the suffix', async () => {
  const model = await OnnxModel.open(fixture('models/one-layer'));
  const { logits, feeds } = await whole(model);
  const zero = (x: ort.Tensor) => new ort.Tensor('float32', new Float32Array(x.size), x.dims);
  const edited = await run(model, 'blocks.0.mlp.hook_post', feeds, zero);
  assert.ok(largestDifference(edited.logits, logits) > 0.1);
  // Without the MLP's part the stream is resid_mid + b_out: the same as hooking hook_mlp_out there.
  const mid = await run(model, 'mlp_out', feeds, zero);
  assert.ok(largestDifference(edited.logits, mid.logits) < 1e-5);
});

test('int64 shapes cross the cut where the suffix needs them', async () => {
  const model = await OnnxModel.open(fixture('models/gpt-two-layer-torchscript'));
  const hook = model.resolveHook('blocks.0.mlp.hook_post').name;
  const { prefix } = cutGraph(model.graph, hook, model.tensors, { nodes: [], outputs: ['logits'] });
  const types = prefix.crossing.map((name) => model.tensors.get(name)!.type);
  assert.ok(types.includes('float32'), 'the residual stream crosses');
  const block1 = model.resolveHook('blocks.1.hook_resid_pre').name;
  const inside = model.graph.consumers(block1)[0];
  assert.ok(inside);
  const attention = model.hookPoints().find(({ name }) => name.startsWith('/blocks.1/attn/Transpose'))!;
  const cut = cutGraph(model.graph, attention.name, model.tensors, { nodes: [], outputs: ['logits'] });
  assert.ok(cut.prefix.crossing.some((name) => model.tensors.get(name)!.type === 'int64'));
});

test('the prefix of a harvest holds nothing that the hook does not need', async () => {
  const model = await OnnxModel.open(fixture('models/gpt-two-layer'));
  const { name } = model.resolveHook('blocks.0.mlp.hook_post');
  const { parseOnnx } = await import('./onnx-graph.ts');
  const prefix = parseOnnx(harvestPrefix(model.graph, name).bytes, 'prefix');
  assert.equal(prefix.nodes.length, model.graph.ancestors([name]).size + 1);
  const names = new Set(prefix.graph.initializer.map((initializer) => initializer.name));
  assert.ok(names.has('embed.weight') && !names.has('blocks.1.mlp.up.bias'));
});
