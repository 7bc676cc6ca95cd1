/** Mistakes that other trainers make or have made: ours does not. Each is named after where it was found. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ActivationSource } from '../activations/index.ts';
import {
  ARCHITECTURES,
  architectureNamed,
  encode,
  loadDictionary,
  saveDictionary,
} from '../dictionary/index.ts';
import { type KernelBackend, selectBackend } from '../kernels/index.ts';
import { plantedSource, TINY } from '../testing/planted.ts';
import { initialState } from './initialize.ts';
import type { TrainOptions } from './options.ts';
import type { TrainState } from './parameters.ts';
import { PRESETS, resolveOptions } from './presets.ts';
import { deadLatents, gradientsOf_, trainStep_ } from './step.ts';
import { trainInMemory } from './train-in-memory.ts';
import { trainDictionary } from './train.ts';

const D_SAE = 32;
const ROWS = 64;
const SOURCE = plantedSource({ nChunks: 12, chunkRows: 256, seed: 5 }, TINY);
const SMALL: Partial<TrainOptions> = {
  dSae: D_SAE,
  batchRows: ROWS,
  tokens: ROWS * 30,
  bufferRows: 512,
  logEvery: 3,
};

let folder: string;
let backend: KernelBackend;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monoseme-mistakes-'));
  backend = await selectBackend({ name: 'reference' });
});
after(() => rm(folder, { recursive: true }));

/** A run before its first step, its batch, and what a step of it is given. */
async function startOf(changes: Partial<TrainOptions>) {
  const options = resolveOptions({ ...SMALL, ...changes });
  const state = await initialState(SOURCE, backend, options, undefined);
  const { batchRows, learningRate, beta1, beta2, epsilon } = options;
  const stepOptions = {
    ...{ l1Coefficient: 0, unitNormDecoder: true, trainDecoderBias: true, settings: options },
    architecture: architectureNamed(options.architecture),
    adam: { learningRate, beta1, beta2, epsilon, step: 1 },
    progress: 0.9,
  };
  const batch = (await SOURCE.readChunk(0)).subarray(0, batchRows * SOURCE.dIn);
  return { state, batch, stepOptions };
}

/** Nothing of a batch is active: the biases are too low for that. */
const silence_ = (state: TrainState) => state.encoderBias.values.fill(-100);

test("sparsify counts the 4k latents of Multi-TopK's second loss as fired; ours counts the k", async () => {
  const { state, batch, stepOptions } = await startOf({ architecture: 'multi-topk', k: 2 });
  const { acts, sums } = await gradientsOf_(state, backend, batch.slice(), stepOptions);
  assert.equal(sums.l0, acts.values.length);
  for (let row = 0; row < ROWS; row++)
    assert.ok(acts.rowPointers[row + 1] - acts.rowPointers[row] <= 2, `row ${row}`);
  const chosen = new Set(acts.latentIndices);
  await trainStep_(state, backend, batch, stepOptions);
  for (let j = 0; j < D_SAE; j++) assert.equal(state.lastFiredStep[j] === 1, chosen.has(j), `latent ${j}`);
});

test("SAELens's runner stops with its own defaults; those of every architecture and preset of ours train", async () => {
  const named = [
    ...ARCHITECTURES.map(({ name }) => resolveOptions({ architecture: name })),
    ...Object.keys(PRESETS).map((preset) => resolveOptions({}, preset)),
  ];
  for (const { architecture, bufferRows, batchRows } of named)
    assert.ok(
      bufferRows >= batchRows,
      `${architecture}: a buffer of ${bufferRows} rows, a batch of ${batchRows}`,
    );
  // Two steps with nothing given but where to stop.
  const options = resolveOptions({ tokens: 2048 });
  const { dictionary } = await trainInMemory({ source: SOURCE, backend, options });
  assert.equal(dictionary.config.dSae, options.dSae);
});

