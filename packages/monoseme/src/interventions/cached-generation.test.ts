/** Graphs with caches of keys and values: texts are read piece by piece, under edits too, as if they were read whole. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { type GraphProto, ModelProtoSchema } from 'onnx-buf';
import { node } from '../model/cut.ts';
import { type Edit, HookedModel, type Hooks, OnnxModel } from '../model/index.ts';
import { int64 } from '../model/suffix-heads.ts';
import { FIXTURE_FAMILIES, fixture, randomTokens } from '../testing/fixtures.ts';
import { addDirection, generate, resample, scoreTokens, zero } from './index.ts';

const PROMPT = 5;
const NEW = 7;
const { tokens: prompts } = randomTokens(3, PROMPT);
const direction = Float32Array.from({ length: 16 }, (_, i) => Math.sin(i));
const pool = Float32Array.from({ length: 4 * 24 }, (_, i) => Math.cos(i));

const SETS: Record<string, Hooks> = {
  'no edits': {},
  'the stream between the blocks': { 'blocks.0.hook_resid_post': addDirection(direction, 2) },
  'some places of the last MLP': { 'blocks.1.hook_mlp_out': zero((position) => position > 3) },
  'two hooks, one drawn by place': {
    'blocks.0.mlp.hook_post': resample(pool, 3, (position, context) => context === 1 && position % 2 === 0),
    'blocks.1.hook_resid_pre': addDirection(direction, -1, (position) => position >= PROMPT),
  },
};

/** The same edits, not known to be of each row by itself. */
const uncertain = (hooks: Hooks): Hooks =>
  Object.fromEntries(
    Object.entries({ 'blocks.0.hook_mlp_out': () => {}, ...hooks }).map(([name, edit]) => [
      name,
      ((activations) => (edit as Edit)(activations)) as Edit,
    ]),
  );

/** The rows of one context that its edits see, run by run. */
function looking(seen: number[]): Edit {
  const look: Edit = ({ contextSize }) => void seen.push(contextSize);
  return Object.assign(look, { byRow: true });
}

for (const name of FIXTURE_FAMILIES.filter((family) => family.endsWith('optimum'))) {
  for (const [what, hooks] of Object.entries(SETS)) {
    test(`${name}, ${what}: tokens and log-probabilities are those of whole texts`, async () => {
      const hooked = new HookedModel(await OnnxModel.open(fixture('families', name)), { threads: 1 });
      const seen: number[] = [];
      const input = { hooked, prompts, promptSize: PROMPT, nTokens: NEW, temperature: 1 };
      const found = await generate({
        ...input,
        hooks: { ...hooks, 'blocks.1.attn.hook_z': looking(seen) },
      });
      assert.deepEqual(seen, [5, 1, 1, 1, 1, 1, 1]);
      const whole = await generate({ ...input, hooks: uncertain(hooks) });
      assert.deepEqual(found.tokens, whole.tokens);
      const texts = new Uint32Array(3 * (PROMPT + NEW));
      for (let i = 0; i < 3; i++) {
        texts.set(prompts.subarray(i * PROMPT, (i + 1) * PROMPT), i * (PROMPT + NEW));
        texts.set(found.tokens.subarray(i * NEW, (i + 1) * NEW), i * (PROMPT + NEW) + PROMPT);
      }
      const scores = await scoreTokens(hooked, texts, PROMPT + NEW, NEW, hooks);
      for (const other of [whole.logProbs, scores])
        found.logProbs.forEach((value, i) =>
          assert.ok(Math.abs(value - other[i]) < 1e-4, `${i}: ${value}, ${other[i]}`),
        );
      await hooked.close();
    });
  }
}

/** Continue the prompts with a changed GPT-2, and with that as it is, looking at a hook of the first. */
async function besideUnchanged(change: (graph: GraphProto) => void, hook: string): Promise<number[]> {
  const folder = await mkdtemp(join(tmpdir(), 'monoseme-cached-'));
  const original = await OnnxModel.open(fixture('families/gpt2-optimum'));
  const changed = fromBinary(ModelProtoSchema, toBinary(ModelProtoSchema, original.graph.model));
  change(changed.graph!);
  await writeFile(join(folder, 'model.onnx'), toBinary(ModelProtoSchema, changed));
  const hooked = new HookedModel(await OnnxModel.open(folder), { threads: 1 });
  const whole = new HookedModel(original, { threads: 1 });
  const seen: number[] = [];
  const input = { prompts, promptSize: PROMPT, nTokens: 4 };
  const found = await generate({ ...input, hooked, hooks: { [hook]: looking(seen) } });
  assert.deepEqual(found.tokens, (await generate({ ...input, hooked: whole })).tokens);
  await hooked.close();
  await whole.close();
  await rm(folder, { recursive: true });
  return seen;
}

test('a model that forgets is read whole, as where caches are cut to a window', async () => {
  const seen = await besideUnchanged((graph) => {
    for (const { name } of graph.output.filter((output) => output.name.startsWith('present'))) {
      const rename = (tensor: string) => (tensor === name ? `${name}.whole` : tensor);
      for (const each of graph.node) {
        each.input = each.input.map(rename);
        each.output = each.output.map(rename);
      }
      graph.node.push(node('Slice', [`${name}.whole`, 'from', 'to', 'along'], name));
    }
    graph.initializer.push(int64('from', [-3]), int64('to', [2 ** 31]), int64('along', [2]));
  }, 'blocks.1.attn.hook_z');
  assert.deepEqual(seen, [5, 6, 7, 8]);
});

test('a tensor that holds all keys, one row per token, is edited in whole texts', async () => {
  const seen = await besideUnchanged((graph) => {
    graph.node.push(node('Transpose', ['present.0.key'], 'keys', { perm: [0, 2, 1, 3] }));
  }, 'keys');
  assert.deepEqual(seen, [5, 6, 7, 8]);
});
