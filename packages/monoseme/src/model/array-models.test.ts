/** Models that read arrays: a vision transformer, a model of recordings, a convolutional network. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readSafetensors, type SafetensorsFile, writeSafetensors } from '../formats/index.ts';
import { fixture } from '../testing/fixtures.ts';
import { ArrayRunner, HookedModel, InputArrays, ModelRunner, OnnxModel } from './index.ts';

const N = 3;
const VISION = ['vision-torchscript', 'vision-dynamo', 'vision-fp16', 'vision-int8'];
const MODELS = [...VISION, 'recording-torchscript', 'conditioned-torchscript'];
const folder = await mkdtemp(join(tmpdir(), 'monoseme-arrays-'));
let golden: SafetensorsFile;
before(async () => {
  golden = await readSafetensors(fixture('golden/arrays.safetensors'));
});
after(async () => {
  await golden.close();
  await rm(folder, { recursive: true });
});

const open = (name: string, options = {}) => OnnxModel.open(fixture('arrays', `${name}.onnx`), options);

async function samplesOf(model: OnnxModel, name: string): Promise<Record<string, Float32Array>> {
  const samples: Record<string, Float32Array> = {};
  for (const input of model.inputs)
    samples[input.name] = await golden.floats(`${name.split('-')[0]} input ${input.name}`);
  return samples;
}

function close(actual: ArrayLike<number>, expected: ArrayLike<number>, what: string, tolerance = 1e-5): void {
  assert.equal(actual.length, expected.length, what);
  for (let i = 0; i < actual.length; i++)
    assert.ok(Math.abs(actual[i] - expected[i]) < tolerance, `${what} ${i}: ${actual[i]} for ${expected[i]}`);
}

/** How far other precisions may be from PyTorch's f32; activations and outputs are of size 1 to 10. */
const toleranceOf = (name: string) => (name.endsWith('fp16') ? 0.02 : name.endsWith('int8') ? 0.5 : 1e-5);

for (const name of VISION) {
  test(`${name}: aliases are the tensors that PyTorch's own modules give`, async () => {
    const model = await open(name);
    assert.equal(model.readsTokens, false);
    const samples = await samplesOf(model, name);
    for (const block of [0, 1]) {
      for (const hook of ['hook_attn_out', 'hook_mlp_out', 'mlp.hook_post', 'hook_resid_post']) {
        const alias = `blocks.${block}.${hook}`;
        const runner = await ArrayRunner.start(model, { hook: alias, threads: 1 });
        const { layout, hookName } = runner;
        assert.deepEqual([hookName, layout.axes], [alias, [{ name: 'position', size: 5 }]]);
        const rows = await runner.activations(samples, N);
        close(rows, await golden.floats(`vision ${alias}`), alias, toleranceOf(name));
        await runner.close();
      }
    }
  });
}

test('one output of a tensor [batch, channel, patch, d]; [batch·channel, patch, d] is the same axes', async () => {
  const model = await open('recording-torchscript');
  const samples = await samplesOf(model, 'recording');
  const byWidth = (width: number, shape: string) =>
    model.hookPoints().filter((point) => point.dIn === width && point.shape.join() === shape);
  const [mid] = byWidth(16, 'batch,3,4,16').filter(({ aliases }) =>
    aliases.some((a) => a.endsWith('resid_mid')),
  );
  for (const [hook, tensor] of [
    [mid.name, 'mid'],
    [byWidth(16, 'batch*3,4,16').at(-1)!.name, 'out'],
  ]) {
    const sampleAxes = ['batch', 'channel', 'patch'];
    const runner = await ArrayRunner.start(model, { hook, sampleAxes, featureAxis: -1, threads: 1 });
    assert.deepEqual(runner.layout.axes, [
      { name: 'channel', size: 3 },
      { name: 'patch', size: 4 },
    ]);
    assert.deepEqual([runner.layout.rowsPerSample, runner.layout.dIn], [12, 16]);
    close(await runner.activations(samples, N), await golden.floats(`recording ${tensor}`), tensor);
    await runner.close();
  }
  // The features need not be last: here a row is one entry of d for all patches of a channel.
  const turned = await ArrayRunner.start(model, {
    ...{ hook: mid.name, sampleAxes: ['batch', 'channel', 'entry'], featureAxis: 2, threads: 1 },
  });
  const rows = await turned.activations(samples, N);
  const straight = await golden.floats('recording mid');
  const at = (sample: number, channel: number, patch: number, d: number) =>
    straight[((sample * 3 + channel) * 4 + patch) * 16 + d];
  assert.equal(turned.layout.dIn, 4);
  close(
    rows.subarray(((2 * 3 + 1) * 16 + 7) * 4).slice(0, 4),
    [0, 1, 2, 3].map((p) => at(2, 1, p, 7)),
    'turned',
  );
  await turned.close();
});