test("dictionary_learning's threshold is infinite for ever after a row in which nothing is active; ours is not", async () => {
  for (const architecture of ['batchtopk', 'matryoshka']) {
    const { state, batch, stepOptions } = await startOf({ architecture, k: 2 });
    const withEmptyRows = batch.slice();
    for (let row = 0; row < ROWS; row += 2) withEmptyRows.set(state.decoderBias.values, row * SOURCE.dIn);
    await trainStep_(state, backend, withEmptyRows, stepOptions);
    const [sum, weight] = state.memory;
    assert.ok(sum / weight > 0 && sum / weight < 10, `${architecture}: ${sum / weight}`);
    // A whole batch in which nothing is active keeps every positive pair, of which there are none: threshold 0.
    const biases = state.encoderBias.values.slice();
    silence_(state);
    await trainStep_(state, backend, batch, stepOptions);
    state.encoderBias.values.set(biases);
    for (let step = 3; step < 6; step++) await trainStep_(state, backend, batch, stepOptions);
    const later = state.memory[0] / state.memory[1];
    assert.ok(later > 0 && later < 10, `${architecture}, later: ${later}`);
  }
});

test("SAELens's cfg.json has another order of keys in every run; ours has the same bytes", async () => {
  const options = resolveOptions({ ...SMALL, architecture: 'batchtopk', k: 3 });
  const { dictionary } = await trainInMemory({ source: SOURCE, backend, options });
  const metadata = { a: 1, b: { c: 2, d: 3 } };
  const bytesOf = async (name: string, config = dictionary.config) => {
    await saveDictionary(join(folder, name), { ...dictionary, config: { ...config, metadata } });
    return readFile(join(folder, name, 'cfg.json'), 'utf8');
  };
  const first = await bytesOf('keys');
  assert.equal(await bytesOf('keys again'), first);
  const shuffled = Object.fromEntries(
    Object.entries(dictionary.config).reverse(),
  ) as typeof dictionary.config;
  assert.equal(await bytesOf('keys shuffled', shuffled), first);
  await saveDictionary(join(folder, 'keys of a copy'), await loadDictionary(join(folder, 'keys')));
  assert.equal(await readFile(join(folder, 'keys of a copy', 'cfg.json'), 'utf8'), first);
});

test("dictionary_learning's backups cannot be read back, and without normalisation it fails; ours goes on from them", async () => {
  for (const normalize of ['none', 'expected-norm', 'layer-norm'] as const) {
    const options = resolveOptions({ ...SMALL, checkpointEvery: 10, normalize });
    const input = (out: string, source: ActivationSource) => ({
      ...{ source, backend, options, out: join(folder, out), resume: out.startsWith('killed') },
      ...{ hookName: 'planted', modelName: 'none' },
    });
    await trainDictionary(input(`whole ${normalize}`, SOURCE));
    // Killed after a backup: the rows of later steps cannot be read.
    let chunksLeft = 14;
    const { dIn, nChunks, contextSize, description, hash } = SOURCE;
    const killed: ActivationSource = {
      ...{ dIn, nChunks, contextSize, description, hash },
      chunkRows: () => 256,
      readChunk: (chunk) => {
        if (chunksLeft-- <= 0) throw new Error('killed');
        return SOURCE.readChunk(chunk);
      },
    };
    const out = `killed ${normalize}`;
    await assert.rejects(trainDictionary({ ...input(out, killed), resume: false }), /killed/);
    const { startedAtStep } = await trainDictionary(input(out, SOURCE));
    assert.ok(startedAtStep > 0, `${normalize}: from step ${startedAtStep}`);
    const bytes = (name: string) => readFile(join(folder, name, 'sae_weights.safetensors'));
    assert.deepEqual(await bytes(out), await bytes(`whole ${normalize}`));
  }
});

