import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import ort from 'onnxruntime-node';
import { decodeFloats } from '../tensor/index.ts';
import { FIXTURE_FAMILIES, FIXTURE_MODELS, fixture, randomTokens } from '../testing/fixtures.ts';
import { ACTIVATIONS, cutGraph, EDITED, harvestPrefix, inGraphOrder, isSize, node } from './cut.ts';
import { gatherContexts, gatherTokens, isPerContext } from './gather-contexts.ts';
import { makeFeeds } from './model-inputs.ts';
import { OnnxModel } from './index.ts';
import { parseOnnx } from './onnx-graph.ts';

const BATCH = 3;
const SEQUENCE = 7;

function create(model: OnnxModel, bytes: Uint8Array): Promise<ort.InferenceSession> {
  const folder = dirname(model.path);
  return ort.InferenceSession.create(bytes, {
    logSeverityLevel: 3,
    graphOptimizationLevel: 'disabled',
    extra: { session: { model_external_initializers_file_folder_path: folder } },
  });
}

type Feeds = Record<string, ort.Tensor>;

const TOKENS = randomTokens(BATCH, SEQUENCE).tokens;
/** More contexts than went through the prefix, out of order. */
const OTHER = Uint32Array.of(2, 0, 0, 1, 2);

async function whole(model: OnnxModel, tokens = TOKENS): Promise<{ logits: Float32Array; feeds: Feeds }> {
  const feeds: Feeds = {};
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

/**
 * Prefix, then suffix on the edited activations; the suffix gives the logits as they are. With `others` (feeds
 * of the contexts `OTHER`) the suffix runs on those.
 */
async function run(
  model: OnnxModel,
  hook: string,
  feeds: Feeds,
  edit: (x: ort.Tensor) => ort.Tensor,
  others?: Feeds,
) {
  const OUT = 'out';
  const head = { nodes: [node('Identity', ['logits'], OUT)], outputs: [OUT] };
  const [prefix, suffix] = cutGraph(model.graph, [hook], model.tensors, head);
  const pick = (names: string[], from: Feeds) => Object.fromEntries(names.map((name) => [name, from[name]]));
  const first = await create(model, prefix.bytes);
  const { [ACTIVATIONS]: activations, ...crossing } = await first.run(pick(prefix.modelInputs, feeds));
  const second = await create(model, suffix.bytes);
  const go = async (from: Feeds, kept: Feeds, edited: ort.Tensor) =>
    floats((await second.run({ ...pick(suffix.modelInputs, from), ...kept, [EDITED]: edited }))[OUT]);
  const logits = await go(feeds, crossing, edit(activations));
  const gather = (tensor: ort.Tensor, name: string) =>
    gatherContexts(tensor, model.tensors.get(name)!.shape, SEQUENCE, OTHER);
  const gathered = Object.fromEntries(
    Object.entries(others ? crossing : {}).map(([name, tensor]) => [name, gather(tensor, name)]),
  );
  const otherLogits = others && (await go(others, gathered, gather(activations, hook)));
  await first.release();
  await second.release();
  return { logits, otherLogits, activations, prefix, suffix };
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length);
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i] - b[i]));
  return largest;
}

const GRAPHS = [
  ...FIXTURE_MODELS.map((name) => join('models', name)),
  ...FIXTURE_FAMILIES.map((name) => join('families', name)),
];

for (const name of GRAPHS) {
  test(`prefix then suffix, of as many or more contexts, is the whole model at every hook of ${name}`, async () => {
    const model = await OnnxModel.open(fixture(name));
    const { logits, feeds } = await whole(model);
    const others = await whole(model, gatherTokens(TOKENS, SEQUENCE, OTHER));
    // ONNX Runtime computes fp16 in f32 and rounds where types meet: a cut moves a few of those places.
    const tolerance = model.tensors.get('logits')!.type === 'float16' ? 0.02 : 1e-5;
    // Scales of dynamic quantisation follow from the whole batch: other contexts give other logits.
    const isQuantised = model.graph.nodes.some(({ opType }) => opType === 'DynamicQuantizeLinear');
    const points = model.hookPoints();
    assert.ok(points.length >= 20);
    for (const { name: hook } of points) {
      const cut = await run(model, hook, feeds, (x) => x, others.feeds);
      assert.ok(largestDifference(cut.logits, logits) < tolerance, hook);
      if (isQuantised) continue;
      assert.ok(largestDifference(cut.otherLogits!, others.logits) < tolerance, `${hook}, other contexts`);
    }
  });
}

