import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import ort from 'onnxruntime-node';
import { ModelProtoSchema, TensorProtoSchema } from 'onnx-buf';
import { Random } from '../random/index.ts';
import { FIXTURE_MODELS, fixture, randomTokens } from '../testing/fixtures.ts';
import { node } from './cut.ts';
import { type Edit, HookedModel, type HookedActivations, OnnxModel } from './index.ts';
import { makeFeeds } from './model-inputs.ts';
import { ELEMENT } from './onnx-graph.ts';

const CONTEXT = 7;
const { tokens } = randomTokens(3, CONTEXT);
const VOCAB = 50;

/** Logits of the model with some of its tensors halved, by one graph that does it inside. */
async function halvedInside(model: OnnxModel, hooks: readonly string[]): Promise<Float32Array> {
  const changed = fromBinary(ModelProtoSchema, toBinary(ModelProtoSchema, model.graph.model));
  const graph = changed.graph!;
  const half = { name: 'half', dataType: ELEMENT.float, floatData: [0.5] };
  graph.initializer.push(create(TensorProtoSchema, half));
  for (const hook of hooks) {
    for (const user of graph.node)
      user.input = user.input.map((name) => (name === hook ? `${hook}.half` : name));
    const at = graph.node.findIndex(({ output }) => output.includes(hook));
    graph.node.splice(at + 1, 0, node('Mul', [hook, 'half'], `${hook}.half`));
  }
  const extra = { session: { model_external_initializers_file_folder_path: dirname(model.path) } };
  const bytes = toBinary(ModelProtoSchema, changed);
  const session = await ort.InferenceSession.create(bytes, { extra, logSeverityLevel: 3 });
  const feeds = Object.fromEntries(
    Object.entries(makeFeeds(model.inputs, tokens, CONTEXT)).map(([name, { data, dims }]) => [
      name,
      new ort.Tensor('int64', data as never, dims),
    ]),
  );
  const { logits } = await session.run(feeds);
  await session.release();
  return logits.data as Float32Array;
}

const halve: Edit = ({ values }) => values.map((value) => value / 2);

function close(actual: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  assert.equal(actual.length, expected.length);
  for (let i = 0; i < actual.length; i++)
    assert.ok(Math.abs(actual[i] - expected[i]) < 2e-5, `${what}: ${i} is ${actual[i]}, not ${expected[i]}`);
}

for (const name of FIXTURE_MODELS) {
  test(`edits at several hooks at once are those of a graph with them inside: ${name}`, async () => {
    const model = await OnnxModel.open(fixture('models', name));
    const hooked = new HookedModel(model, { threads: 1 });
    const names = model.hookPoints().map((point) => point.name);
    names.splice(names.indexOf('logits'), 1);
    const random = new Random(8);
    for (const size of [0, 1, 2, 2, 3, 3, 5]) {
      const order = random.permutation(names.length);
      const hooks = Array.from(order.subarray(0, size), (i) => names[i]);
      const logits = await hooked.run({
        tokens,
        contextSize: CONTEXT,
        hooks: Object.fromEntries(hooks.map((hook) => [hook, halve])),
      });
      close(logits, await halvedInside(model, hooks), hooks.join(', '));
    }
    await hooked.close();
  });
}

describe('a hooked model', () => {
  let hooked: HookedModel;
  before(async () => {
    hooked = new HookedModel(await OnnxModel.open(fixture('models/one-layer')), { threads: 1 });
  });
  after(() => hooked.close());
  const POST = 'blocks.0.mlp.hook_post';

  test('an edit sees activations with their sizes, and may change nothing', async () => {
    const seen: HookedActivations[] = [];
    const look: Edit = (activations) => void seen.push(activations);
    const hooks = { [POST]: look, 'blocks.0.attn.hook_pattern': look };
    const logits = await hooked.run({ tokens, contextSize: CONTEXT, hooks });
    close(logits, await hooked.run({ tokens, contextSize: CONTEXT }), 'logits');
    assert.deepEqual(
      seen.map(({ hookName, dims }) => [hookName, dims]),
      [
        ['blocks.0.attn.hook_pattern', [3, 2, CONTEXT, CONTEXT]],
        [POST, [3, CONTEXT, 24]],
      ],
    );
  });

  test('in place or returned, one after the other; only chosen rows of logits', async () => {
    const twice: Edit[] = [
      halve,
      async ({ values }) => {
        for (let i = 0; i < values.length; i++) values[i] *= 2;
      },
    ];
    const rows = Uint32Array.of(20, 0, 6);
    const logits = await hooked.run({ tokens, contextSize: CONTEXT, hooks: { [POST]: twice }, rows });
    const all = await hooked.run({ tokens, contextSize: CONTEXT });
    rows.forEach((row, i) =>
      close(
        logits.subarray(i * VOCAB, (i + 1) * VOCAB),
        all.subarray(row * VOCAB, (row + 1) * VOCAB),
        `row ${row}`,
      ),
    );
  });

  test('overlapping runs over more sets of hooks than are kept', async () => {
    const names = hooked.model
      .hookPoints()
      .map(({ name }) => name)
      .slice(0, 9);
    const all = await hooked.run({ tokens, contextSize: CONTEXT });
    const runs = [...names, ...names].map((name) =>
      hooked.run({ tokens, contextSize: CONTEXT, hooks: { [name]: () => {} } }),
    );
    for (const logits of await Promise.all(runs)) close(logits, all, 'logits');
  });

  test('mistakes: no such hook, another length, a row that is not there, a model without logits', async () => {
    const rejects = (input: object, code: string) =>
      assert.rejects(hooked.run({ tokens, contextSize: CONTEXT, ...input }), { code });
    await rejects({ hooks: { nothing: halve } }, 'ERR_HOOK');
    await rejects({ hooks: { [POST]: () => new Float32Array(3) } }, 'ERR_SHAPE');
    await rejects({ rows: Uint32Array.of(21) }, 'ERR_OPTION');
    await rejects({ contextSize: 13 }, 'ERR_SHAPE');
    await rejects({ signal: AbortSignal.abort() }, 'ERR_INTERRUPTED');
    const failing = () => {
      throw new RangeError('mine');
    };
    await assert.rejects(
      hooked.run({ tokens, contextSize: CONTEXT, hooks: { [POST]: failing } }),
      RangeError,
    );
  });
});
