import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import ort from 'onnxruntime-node';
import { readSafetensors } from '../formats/index.ts';
import { FIXTURE_MODELS, fixture, randomTokens } from '../testing/fixtures.ts';
import { averageLogitJacobian, ModelRunner, OnnxModel } from './index.ts';
import { makeFeeds } from './model-inputs.ts';
import { WorkerClient } from './worker-client.ts';

const POST = 'blocks.0.mlp.hook_post';

/** Next-token losses from the logits of the untouched model, in f64. */
async function lossesOf(model: OnnxModel, tokens: Uint32Array, contextSize: number): Promise<number[]> {
  const session = await ort.InferenceSession.create(model.path);
  const feeds: Record<string, ort.Tensor> = {};
  for (const [name, { type, data, dims }] of Object.entries(makeFeeds(model.inputs, tokens, contextSize)))
    feeds[name] = new ort.Tensor(type as 'float32', data as Float32Array, dims);
  const logits = (await session.run(feeds)).logits.data as Float32Array;
  await session.release();
  const vocab = model.logits!.vocabSize;
  const losses: number[] = [];
  for (let i = 0; i < tokens.length; i++) {
    if (i % contextSize === contextSize - 1) continue;
    const row = [...logits.subarray(i * vocab, (i + 1) * vocab)];
    losses.push(Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0)) - row[tokens[i + 1]]);
  }
  return losses;
}

function close(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number, what = ''): void {
  assert.equal(actual.length, expected.length);
  for (let i = 0; i < actual.length; i++)
    assert.ok(
      Math.abs(actual[i] - expected[i]) <= tolerance,
      `${what} ${i}: ${actual[i]} for ${expected[i]}`,
    );
}

describe('a runner of the tiny model', () => {
  let model: OnnxModel;
  let runner: ModelRunner;
  before(async () => {
    model = await OnnxModel.open(fixture('models/one-layer'));
    runner = await ModelRunner.start(model, { hook: POST, threads: 1, suffix: true });
  });
  after(() => runner.close());

  test('knows its widths and names', () => {
    assert.deepEqual([runner.dIn, runner.vocabSize, runner.hookName, runner.threads], [24, 50, POST, 1]);
  });

  test('activations are the hooked tensor, in the order of the tokens, whatever the batches', async () => {
    const { tokens } = randomTokens(400, 12);
    const all = await runner.activations(tokens, 12);
    assert.equal(all.length, tokens.length * 24);
    assert.ok(all.every((value) => value >= 0) && all.some((value) => value > 0));
    for (const context of [0, 1, 170, 171, 399]) {
      const one = await runner.activations(tokens.subarray(context * 12, context * 12 + 12), 12);
      close(one, all.subarray(context * 12 * 24, (context + 1) * 12 * 24), 1e-6);
    }
  });

  test('asking at the same time gives each its own answer', async () => {
    const parts = [1, 2, 3].map((seed) => randomTokens(2, 12, seed).tokens);
    const together = await Promise.all(parts.map((tokens) => runner.activations(tokens, 12)));
    for (const [i, tokens] of parts.entries())
      assert.deepEqual(together[i], await runner.activations(tokens, 12));
  });

  test('losses of the untouched activations are those of the model', async () => {
    const { tokens } = randomTokens(200, 12);
    const batch = await runner.openBatch(tokens, 12);
    const losses = await batch.losses(batch.activations);
    assert.equal(losses.length, 200 * 11);
    close(losses, await lossesOf(model, tokens, 12), 1e-5);
    const zero = await batch.losses(new Float32Array(batch.activations.length));
    assert.ok(zero.some((loss, i) => Math.abs(loss - losses[i]) > 0.1));
    assert.deepEqual(await batch.losses(batch.activations), losses, 'an edit does not stay');
    await assert.rejects(batch.losses(new Float32Array(5)), { code: 'ERR_SHAPE' });
    await batch.close();
  });

  test('an edit at one position changes no loss before it', async () => {
    const { tokens } = randomTokens(1, 12);
    const batch = await runner.openBatch(tokens, 12);
    const before = await batch.losses(batch.activations);
    const edited = batch.activations.slice();
    edited.fill(3, 6 * 24, 7 * 24);
    const after = await batch.losses(edited);
    close(after.subarray(0, 6), before.subarray(0, 6), 1e-6);
    assert.ok(Math.abs(after[6] - before[6]) > 1e-3);
    await batch.close();
  });

  test('tokens that do not fit are refused before the model runs', async () => {
    await assert.rejects(runner.activations(Uint32Array.of(1, 50), 2), {
      code: 'ERR_TOKENIZER',
      message: /Token 1 has the id 50, but the model embeds only 50/,
    });
    await assert.rejects(runner.activations(new Uint32Array(13), 13), {
      code: 'ERR_OPTION',
      message: /at most 12/,
    });
    await assert.rejects(runner.activations(new Uint32Array(13), 12), { code: 'ERR_SHAPE' });
    await assert.rejects(runner.activations(new Uint32Array(0), 0), { code: 'ERR_OPTION' });
  });
});

