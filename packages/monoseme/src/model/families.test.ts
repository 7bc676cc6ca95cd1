/** Graphs of published architectures, exported from the transformers library with random weights. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { readSafetensors, type SafetensorsFile } from '../formats/index.ts';
import { FIXTURE_FAMILIES, fixture } from '../testing/fixtures.ts';
import { HookedModel, ModelRunner, OnnxModel } from './index.ts';

const CONTEXT = 5;
let golden: SafetensorsFile;
let tokens: Uint32Array;
before(async () => {
  golden = await readSafetensors(fixture('golden/families.safetensors'));
  tokens = new Uint32Array((await golden.tensor('tokens')).bytes.buffer);
});
after(() => golden.close());

/** Largest difference to what PyTorch gives, as a share of the largest value. */
async function difference(actual: Float32Array, name: string, width: number): Promise<number> {
  const expected = await golden.floats(name, [2, CONTEXT, width]);
  assert.equal(actual.length, expected.length);
  const largest = Math.max(...expected.map(Math.abs));
  return Math.max(...actual.map((value, i) => Math.abs(value - expected[i]))) / largest;
}

for (const name of FIXTURE_FAMILIES) {
  const family = name.split('-')[0];
  const tolerance = name.endsWith('fp16') ? 0.01 : name.endsWith('int8') ? 0.15 : 1e-4;

  test(`${name}: every alias is the tensor that PyTorch's own module gives`, async () => {
    const model = await OnnxModel.open(fixture('families', name));
    const stream = family === 'bert' ? 'hook_normalized_resid_post' : 'hook_resid_post';
    for (const block of [0, 1]) {
      for (const [hook, width] of [
        ['hook_attn_out', 16],
        ['hook_mlp_out', 16],
        ['mlp.hook_post', 24],
        [stream, 16],
      ] as const) {
        // Behind BERT's last block the stream does not go on.
        if (family === 'bert' && hook === stream && block === 1) continue;
        const alias = `blocks.${block}.${hook}`;
        const runner = await ModelRunner.start(model, { hook: alias, threads: 1 });
        assert.equal(runner.dIn, width);
        const found = await difference(
          await runner.activations(tokens, CONTEXT),
          `${family} ${alias}`,
          width,
        );
        assert.ok(found < tolerance, `${alias}: ${found}`);
        await runner.close();
      }
    }
    assert.equal(model.resolveHook('blocks.1.hook_resid_pre').aliases.includes(`blocks.0.${stream}`), true);
    const hasMiddle = family !== 'pythia';
    if (hasMiddle) assert.equal(model.resolveHook('blocks.1.hook_resid_mid').dIn, 16);
    else assert.throws(() => model.resolveHook('blocks.1.hook_resid_mid'), { code: 'ERR_HOOK' });
    assert.equal(model.resolveHook('blocks.0.attn.hook_z').dIn, 16);
    assert.equal(model.embeddingRows, 50);
  });

  const isGated = !['bert', 'gpt2', 'pythia'].includes(family);
  const activation = /^(llama|qwen)/.test(family) ? silu : gelu;
  test(`${name}: mlp.hook_pre is what its function turns into mlp.hook_post`, async () => {
    const model = await OnnxModel.open(fixture('families', name));
    const [before, after, factors] = await Promise.all(
      ['pre', 'post', ...(isGated ? ['pre_linear'] : [])].map(async (place) => {
        const runner = await ModelRunner.start(model, { hook: `blocks.1.mlp.hook_${place}`, threads: 1 });
        const rows = await runner.activations(tokens, CONTEXT);
        await runner.close();
        return rows;
      }),
    );
    assert.equal(after.length, tokens.length * 24);
    const off = before.map((x, i) => Math.abs(activation(x) * (factors?.[i] ?? 1) - after[i]));
    assert.ok(Math.max(...off) < 2e-3, `${Math.max(...off)}`);
    if (!isGated)
      assert.throws(() => model.resolveHook('blocks.1.mlp.hook_pre_linear'), { code: 'ERR_HOOK' });
  });

  test(`${name}: logits are PyTorch's, whole and through edits that change nothing`, async () => {
    const model = await OnnxModel.open(fixture('families', name));
    const hooked = new HookedModel(model, { threads: 1 });
    const hooks = { 'blocks.0.hook_mlp_out': () => {}, 'blocks.1.attn.hook_z': () => {} };
    for (const set of [{}, hooks]) {
      const logits = await hooked.run({ tokens, contextSize: CONTEXT, hooks: set });
      const found = await difference(logits, `${family} logits`, 50);
      assert.ok(found < tolerance, `${found}`);
    }
    await hooked.close();
  });
}

function silu(x: number): number {
  return x / (1 + Math.exp(-x));
}

/** By its tanh, which is within 5e-4 of the one by erf that some of the models have. */
function gelu(x: number): number {
  return (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}