test('behind a convolution the features are its channels; all inputs are fed', async () => {
  const model = await open('conditioned-torchscript');
  const samples = await samplesOf(model, 'conditioned');
  const maps = model.hookPoints().filter(({ op }) => op === 'Conv');
  for (const [i, hook] of ['first', 'second'].entries()) {
    const runner = await ArrayRunner.start(model, { hook: maps[i].name, threads: 1 });
    const { axes, dIn, rowsPerSample } = runner.layout;
    assert.deepEqual([axes.map(({ name }) => name), dIn], [['row', 'column'], 8]);
    const expected = await golden.floats(`conditioned ${hook}`);
    const rows = await runner.activations(samples, N);
    const turned = rows.map((_, at) => {
      const [row, channel] = [Math.floor(at / 8), at % 8];
      const [sample, place] = [Math.floor(row / rowsPerSample), row % rowsPerSample];
      return expected[(sample * 8 + channel) * rowsPerSample + place];
    });
    close(rows, turned, hook);
    await runner.close();
  }
  const runner = await ArrayRunner.start(model, { hook: maps[0].name, threads: 1 });
  await assert.rejects(runner.activations({ image: samples['image'] }, N), {
    code: 'ERR_SHAPE',
    message: /gain/,
  });
  await runner.close();
});

for (const name of MODELS) {
  test(`${name}: the outputs are PyTorch's, whole and cut at every tensor`, async () => {
    const model = await open(name);
    const samples = await samplesOf(model, name);
    const expected = await golden.floats(`${name.split('-')[0]} classes`);
    const hooked = new HookedModel(model, { threads: 1 });
    const whole = (await hooked.outputs({ samples, nSamples: N }))['classes'].values;
    close(whole, expected, 'whole', toleranceOf(name));
    for (const point of model.hookPoints()) {
      let seen = 0;
      const look = () => void seen++;
      const found = await hooked.outputs({ samples, nSamples: N, hooks: { [point.name]: look } });
      assert.equal(seen, 1);
      close(found['classes'].values, whole, point.name);
    }
    await hooked.close();
  });
}

describe('what cannot be', () => {
  test('axes that do not fit; models of the other kind', async () => {
    const model = await open('vision-dynamo');
    const start = (axes: object) =>
      ArrayRunner.start(model, { hook: 'blocks.0.hook_mlp_out', threads: 1, ...axes });
    for (const axes of [
      { sampleAxes: ['batch'] },
      { sampleAxes: ['patch', 'batch'] },
      { sampleAxes: ['batch', 'a', 'b'] },
      { featureAxis: 0 },
      { featureAxis: 3 },
      { featureAxis: -4 },
    ])
      await assert.rejects(start(axes), { code: 'ERR_OPTION', message: /\[batch, 5, 16\]/ });
    await assert.rejects(start({ hook: 'none' }), { code: 'ERR_HOOK' });
    await assert.rejects(ModelRunner.start(model, { hook: 'blocks.0.hook_mlp_out' }), {
      code: 'ERR_MODEL',
      message: /reads pixel_values, not tokens/,
    });
    const words = await OnnxModel.open(fixture('models/one-layer'));
    await assert.rejects(ArrayRunner.start(words, { hook: 'blocks.0.hook_mlp_out' }), { code: 'ERR_MODEL' });
    const hooked = new HookedModel(model);
    await assert.rejects(hooked.run({ tokens: Uint32Array.of(1), contextSize: 1 }), { code: 'ERR_MODEL' });
    await hooked.close();
  });

  test('files that are not the inputs', async () => {
    const file = join(folder, 'two.safetensors');
    const tensor = (...shape: number[]) => ({
      dtype: 'F32' as const,
      shape,
      data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
    });
    await writeSafetensors(file, { a: tensor(2, 4), b: tensor(3, 4) }, {});
    await assert.rejects(InputArrays.open({ x: file }), {
      code: 'ERR_FORMAT',
      message: /no array "x": it has a, b/,
    });
    const other = join(folder, 'one.safetensors');
    await writeSafetensors(other, { a: tensor(4) }, {});
    await assert.rejects(InputArrays.open({ x: other }), { code: 'ERR_FORMAT', message: /shape \[4\]/ });
    await writeSafetensors(other, { a: tensor(5, 4) }, {});
    await assert.rejects(InputArrays.open({ a: file, x: other }), {
      code: 'ERR_MISMATCH',
      message: /2 samples.*5/,
    });
    await writeFile(join(folder, 'x.txt'), '');
    await assert.rejects(InputArrays.open({ x: join(folder, 'x.txt') }), { code: 'ERR_OPTION' });
    await assert.rejects(open('vision-dynamo', { inputs: { pixel_values: [3, 8] } }), {
      code: 'ERR_MODEL',
      message: /cannot be given as samples \[3, 8\]/,
    });
    await assert.rejects(open('vision-dynamo', { inputs: { pixels: 1 } }), {
      code: 'ERR_OPTION',
      message: /no input "pixels"\. It has pixel_values/,
    });
    await assert.rejects(open('vision-dynamo', { inputs: { pixel_values: 1 } }), { code: 'ERR_MODEL' });
  });
});
