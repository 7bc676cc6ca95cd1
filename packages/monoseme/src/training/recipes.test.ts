/** What every architecture may be trained with: schedules, targets, averages, normalisation, a watch over divergence. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ActivationSource } from '../activations/index.ts';
import { decode, type Dictionary, encode, loadDictionary, rowNorms, standard } from '../dictionary/index.ts';
import type { MonosemeError } from '../errors.ts';
import { type KernelBackend, selectBackend } from '../kernels/index.ts';
import { plantedSource, TINY } from '../testing/planted.ts';
import { DivergenceWatch } from './divergence.ts';
import { initialState } from './initialize.ts';
import { DEFAULT_OPTIONS, type TrainOptions } from './options.ts';
import { finishedForm } from './parameters.ts';
import { resolveOptions } from './presets.ts';
import { kAt, learningRateAt } from './schedule.ts';
import { followTargetL0_, paceSteps, sparsityFactor, startOfControl } from './sparsity-control.ts';
import { trainInMemory } from './train-in-memory.ts';
import { trainDictionary } from './train.ts';
import { followWeights_, type WeightAverage } from './weight-average.ts';

const SOURCE = plantedSource({ nChunks: 12, chunkRows: 256, seed: 5 }, TINY);
const SIZES: Partial<TrainOptions> = {
  dSae: 32,
  batchRows: 64,
  tokens: 64 * 30,
  bufferRows: 512,
  checkpointEvery: 7,
  logEvery: 3,
};
let folder: string;
let backend: KernelBackend;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monoseme-recipes-'));
  backend = await selectBackend({ name: 'reference' });
});
after(() => rm(folder, { recursive: true }));

const train = (changes: Partial<TrainOptions>, source: ActivationSource = SOURCE) =>
  trainInMemory({ source, backend, options: resolveOptions({ ...SIZES, ...changes }) });

async function reconstructions(dictionary: Dictionary, x: Float32Array): Promise<Float32Array> {
  return decode(dictionary, backend, await encode(dictionary, backend, x, 256), x);
}

describe('schedule', () => {
  const options = { ...DEFAULT_OPTIONS, learningRate: 2, learningRateWarmUp: 0.1, learningRateDecay: 0.5 };
  test('linear', () => {
    assert.equal(learningRateAt(4, 100, options), 1, 'half of the warm-up');
    assert.equal(learningRateAt(30, 100, options), 2);
    assert.equal(learningRateAt(75, 100, options), 1, 'half of the decay');
  });
  test('cosine', () => {
    const cosine = { ...options, learningRateShape: 'cosine' as const };
    assert.ok(Math.abs(learningRateAt(4, 100, cosine) - 1) < 1e-12);
    assert.equal(learningRateAt(30, 100, cosine), 2);
    assert.ok(
      Math.abs(learningRateAt(87.5, 100, cosine) - (1 - Math.SQRT1_2)) < 1e-12,
      'three quarters of the decay',
    );
  });
  test('k falls in a line from the number of inputs, or from initialK, to k', () => {
    const ofK = resolveOptions({ architecture: 'topk', dSae: 64, k: 4, kWarmUp: 0.1 });
    const over = (changes: Partial<TrainOptions>, dIn = 24) =>
      [0, 5, 9, 10, 99].map((step) => kAt(step, 100, { ...ofK, ...changes }, dIn));
    assert.deepEqual(over({}), [24, 14, 6, 4, 4]);
    assert.deepEqual(over({}, 128), [64, 34, 10, 4, 4], 'not beyond the latents');
    assert.deepEqual(over({ initialK: 2 }), [2, 3, 4, 4, 4]);
    assert.deepEqual(over({ kWarmUp: 0 }), [4, 4, 4, 4, 4]);
    assert.equal(kAt(0, 100, DEFAULT_OPTIONS, 24), undefined);
  });
});

for (const architecture of ['topk', 'multi-topk', 'batchtopk', 'matryoshka', 'matryoshka-random']) {
  test(`${architecture} keeps more latents while k warms up, and k in the dictionary`, async () => {
    const l0: number[] = [];
    const { dictionary } = await trainInMemory({
      source: SOURCE,
      backend,
      options: resolveOptions({ ...SIZES, architecture, k: 2, kWarmUp: 0.5, initialK: 8, logEvery: 1 }),
      onMetrics: (metrics) => l0.push(metrics.l0),
    });
    assert.ok(l0[0] > 5 && l0[0] <= 8, `${l0[0]} of 8 at the start`);
    assert.ok(l0[7] > 3.5 && l0[7] <= 5, `${l0[7]} of 5 half-way`);
    assert.ok(l0.slice(15).every((value) => value <= 2));
    if (dictionary.config.architecture === 'topk') assert.equal(dictionary.config.k, 2);
  });
}

/** How an L0 follows λ. */
interface Behaviour {
  /** L0 at the start, and where it goes under the coefficient that was given. */
  readonly start: number;
  readonly free: number;
  /** Log L0 goes an nth of its way a step, and by `fastest` at most. */
  readonly lag: number;
  readonly fastest: number;
  readonly nSteps: number;
}

