/** Neuron resampling is the procedure of Bricken et al. 2023, step by step, where replications have gone other ways. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ActivationSource } from '../activations/index.ts';
import { standard } from '../dictionary/index.ts';
import { selectBackend } from '../kernels/index.ts';
import { trainState, type TrainState } from './parameters.ts';
import { resolveOptions } from './presets.ts';
import { resample_ } from './resample.ts';
import { rowLayout } from './row-layout.ts';
import { startAverage } from './weight-average.ts';

const backend = await selectBackend({ name: 'reference' });
const L1 = 1;

/** Latent 0 reconstructs the first input; latent 2 fires on neither row, with an encoder row of length 3. */
function stateOf(b_dec = [0, 0]): TrainState {
  const weights = {
    W_enc: Float32Array.of(1, 0, 5, 5, 0, -3),
    b_enc: Float32Array.of(0, -9, 0),
    W_dec: Float32Array.of(1, 0, 0, 1, 0, 1),
    b_dec: Float32Array.from(b_dec),
  };
  const state = trainState(weights, rowLayout({ dIn: 2 }, standard));
  for (const { firstMoments, secondMoments } of [
    state.encoder,
    state.decoder,
    state.encoderBias,
    state.decoderBias,
  ]) {
    firstMoments.fill(1);
    secondMoments.fill(2);
  }
  state.step = 40;
  return state;
}

/** Row A has the loss 1, of the penalty alone; row B the loss 3, of the error alone. */
const [A, B] = [
  [1, 0],
  [0, Math.sqrt(3)],
];
function sourceOf(...rows: number[][]): ActivationSource {
  return {
    ...{ dIn: 2, nChunks: 1, contextSize: 1, description: 'rows', hash: 'rows' },
    chunkRows: () => rows.length,
    readChunk: async () => Float32Array.from(rows.flat()),
  };
}

const resampled = (state: TrainState, dead: number[], source: ActivationSource, seed = 0) =>
  resample_(state, dead, source, backend, L1, resolveOptions({ seed, dSae: 3 }));

test('inputs are drawn by the square of the whole loss; dictionary_learning takes the bare error of one batch', async () => {
  const runs = 600;
  let ofB = 0;
  for (let seed = 0; seed < runs; seed++) {
    const state = stateOf();
    await resampled(state, [1], sourceOf(A, B), seed);
    if (state.decoder.weights[3] === 1) ofB++;
  }
  // 9 of 10; the loss alone would give 3 of 4, the squared error alone every one.
  assert.ok(Math.abs(ofB / runs - 0.9) < 0.04, `${ofB} of ${runs}`);
});

test('the encoder row is 0.2 of the mean length of the living, along the input; dictionary_learning leaves its length in', async () => {
  const state = stateOf();
  assert.equal(await resampled(state, [1], sourceOf([0, 8])), 1);
  const { encoder, decoder, encoderBias, decoderBias } = state;
  assert.deepEqual([...decoder.weights], [1, 0, 0, 1, 0, 1]);
  // The living have rows of length 1 and 3.
  assert.deepEqual([...encoder.weights], [1, 0, 0, 0.4, 0, -3].map(Math.fround));
  assert.deepEqual([...encoderBias.values], [0, 0, 0]);
  for (const { firstMoments, secondMoments } of [encoder, decoder]) {
    assert.deepEqual([...firstMoments], [1, 1, 0, 0, 1, 1]);
    assert.deepEqual([...secondMoments], [2, 2, 0, 0, 2, 2]);
  }
  assert.deepEqual([...encoderBias.firstMoments, ...encoderBias.secondMoments], [1, 0, 1, 2, 0, 2]);
  assert.deepEqual([...decoderBias.firstMoments, ...decoderBias.secondMoments], [1, 1, 2, 2]);
  assert.equal(state.step, 40, "Adam's counter goes on");
  assert.equal(state.lastFiredStep[1], 40, 'it is not dead at once again');
});

test('averaged weights of a resampled latent begin anew; those of the others go on', async () => {
  const state = stateOf();
  state.average = startAverage(state);
  for (const values of Object.values(state.average)) values.fill(7);
  await resampled(state, [1], sourceOf([0, 8]));
  const { W_dec, W_enc, b_enc, b_dec } = state.average;
  assert.deepEqual([...W_dec], [7, 7, 0, 1, 7, 7]);
  assert.deepEqual([...W_enc], [7, 7, 0, 0.4, 7, 7].map(Math.fround));
  assert.deepEqual([...b_enc, ...b_dec], [7, 0, 7, 7, 7]);
});

test('the seed is the input itself, not what the encoder sees of it', async () => {
  const state = stateOf([0, 1]);
  await resampled(state, [1], sourceOf([3, 4]));
  assert.deepEqual([...state.decoder.weights.subarray(2, 4)], [0.6, 0.8].map(Math.fround));
});

test('without replacement: two dead latents get two inputs, and a third stays as it is', async () => {
  const state = stateOf();
  assert.equal(await resampled(state, [0, 1, 2], sourceOf([2, 0], [0, 2])), 2);
  const directions = [0, 2].map((at) => [...state.decoder.weights.subarray(at, at + 2)].join());
  assert.deepEqual(directions.sort(), ['0,1', '1,0']);
  assert.deepEqual([...state.encoder.weights.subarray(4)], [0, -3]);
});