for (const name of FIXTURE_MODELS) {
  test(`losses through the cut are those of ${name}`, async () => {
    const model = await OnnxModel.open(fixture('models', name));
    const runner = await ModelRunner.start(model, { hook: POST, threads: 1, suffix: true });
    const { tokens } = randomTokens(3, 9);
    const batch = await runner.openBatch(tokens, 9);
    // Half precision is checked against the same model's f32 version, loosely.
    const isHalf = name.endsWith('fp16');
    const reference = isHalf ? await OnnxModel.open(fixture('models/one-layer')) : model;
    close(await batch.losses(batch.activations), await lossesOf(reference, tokens, 9), isHalf ? 0.05 : 1e-5);
    await runner.close();
  });
}

test('hooks that cannot be run', async () => {
  const model = await OnnxModel.open(fixture('models/one-layer'));
  const start = (hook: string, suffix = false) => ModelRunner.start(model, { hook, threads: 1, suffix });
  await assert.rejects(start('z_heads'), {
    code: 'ERR_HOOK',
    message: /\[batch, 2, sequence, 8\], not one row/,
  });
  await assert.rejects(start('nothing'), { code: 'ERR_HOOK', message: /The nearest are/ });
  await assert.rejects(ModelRunner.start(model, { hook: POST, threads: 0 }), { code: 'ERR_OPTION' });
  const logits = await start('logits', true);
  const { tokens } = randomTokens(1, 12);
  const batch = await logits.openBatch(tokens, 12);
  close(await batch.losses(batch.activations), await lossesOf(model, tokens, 12), 1e-5);
  await logits.close();
});

test('rank-4 tensors with one row per token are joined to rows', async () => {
  const model = await OnnxModel.open(fixture('models/one-layer'));
  const { tokens } = randomTokens(2, 12);
  const [wide, flat] = await Promise.all(
    ['blocks.0.attn.hook_z', 'z_flat'].map((hook) => ModelRunner.start(model, { hook, threads: 1 })),
  );
  assert.equal(wide.dIn, 16);
  assert.deepEqual(await wide.activations(tokens, 12), await flat.activations(tokens, 12));
  await Promise.all([wide.close(), flat.close()]);
});

test('a closed runner says so, and closing waits for what was asked', async () => {
  const model = await OnnxModel.open(fixture('models/one-layer'));
  const runner = await ModelRunner.start(model, { hook: POST, threads: 1 });
  const { tokens } = randomTokens(50, 12);
  const asked = runner.activations(tokens, 12);
  await new Promise((resolve) => setImmediate(resolve));
  await runner.close();
  assert.equal((await asked).length, tokens.length * 24);
  await assert.rejects(runner.activations(tokens, 12), { code: 'ERR_MODEL', message: /closed/ });
  await runner.close();
});

test("the worker's death is an error of everything that waits", async () => {
  const client = new WorkerClient();
  const waiting = client.ask('closeBatch', { batch: 0 });
  const terminated = client.terminate();
  await assert.rejects(waiting, { code: 'ERR_MODEL', message: /thread died/ });
  await terminated;
  await assert.rejects(client.ask('closeBatch', { batch: 0 }), { code: 'ERR_MODEL', message: /thread died/ });
  await client.close();
});