describe('target L0', () => {
  function steered(pace: number, target: number, { start, free, lag, fastest, nSteps }: Behaviour) {
    const control = startOfControl();
    let logL0 = Math.log(start);
    let least = Infinity;
    for (let step = 0; step < nSteps; step++) {
      followTargetL0_(control, Math.exp(logL0), target, pace);
      const way = Math.log(free) - Math.log(sparsityFactor(control)) - logL0;
      logL0 += Math.min(fastest, Math.max(-fastest, way / lag));
      least = Math.min(least, Math.exp(logL0));
    }
    return { least, last: Math.exp(logL0) };
  }

  test('an L0 that follows λ slowly, and at a bounded pace, is not overshot', () => {
    const behaviour = { start: Math.exp(3), free: Math.exp(3), lag: 500, fastest: 0.003, nSteps: 6000 };
    const { least, last } = steered(paceSteps('l0Coefficient', 1e-3, 6000), 3, behaviour);
    assert.ok(least > 0.9 * 3, `L0 fell to ${least}`);
    assert.ok(Math.abs(last / 3 - 1) < 0.01, `L0 ${last}`);
  });

  test('a short run at a high learning rate, far above its target, comes to rest too', () => {
    const behaviour = { start: 1000, free: 20 * Math.exp(3), lag: 200, fastest: 0.005, nSteps: 1464 };
    const { least, last } = steered(paceSteps('l0Coefficient', 2e-3, 1464), 20, behaviour);
    assert.ok(least > 0.9 * 20, `L0 fell to ${least}`);
    assert.ok(Math.abs(last / 20 - 1) < 0.05, `L0 ${last}`);
  });

  test('an L0 of 0 makes λ smaller', () => {
    const control = startOfControl();
    for (let step = 0; step < 100; step++) followTargetL0_(control, 0, 8, 0);
    assert.ok(sparsityFactor(control) > 0 && sparsityFactor(control) < 0.5, `${sparsityFactor(control)}`);
  });

  test('λ is steered until L0 is there', async () => {
    const { last } = await train({ tokens: 64 * 2500, targetL0: 4, resampleAt: [], learningRateDecay: 0 });
    assert.ok(Math.abs(last.l0 / 4 - 1) < 0.15, `L0 ${last.l0}`);
    const { last: other } = await train({
      tokens: 64 * 2500,
      targetL0: 2,
      resampleAt: [],
      learningRateDecay: 0,
    });
    assert.ok(Math.abs(other.l0 / 2 - 1) < 0.15, `L0 ${other.l0}`);
    assert.ok(other.l1Coefficient > last.l1Coefficient);
  });
});

test('averaged weights are what the formula says, and what is saved', async () => {
  const options = resolveOptions({ ...SIZES, emaDecay: 0.5, normalize: 'none' });
  const state = await initialState(SOURCE, backend, options, undefined);
  let mean = state.encoder.weights[3];
  for (const [step, value] of [
    [1, 5],
    [2, -1],
    [40, 2],
  ]) {
    state.step = step;
    state.encoder.weights[3] = value;
    followWeights_(state.average as WeightAverage, state, 0.5);
    mean += (1 - Math.min(0.5, step / (step + 9))) * (value - mean);
  }
  const { weights } = finishedForm(state, standard, options);
  assert.ok(Math.abs(weights.W_enc[3] - mean) < 1e-5, `${weights.W_enc[3]}, not ${mean}`);
  assert.equal(state.encoder.weights[3], 2);
});

test('averaged decoder rows are as long as the constraint has them, in the direction of the average', async () => {
  const rowsOf = async (changes: Partial<TrainOptions>) => {
    const options = resolveOptions({ ...SIZES, emaDecay: 0.5, normalize: 'none', ...changes });
    const state = await initialState(SOURCE, backend, options, undefined);
    const { decoder, dOut } = state;
    const before = decoder.weights.slice(0, dOut);
    decoder.weights.copyWithin(0, dOut, 2 * dOut);
    state.step = 40;
    followWeights_(state.average as WeightAverage, state, 0.5);
    const mean = before.map((value, i) => (value + decoder.weights[i]) / 2);
    const { W_dec, W_enc } = finishedForm(state, standard, options).weights;
    assert.deepEqual(W_enc.slice(0, dOut), state.average?.['W_enc'].slice(0, dOut));
    return { mean, row: W_dec.subarray(0, dOut), lengths: rowNorms(W_dec, options.dSae) };
  };
  const { mean, row, lengths } = await rowsOf({});
  const shortened = Math.hypot(...mean);
  assert.ok(shortened < 0.95, `the average is ${shortened} long`);
  lengths.forEach((length) => assert.ok(Math.abs(length - 1) < 1e-6, `${length}`));
  row.forEach((value, i) => assert.ok(Math.abs(value - mean[i] / shortened) < 1e-6, `${value}`));
  const free = await rowsOf({ unitNormDecoder: false });
  assert.ok(Math.abs(free.lengths[0] - shortened) < 1e-6, 'rows without the constraint are the average');
});

