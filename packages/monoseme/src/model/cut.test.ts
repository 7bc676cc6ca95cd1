import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import ort from 'onnxruntime-node';
import { FIXTURE_FAMILIES, FIXTURE_MODELS, fixture, randomTokens } from '../testing/fixtures.ts';
import { ACTIVATIONS, cutGraph, EDITED, harvestPrefix, inGraphOrder, isSize, node } from './cut.ts';
import { gatherContexts, gatherTokens, isPerContext } from './gather-contexts.ts';
import { makeFeeds } from './model-inputs.ts';
import { OnnxModel } from './index.ts';
import { parseOnnx } from './onnx-graph.ts';
import { toTensors } from './worker-tensors.ts';

const SEQUENCE = 7;
const TOKENS = randomTokens(3, SEQUENCE).tokens;
/** More contexts than went through the prefix, out of order. */
const OTHER = Uint32Array.of(2, 0, 0, 1, 2);
const OUT = 'out';
const LOGITS = { nodes: [node('Identity', ['logits'], OUT)], outputs: [OUT] };

type Feeds = Record<string, ort.Tensor>;

/** A session that runs the graph as it is. Threads of its own would cost more than the tiny graphs do. */
function create(model: OnnxModel, graph: string | Uint8Array): Promise<ort.InferenceSession> {
  const options: ort.InferenceSession.SessionOptions = {
    logSeverityLevel: 3,
    intraOpNumThreads: 1,
    graphOptimizationLevel: 'disabled',
    extra: { session: { model_external_initializers_file_folder_path: dirname(model.path) } },
  };
  return ort.InferenceSession.create(graph as string, options);
}

/** What a session makes of those of the tensors that it reads. */
async function outputsOf(session: ort.InferenceSession, tensors: Feeds): Promise<Feeds> {
  const outputs = await session.run(
    Object.fromEntries(session.inputNames.map((name) => [name, tensors[name]])),
  );
  return outputs as Feeds;
}

async function runOnce(model: OnnxModel, graph: string | Uint8Array, tensors: Feeds): Promise<Feeds> {
  const session = await create(model, graph);
  const outputs = await outputsOf(session, tensors);
  await session.release();
  return outputs;
}

const feedsOf = (model: OnnxModel, tokens: Uint32Array): Feeds =>
  toTensors(makeFeeds(model.inputs, tokens, SEQUENCE));

function largestDifference(a: ort.Tensor, b: ort.Tensor): number {
  assert.deepEqual(a.dims, b.dims);
  const [x, y] = [a, b].map(({ data }) => data as Float32Array);
  return x.reduce((largest, value, i) => Math.max(largest, Math.abs(value - y[i])), 0);
}

/** The logits of a model cut at a hook, of the contexts that went through the prefix and of {@link OTHER}. */
async function cutLogits(
  model: OnnxModel,
  hook: string,
  feeds: Feeds,
  edit: (x: ort.Tensor) => ort.Tensor = (x) => x,
): Promise<{ same: ort.Tensor; other: ort.Tensor }> {
  const [prefix, suffix] = cutGraph(model.graph, [hook], model.tensors, LOGITS);
  const { [ACTIVATIONS]: activations, ...crossing } = await runOnce(model, prefix.bytes, feeds);
  const session = await create(model, suffix.bytes);
  const run = async (tensors: Feeds) => (await outputsOf(session, tensors))[OUT];
  const same = await run({ ...feeds, ...crossing, [EDITED]: edit(activations) });
  const gather = (tensor: ort.Tensor, name: string) =>
    gatherContexts(tensor, model.tensors.get(name)!.shape, SEQUENCE, OTHER);
  const gathered = Object.entries(crossing).map(([name, tensor]) => [name, gather(tensor, name)]);
  const other = await run({
    ...feedsOf(model, gatherTokens(TOKENS, SEQUENCE, OTHER)),
    ...(Object.fromEntries(gathered) as Feeds),
    [EDITED]: gather(edit(activations), hook),
  });
  await session.release();
  return { same, other };
}

const GRAPHS = [
  ...FIXTURE_MODELS.map((name) => join('models', name)),
  ...FIXTURE_FAMILIES.map((name) => join('families', name)),
];

for (const name of GRAPHS) {
  test(`prefix then suffix, of as many or more contexts, is the whole model at every hook of ${name}`, async () => {
    const model = await OnnxModel.open(fixture(name));
    const feeds = feedsOf(model, TOKENS);
    const { bytes } = cutGraph(model.graph, [], model.tensors, LOGITS)[0];
    const whole = (await runOnce(model, bytes, feeds))[OUT];
    const others = feedsOf(model, gatherTokens(TOKENS, SEQUENCE, OTHER));
    const wholeOther = (await runOnce(model, bytes, others))[OUT];
    const isHalf = name.endsWith('fp16');
    if (!isHalf) assert.ok(largestDifference((await runOnce(model, model.path, feeds)).logits, whole) < 1e-5);
    // Scales of dynamic quantisation follow from the whole batch: other contexts give other logits.
    const isQuantised = model.graph.nodes.some(({ opType }) => opType === 'DynamicQuantizeLinear');
    const points = model.hookPoints();
    assert.ok(points.length >= 20);
    for (const { name: hook } of points) {
      const { same, other } = await cutLogits(model, hook, feeds);
      assert.ok(largestDifference(same, whole) < 1e-5, hook);
      if (!isQuantised) assert.ok(largestDifference(other, wholeOther) < 1e-5, `${hook}, other contexts`);
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
  const feeds = feedsOf(model, TOKENS);
  const { logits } = await runOnce(model, model.path, feeds);
  const zero = (x: ort.Tensor) => new ort.Tensor('float32', new Float32Array(x.size), x.dims);
  const edited = await cutLogits(model, 'blocks.0.mlp.hook_post', feeds, zero);
  assert.ok(largestDifference(edited.same, logits) > 0.1);
  // Without the MLP's part the stream is resid_mid + b_out: the same as hooking hook_mlp_out there.
  const mid = await cutLogits(model, 'mlp_out', feeds, zero);
  assert.ok(largestDifference(edited.same, mid.same) < 1e-5);
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
  const prefix = parseOnnx(harvestPrefix(model.graph, name, model.tensors).bytes, 'prefix');
  assert.equal(prefix.nodes.length, model.graph.ancestors([name]).size + 1);
  const names = new Set(prefix.graph.initializer.map((initializer) => initializer.name));
  assert.ok(names.has('embed.weight') && !names.has('blocks.1.mlp.up.bias'));
});