test('no node but arithmetic on sizes is in both halves; together they are what the logits need', async () => {
  for (const name of FIXTURE_MODELS) {
    const model = await OnnxModel.open(fixture('models', name));
    const { graph } = model;
    const needed = graph.ancestors(['logits']);
    for (const { name: hook } of model.hookPoints()) {
      const head = { nodes: [], outputs: ['logits'] };
      const [prefix, suffix] = cutGraph(graph, [hook], model.tensors, head);
      const outputs = async (bytes: Uint8Array<ArrayBuffer>) => {
        const made = parseOnnx(bytes, hook).graph.node.flatMap(({ output }) => output);
        return made.filter((tensor) => !graph.isWeight(tensor) && tensor !== ACTIVATIONS);
      };
      const early = await outputs(prefix.bytes);
      const late = (await outputs(suffix.bytes)).filter((tensor) => tensor !== hook);
      assert.deepEqual(
        early.filter((tensor) => late.includes(tensor) && !isSize(model.tensors.get(tensor))),
        [],
        hook,
      );
      const both = new Set([...early, ...late]);
      for (const node of needed)
        for (const tensor of node.output) assert.ok(both.has(tensor) || graph.isWeight(tensor));
    }
  }
});

test('cut at several tensors: no node is in two parts, and none before an edit that it depends on', async () => {
  const { graph, tensors } = await OnnxModel.open(fixture('models/gpt-two-layer-torchscript'));
  const names = [...tensors.keys()].filter((name) => tensors.get(name)!.type === 'float32');
  const hooks = inGraphOrder(
    graph,
    [90, 20, 45, 46].map((i) => names[i % names.length]),
  );
  const parts = cutGraph(graph, hooks, tensors, { nodes: [], outputs: ['logits'] });
  assert.equal(parts.length, hooks.length + 1);
  const seen = new Set<string>();
  parts.forEach(({ bytes, reads, edits }, i) => {
    const made = parseOnnx(bytes, 'part').graph.node.flatMap(({ output }) => output);
    const own = made.filter(
      (name) => tensors.has(name) && !isSize(tensors.get(name)) && !hooks.includes(name),
    );
    for (const name of own) {
      assert.ok(!seen.has(name), name);
      seen.add(name);
      const node = graph.producer(name)!;
      const later = hooks.slice(i).flatMap((hook) => [...graph.descendants(hook)]);
      assert.ok(!later.includes(node), `${name} in part ${i} depends on an edit to come`);
    }
    assert.ok(
      edits.every((edit) => edit < i) && reads.every((name) => seen.has(name) || hooks.includes(name)),
    );
  });
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

test('sizes are computed where they are used; what crosses the cut has one entry a context', async () => {
  const model = await OnnxModel.open(fixture('models/gpt-two-layer-torchscript'));
  const { graph, tensors } = model;
  for (const { name: hook } of model.hookPoints()) {
    const [prefix] = cutGraph(graph, [hook], tensors, { nodes: [], outputs: ['logits'] });
    for (const name of prefix.gives) {
      assert.equal(tensors.get(name)!.type, 'float32', `${name} at ${hook}`);
      assert.ok(isPerContext(tensors.get(name)!.shape), name);
    }
  }
  const attention = model.hookPoints().find(({ name }) => name.startsWith('/blocks.1/attn/Transpose'))!;
  const [, suffix] = cutGraph(graph, [attention.name], tensors, { nodes: [], outputs: ['logits'] });
  assert.ok(parseOnnx(suffix.bytes, 'suffix').nodes.some(({ opType }) => opType === 'Shape'));
});

test('the prefix of a harvest holds nothing that the hook does not need', async () => {
  const model = await OnnxModel.open(fixture('models/gpt-two-layer'));
  const { name } = model.resolveHook('blocks.0.mlp.hook_post');
  const prefix = parseOnnx(harvestPrefix(model.graph, name).bytes, 'prefix');
  assert.equal(prefix.nodes.length, model.graph.ancestors([name]).size + 1);
  const names = new Set(prefix.graph.initializer.map((initializer) => initializer.name));
  assert.ok(names.has('embed.weight') && !names.has('blocks.1.mlp.up.bias'));
});