test("BatchTopK's script calls a latent dead after five batches of any size; ours counts tokens", async () => {
  const deadAfter = async (batchRows: number, tokens: number) => {
    const { state, batch, stepOptions } = await startOf({ architecture: 'topk', k: 2, batchRows });
    state.encoderBias.values[7] = -100;
    for (let seen = 0; seen < tokens; seen += batchRows) await trainStep_(state, backend, batch, stepOptions);
    return deadLatents(state, Math.ceil(1024 / batchRows)).includes(7);
  };
  for (const batchRows of [32, 128]) {
    assert.equal(await deadAfter(batchRows, 896), false, `${batchRows} rows a batch, 896 tokens`);
    assert.equal(await deadAfter(batchRows, 1024), true, `${batchRows} rows a batch, 1024 tokens`);
  }
});

test("BatchTopK's script has an encoder bias that its top-k kinds do not use; ours learns and is used", async () => {
  for (const architecture of ['topk', 'batchtopk']) {
    const options = resolveOptions({ ...SMALL, architecture, k: 3 });
    const { dictionary } = await trainInMemory({ source: SOURCE, backend, options });
    const { b_enc } = dictionary.weights;
    assert.ok(
      b_enc.some((value) => Math.abs(value) > 1e-4),
      `${architecture}: b_enc moved`,
    );
    const x = await SOURCE.readChunk(0);
    const codes = await encode(dictionary, backend, x, 256);
    const raised = { ...dictionary, weights: { ...dictionary.weights, b_enc: b_enc.slice() } };
    raised.weights.b_enc[5] += 100;
    const others = await encode(raised, backend, x, 256);
    const firings = (indices: Uint32Array) => indices.reduce((n, j) => n + (j === 5 ? 1 : 0), 0);
    assert.equal(firings(others.latentIndices), 256, architecture);
    assert.ok(firings(codes.latentIndices) < 256, architecture);
  }
});

test('thresholds of SAELens and dictionary_learning lag behind the batches of a short run; ours is their mean from the first', async () => {
  const { state, batch, stepOptions } = await startOf({ architecture: 'batchtopk', k: 2 });
  const thresholds: number[] = [];
  for (let step = 0; step < 3; step++) {
    await trainStep_(state, backend, batch.slice(), stepOptions);
    const [sum, weight, ofBatch] = state.memory;
    thresholds.push(ofBatch);
    const mean = thresholds.reduce((total, value) => total + value) / thresholds.length;
    assert.ok(ofBatch > 0 && Math.abs(sum / weight - mean) < 0.01 * mean, `step ${step}: ${sum / weight}`);
  }
});

test('a BatchTopK that is used before it has chosen from a batch is about as sparse as later', async () => {
  const x = await SOURCE.readChunk(1);
  for (const changes of [{ byRow: 1 }, { tokens: ROWS * 3 }]) {
    const options = resolveOptions({ ...SMALL, architecture: 'batchtopk', k: 3, ...changes });
    const { dictionary } = await trainInMemory({ source: SOURCE, backend, options });
    const l0 = (await encode(dictionary, backend, x, 256)).values.length / 256;
    assert.ok(l0 > 2 && l0 < 4, `${JSON.stringify(changes)}: ${l0}`);
  }
});

test("dictionary_learning's Matryoshka divides by the number of prefixes twice; the weights of ours add up to 1", async () => {
  for (const prefixPower of [0, 1]) {
    const { state, batch, stepOptions } = await startOf({
      ...{ architecture: 'matryoshka', k: 2, prefixes: [0.25, 0.5, 1], prefixPower, auxCoefficient: 0 },
    });
    // Beyond the first prefix nothing fires: all reconstructions are the same one.
    state.encoderBias.values.fill(-100, D_SAE / 4);
    const { sums } = await gradientsOf_(state, backend, batch, stepOptions);
    assert.ok(sums.l0 > 0);
    assert.ok(Math.abs(sums.loss / sums.squaredError - 1) < 1e-6, `${sums.loss} of ${sums.squaredError}`);
  }
});

