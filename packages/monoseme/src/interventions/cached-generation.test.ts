/** Graphs with caches of keys and values: texts are read piece by piece, under edits too, as if they were read whole. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from 'onnx-buf';
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

for (const name of FIXTURE_FAMILIES.filter((family) => family.includes('optimum'))) {
  for (const [what, hooks] of Object.entries(SETS)) {
    test(`${name}, ${what}: tokens and log-probabilities are those of whole texts`, async () => {
      const hooked = new HookedModel(await OnnxModel.open(fixture('families', name)), { threads: 1 });
      const seen: number[] = [];
      const input = { hooked, prompts, promptSize: PROMPT, nTokens: NEW, temperature: 1 };
      const found = await generate({
        ...input,
        hooks: { ...hooks, 'blocks.1.hook_resid_mid': looking(seen) },
      });
      assert.deepEqual(seen, [5, 1, 1, 1, 1, 1, 1]);
      const whole = await generate({ ...input, hooks: uncertain(hooks) });
      assert.deepEqual(found.tokens, whole.tokens);
      const texts = new Uint32Array(3 * (PROMPT + NEW));
      for (let i = 0; i < 3; i++) {
        texts.set(prompts.subarray(i * PROMPT, (i + 1) * PROMPT), i * (PROMPT + NEW));
        texts.set(found.tokens.subarray(i * NEW, (i + 1) * NEW), i * (PROMPT + NEW) + PROMPT);
      }
      const tolerance = name.endsWith('fp16') ? 5e-3 : 1e-4;
      const scores = await scoreTokens(hooked, texts, PROMPT + NEW, NEW, hooks);
      for (const other of [whole.logProbs, scores])
        found.logProbs.forEach((value, i) =>
          assert.ok(Math.abs(value - other[i]) < tolerance, `${i}: ${value}, ${other[i]}`),
        );
      await hooked.close();
    });
  }
}

test('a model that forgets is read whole', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'monoseme-forgetful-'));
  const path = join(folder, 'model.onnx');
  await writeFile(path, await forgetful(fixture('families/gpt2-optimum')));
  const hooked = new HookedModel(await OnnxModel.open(path), { threads: 1 });
  const whole = new HookedModel(await OnnxModel.open(fixture('families/gpt2-optimum')), { threads: 1 });
  const seen: number[] = [];
  const input = { prompts, promptSize: PROMPT, nTokens: 4 };
  const found = await generate({ ...input, hooked, hooks: { 'blocks.1.hook_resid_mid': looking(seen) } });
  assert.deepEqual(seen, [5, 6, 7, 8]);
  assert.deepEqual(found.tokens, (await generate({ ...input, hooked: whole })).tokens);
  await hooked.close();
  await whole.close();
  await rm(folder, { recursive: true });
});

/** The model with caches of the last three tokens alone, as those of windows are. */
async function forgetful(folder: string): Promise<Uint8Array> {
  const { graph } = await OnnxModel.open(folder);
  const changed = fromBinary(ModelProtoSchema, toBinary(ModelProtoSchema, graph.model));
  const parts = changed.graph!;
  for (const { name } of parts.output.filter((output) => output.name.startsWith('present'))) {
    const rename = (tensor: string) => (tensor === name ? `${name}.whole` : tensor);
    for (const each of parts.node) {
      each.input = each.input.map(rename);
      each.output = each.output.map(rename);
    }
    parts.node.push(node('Slice', [`${name}.whole`, 'from', 'to', 'along'], name));
  }
  const end = 2 ** 31;
  parts.initializer.push(int64('from', [-3]), int64('to', [end]), int64('along', [2]));
  return toBinary(ModelProtoSchema, changed);
}