describe('layer norm', () => {
  test('a row shifted and scaled has the same codes, and a reconstruction shifted and scaled', async () => {
    const { dictionary } = await train({ architecture: 'topk', k: 3, normalize: 'layer-norm' });
    assert.equal(dictionary.config.normalization, 'layer_norm');
    const x = await SOURCE.readChunk(20);
    const moved = x.map((value) => 100 * value + 40);
    const codes = await encode(dictionary, backend, x, 256);
    assert.deepEqual((await encode(dictionary, backend, moved, 256)).latentIndices, codes.latentIndices);
    const [a, b] = [await reconstructions(dictionary, x), await reconstructions(dictionary, moved)];
    a.forEach((value, i) => assert.ok(Math.abs(100 * value + 40 - b[i]) < 0.2, `${value} ${b[i]}`));
    await assert.rejects(decode(dictionary, backend, codes), { code: 'ERR_OPTION' });
  });
});

test('all of them at once: interrupted and resumed, a run ends with the same bytes', async () => {
  const options = resolveOptions({
    ...SIZES,
    architecture: 'jumprelu',
    targetL0: 3,
    emaDecay: 0.99,
    normalize: 'layer-norm',
    decoderInit: 'data',
    learningRateShape: 'cosine',
  });
  const input = (out: string) => ({
    ...{ source: SOURCE, backend, options, out: join(folder, out) },
    ...{ hookName: 'planted', modelName: 'none', resume: false },
  });
  await trainDictionary(input('whole'));
  const abort = new AbortController();
  const onStep = (step: number) => {
    if (step === 17) abort.abort();
  };
  await assert.rejects(trainDictionary({ ...input('stopped'), signal: abort.signal, onStep }));
  await trainDictionary({ ...input('stopped'), resume: true });
  const bytes = (out: string) => readFile(join(folder, out, 'sae_weights.safetensors'));
  assert.deepEqual(await bytes('stopped'), await bytes('whole'));
  const loaded = await loadDictionary(join(folder, 'whole'));
  assert.equal(loaded.config.normalization, 'layer_norm');
});

describe('divergence', () => {
  test('an error that rises far above the variance ends the run, a spike does not', async () => {
    const state = await initialState(SOURCE, backend, resolveOptions(SIZES), undefined);
    const batch = (await SOURCE.readChunk(0)).subarray(0, 64 * 16);
    const sums = (squaredError: number) => ({ squaredError, l1: 1, l0: 1, loss: squaredError });
    const watch = new DivergenceWatch();
    for (let step = 0; step < 100; step++) watch.see(batch, sums(1e4), state);
    assert.ok(watch.isWell, 'a bad start is none');
    for (let step = 0; step < 300; step++) watch.see(batch, sums(1e-3), state);
    watch.see(batch, sums(500), state);
    for (let step = 0; step < 100; step++) watch.see(batch, sums(1e-3), state);
    assert.ok(watch.isWell);
    assert.throws(
      () => {
        for (let step = 0; step < 300; step++) watch.see(batch, sums(1e4), state);
      },
      { code: 'ERR_DIVERGED' },
    );
    assert.ok(!watch.isWell);
  });

  test('the last good checkpoint stays, as a dictionary that loads', async () => {
    // The data is a thousand times larger from the twentieth batch on.
    let served = 0;
    const source: ActivationSource = {
      ...{ dIn: 16, contextSize: 1, nChunks: 12, description: 'grows', hash: 'grows' },
      chunkRows: () => 256,
      readChunk: async (chunk) => {
        const factor = ++served > 12 + 6 ? 1e18 : 1;
        return (await SOURCE.readChunk(chunk)).map((value) => value * factor);
      },
    };
    const out = join(folder, 'diverged');
    const options = resolveOptions({
      ...SIZES,
      tokens: 64 * 48,
      bufferRows: 256,
      resampleAt: [],
      normalize: 'none',
    });
    const run = trainDictionary({
      ...{ source, backend, options, out },
      ...{ hookName: 'planted', modelName: 'none', resume: false },
    });
    await assert.rejects(run, (error: MonosemeError) => {
      assert.equal(error.code, 'ERR_DIVERGED');
      assert.match(
        error.message,
        /^Training diverged at step \d+\. .* good checkpoint is in .*checkpoint\.$/,
      );
      return true;
    });
    assert.deepEqual(await readdir(out), ['training'], 'nothing under a final name');
    const { weights } = await loadDictionary(join(out, 'training', 'checkpoint'));
    assert.ok(weights.W_dec.every(Number.isFinite));
  });
});