test('a process that exits while the model runs exits with its own code, not by a crash', async () => {
  const script = `
    import { ModelRunner, OnnxModel } from ${JSON.stringify(new URL('./index.js', import.meta.url).href)};
    const model = await OnnxModel.open(${JSON.stringify(fixture('models/one-layer'))});
    const runner = await ModelRunner.start(model, { hook: '${POST}', threads: 2 });
    runner.activations(new Uint32Array(12 * 200_000), 12);
    setTimeout(() => process.exit(3), 20);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' });
  const [code, signal] = await once(child, 'exit');
  assert.deepEqual([code, signal], [3, null]);
});

test('an error inside the worker comes with its code, and the worker goes on', async () => {
  const client = new WorkerClient();
  const session = {
    folder: '',
    threads: 1,
    inputs: [],
    reads: new Map(),
    device: 'cpu' as const,
    gives: [],
    edits: [],
    cpuNodes: [],
    optimize: true,
  };
  const load = client.ask('load', { as: 'harvest', session: { ...session, bytes: Uint8Array.of(1, 2, 3) } });
  await assert.rejects(load, { code: 'ERR_MODEL', message: /ONNX Runtime could not run the model/ });
  await client.ask('closeBatch', { batch: 0 });
  await client.close();
});

describe('the average Jacobian of the logits', () => {
  for (const [name, golden] of [
    ['one-layer', 'one_layer'],
    ['gpt-two-layer', 'gpt_two_layer'],
    ['gpt-two-layer-torchscript', 'gpt_two_layer'],
  ]) {
    test(`${name}: equals the exact one by automatic differentiation`, async () => {
      const file = await readSafetensors(fixture('golden/jacobians.safetensors'));
      const tokens = new Uint32Array((await file.tensor('tokens')).bytes.buffer);
      const exact = await file.floats(golden, [24, 50]);
      await file.close();
      const model = await OnnxModel.open(fixture('models', name));
      const runner = await ModelRunner.start(model, { hook: POST, threads: 1, suffix: true });
      // Six contexts of 8 tokens, six references of 8 tokens: exactly the references of the golden file.
      const jacobian = await averageLogitJacobian(runner, tokens, 8, { nReferences: 6, referenceTokens: 8 });
      const largest = Math.max(...exact.map(Math.abs));
      close(jacobian, exact, 5e-4 * largest, name);
      await runner.close();
    });
  }

  test('is reproducible, moves with the seed, and can be interrupted', async () => {
    const model = await OnnxModel.open(fixture('models/one-layer'));
    const runner = await ModelRunner.start(model, { hook: POST, threads: 1, suffix: true });
    const { tokens } = randomTokens(20, 12);
    const make = (seed: number, signal?: AbortSignal) =>
      averageLogitJacobian(runner, tokens, 12, { nReferences: 4, referenceTokens: 5, seed, signal });
    const first = await make(1);
    assert.deepEqual(await make(1), first);
    assert.notDeepEqual(await make(2), first);
    await assert.rejects(make(1, AbortSignal.abort()), { code: 'ERR_INTERRUPTED' });
    await assert.rejects(averageLogitJacobian(runner, new Uint32Array(), 12), { code: 'ERR_EMPTY_TEXT' });
    await runner.close();
  });
});

test('as many tokens at once as is fastest, or as is said: the same activations', async () => {
  const model = await OnnxModel.open(fixture('models/one-layer'));
  const { tokens } = randomTokens(40, 12);
  const runner = await ModelRunner.start(model, { hook: 'blocks.0.mlp.hook_post', threads: 1 });
  const usual = await runner.activations(tokens, 12);
  assert.equal(runner.tokensPerRun, 1024);
  await runner.tuneBatch(12, 'auto');
  assert.ok([256, 512, 1024, 2048].includes(runner.tokensPerRun));
  for (const size of [runner.tokensPerRun, 30, 1]) {
    await runner.tuneBatch(12, size);
    const found = await runner.activations(tokens, 12);
    usual.forEach((value, i) => assert.ok(Math.abs(found[i] - value) < 1e-5));
  }
  await assert.rejects(runner.tuneBatch(12, 0), { code: 'ERR_OPTION' });
  await runner.close();
});
