import assert from 'node:assert/strict';
import { test } from 'node:test';
import ort from 'onnxruntime-node';
import { MonosemeError } from '../errors.ts';
import { fixture, randomTokens } from '../testing/fixtures.ts';
import { type Device, DEVICES, HookedModel, ModelRunner, OnnxModel } from './index.ts';

const MODEL = fixture('models/one-layer');
const HOOK = 'blocks.0.mlp.hook_post';
const { tokens } = randomTokens(2, 6);

async function figures(device?: Device): Promise<Float32Array[]> {
  const model = await OnnxModel.open(MODEL, { device });
  assert.equal(model.device, device ?? 'cpu');
  const runner = await ModelRunner.start(model, { hook: HOOK, threads: 1, suffix: true });
  const batch = await runner.openBatch(tokens, 6);
  const losses = await batch.losses(batch.activations);
  await batch.close();
  await runner.close();
  const hooked = new HookedModel(model, { threads: 1 });
  const logits = await hooked.run({ tokens, contextSize: 6, hooks: { [HOOK]: () => {} } });
  await hooked.close();
  return [batch.activations, losses, logits];
}

for (const device of DEVICES) {
  test(`${device}: the same figures as on the CPU, or a refusal that says what there is`, async (t) => {
    let found: Float32Array[];
    try {
      found = await figures(device);
    } catch (error) {
      assert.ok(error instanceof MonosemeError);
      assert.equal(error.code, 'ERR_OPTION');
      assert.notEqual(device, 'cpu');
      const offered = ort.listSupportedBackends().map(({ name }) => name);
      assert.match(
        error.message,
        new RegExp(`device ${device} cannot be used here: .*knows ${offered.join(', ')};`),
      );
      if (!offered.includes(device)) assert.match(error.message, /built without it/);
      return t.skip(error.message);
    }
    const expected = await figures();
    for (const [i, values] of expected.entries())
      values.forEach((value, at) => assert.ok(Math.abs(found[i][at] - value) < 1e-4, `${i} ${at}`));
  });
}
