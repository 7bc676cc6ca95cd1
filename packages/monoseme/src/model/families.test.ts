/** Graphs of published architectures, exported from the transformers library with random weights. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readSafetensors, type SafetensorsFile } from '../formats/index.ts';
import { FIXTURE_FAMILIES, fixture } from '../testing/fixtures.ts';
import { type Edit, HookedModel, ModelRunner, OnnxModel } from './index.ts';

const CONTEXT = 5;
let golden: SafetensorsFile;
let tokens: Uint32Array;
before(async () => {
  golden = await readSafetensors(fixture('golden/families.safetensors'));
  tokens = new Uint32Array((await golden.tensor('tokens')).bytes.buffer);
});
after(() => golden.close());

/** Root of the mean square of the difference to what PyTorch gives, as a share of that of the values. */
async function difference(actual: Float32Array, name: string, width: number): Promise<number> {
  const expected = await golden.floats(name, [2, CONTEXT, width]);
  assert.equal(actual.length, expected.length);
  const squares = (values: Float32Array) => values.reduce((sum, value) => sum + value * value, 0);
  return Math.sqrt(squares(actual.map((value, i) => value - expected[i])) / squares(expected));
}

const BLOCK = { hook_attn_out: 16, hook_mlp_out: 16, 'mlp.hook_post': 24 };

/** Aliases that a family has in both of its blocks, with their widths. */
function aliasesOf(family: string): Map<string, number> {
  const stream = family === 'bert' ? 'hook_normalized_resid_post' : 'hook_resid_post';
  const aliases = [0, 1].flatMap((block) =>
    Object.entries({ ...BLOCK, [stream]: 16 }).map(
      ([hook, width]) => [`blocks.${block}.${hook}`, width] as const,
    ),
  );
  // Behind BERT's last block the stream does not go on.
  return new Map(aliases.filter(([alias]) => alias !== 'blocks.1.hook_normalized_resid_post'));
}

/** The logits, and the activations at hooks in a run that is cut at all of them. */
async function run(model: OnnxModel, hooks: readonly string[]) {
  const rows = new Map<string, Float32Array>();
  const keep: Edit = ({ hookName, values }) => void rows.set(hookName, values.slice());
  const hooked = new HookedModel(model, { threads: 1 });
  const input = { tokens, contextSize: CONTEXT };
  const whole = await hooked.run(input);
  const cut = await hooked.run({ ...input, hooks: Object.fromEntries(hooks.map((hook) => [hook, keep])) });
  await hooked.close();
  return { rows, logits: { whole, cut } };
}

for (const name of FIXTURE_FAMILIES) {
  const family = name.split('-')[0];
  // int8 is 0.17 off on a CPU without dot products of bytes, where sums of two overflow; another block's tensor is 1.
  const tolerance = name.endsWith('fp16') ? 0.01 : name.endsWith('int8') ? 0.3 : 1e-4;
  const aliases = aliasesOf(family);
  const isGated = !['bert', 'gpt2', 'pythia'].includes(family);
  const [PRE, LINEAR] = ['blocks.1.mlp.hook_pre', 'blocks.1.mlp.hook_pre_linear'];

  describe(name, () => {
    let model: OnnxModel;
    let found: Awaited<ReturnType<typeof run>>;
    before(async () => {
      model = await OnnxModel.open(fixture('families', name));
      const others = ['blocks.1.attn.hook_z', PRE, ...(isGated ? [LINEAR] : [])];
      found = await run(model, [...aliases.keys(), ...others]);
    });

    test("every alias is the tensor that PyTorch's own module gives", async () => {
      for (const [alias, width] of aliases) {
        assert.equal(model.resolveHook(alias).dIn, width);
        const off = await difference(found.rows.get(alias)!, `${family} ${alias}`, width);
        assert.ok(off < tolerance, `${alias}: ${off}`);
      }
      assert.ok(model.resolveHook('blocks.1.hook_resid_pre').aliases.some((alias) => aliases.has(alias)));
      const hasMiddle = family !== 'pythia';
      if (hasMiddle) assert.equal(model.resolveHook('blocks.1.hook_resid_mid').dIn, 16);
      else assert.throws(() => model.resolveHook('blocks.1.hook_resid_mid'), { code: 'ERR_HOOK' });
      assert.equal(model.resolveHook('blocks.0.attn.hook_z').dIn, 16);
      assert.equal(model.embeddingRows, 50);
    });

    test('its first part alone gives the same', async () => {
      const runner = await ModelRunner.start(model, { hook: 'blocks.1.mlp.hook_post', threads: 1 });
      const rows = await runner.activations(tokens, CONTEXT);
      await runner.close();
      const off = await difference(rows, `${family} blocks.1.mlp.hook_post`, 24);
      assert.ok(off < tolerance, `${off}`);
    });

    test('mlp.hook_pre is what its function turns into mlp.hook_post', () => {
      const activation = /^(llama|qwen)/.test(family) ? silu : gelu;
      const [before, after, factors] = [PRE, 'blocks.1.mlp.hook_post', LINEAR].map((hook) =>
        found.rows.get(hook),
      );
      assert.equal(after!.length, tokens.length * 24);
      const off = before!.map((x, i) => Math.abs(activation(x) * (factors?.[i] ?? 1) - after![i]));
      assert.ok(Math.max(...off) < 2e-3, `${Math.max(...off)}`);
      if (!isGated) assert.throws(() => model.resolveHook(LINEAR), { code: 'ERR_HOOK' });
    });

    test("logits are PyTorch's, whole and cut where nothing is changed", async () => {
      for (const [how, logits] of Object.entries(found.logits)) {
        const off = await difference(logits, `${family} logits`, 50);
        assert.ok(off < tolerance, `${how}: ${off}`);
      }
    });
  });
}

function silu(x: number): number {
  return x / (1 + Math.exp(-x));
}

/** By its tanh, which is within 5e-4 of the one by erf that some of the models have. */
function gelu(x: number): number {
  return (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}