test('a replication of January 2025 folds decoder norms into the encoder alone; ours into thresholds too', () => {
  const { weights } = architectureNamed('january-2025').finish({
    weights: {
      ...{ W_enc: Float32Array.of(1, 1), b_enc: Float32Array.of(3) },
      ...{ W_dec: Float32Array.of(0, 2), b_dec: new Float32Array(2) },
    },
    further: { log_threshold: Float32Array.of(Math.log(0.5)) },
    memory: [1],
    settings: {},
  });
  assert.deepEqual([...weights.W_enc, ...weights.b_enc, ...weights.W_dec], [2, 2, 6, 0, 1]);
  assert.ok(Math.abs((weights.threshold?.[0] ?? NaN) - 1) < 1e-6);
});

test("llamascopium's BatchTopK keeps large negative values and overcomplete loses its threshold; ours keeps positive ones and saves it", async () => {
  const { state, batch, stepOptions } = await startOf({ architecture: 'batchtopk', k: 2 });
  state.encoderBias.values.fill(-100, 0, D_SAE / 2);
  const { acts } = await gradientsOf_(state, backend, batch, stepOptions);
  assert.ok(acts.values.length > 0 && acts.values.every((value) => value > 0));
  const options = resolveOptions({ ...SMALL, architecture: 'batchtopk', k: 3, byRow: 0 });
  const { dictionary } = await trainInMemory({ source: SOURCE, backend, options });
  await saveDictionary(join(folder, 'thresholds'), dictionary);
  const { weights } = await loadDictionary(join(folder, 'thresholds'));
  assert.ok(weights.threshold?.some((value) => value > 0));
  assert.deepEqual(weights.threshold, dictionary.weights.threshold);
});

test("openai's AuxK divides by the variance of what is left, NaN where nothing is; ours adds nothing then", async () => {
  const { state, batch, stepOptions } = await startOf({ architecture: 'topk', k: 2, normalize: 'none' });
  state.decoderBias.values.fill(0);
  silence_(state);
  const options = { ...stepOptions, deadAfterSteps: 1 };
  await trainStep_(state, backend, batch, options);
  assert.equal(deadLatents(state, 1).length, D_SAE);
  state.decoderBias.values.fill(0);
  const { sums, preActs } = await gradientsOf_(
    state,
    backend,
    batch.map(() => 0),
    options,
  );
  assert.deepEqual([sums.squaredError, sums.loss], [0, 0]);
  assert.ok(preActs.every((value) => value === 0));
});

test('inputs are scaled by the mean of their lengths; others take the root of the mean square', async () => {
  const rows = Float32Array.of(1, 0, 0, 0, 0, 3, 0, 0);
  const source: ActivationSource = {
    ...{ dIn: 4, nChunks: 1, contextSize: 1, description: 'two lengths', hash: 'two lengths' },
    chunkRows: () => 2,
    readChunk: async () => rows.slice(),
  };
  const options = resolveOptions({ ...SMALL, batchRows: 2, tokens: 2 });
  const { layout } = await initialState(source, backend, options, undefined);
  const scale = Math.sqrt(4) / 2;
  assert.deepEqual(layout.inputs, [{ width: 4, scale, ownScale: scale }]);
});

test("a unit-norm decoder starts at length 1 too, also where its numbers are uniform, as Linear's are in OpenAI's trainer", async () => {
  for (const decoderInit of ['random', 'data', 'uniform'] as const) {
    const { state } = await startOf({ architecture: 'topk', k: 2, decoderInit });
    for (let at = 0; at < state.decoder.weights.length; at += state.dOut) {
      const length = Math.hypot(...state.decoder.weights.subarray(at, at + state.dOut));
      assert.ok(Math.abs(length - 1) < 1e-6, `${decoderInit}: ${length}`);
    }
  }
});
