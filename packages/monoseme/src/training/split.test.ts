import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ActivationSource } from '../activations/index.ts';
import { standard } from '../dictionary/index.ts';
import { matryoshka } from '../dictionary/matryoshka.ts';
import { referenceBackend } from '../kernels/reference/index.ts';
import { Random } from '../random/index.ts';
import { trainState, type TrainState } from './parameters.ts';
import { rowLayout } from './row-layout.ts';
import { splitLatents_ } from './split.ts';
import { startAverage } from './weight-average.ts';

const D = 8;
const ROWS = 4096;
const [SHARED, DEAD] = [2, 5];
const STEP = {
  l1Coefficient: 0.1,
  unitNormDecoder: true,
  trainDecoderBias: true,
  adam: { learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, step: 100 },
};

/** The axes as features, but that the one of the dead latent is 50° from that of the shared one. */
const FEATURES = new Float32Array(D * D).map((_, i) => (i % (D + 1) === 0 ? 1 : 0));
const ANGLE = (50 * Math.PI) / 180;
FEATURES[DEAD * D + DEAD] = Math.sin(ANGLE);
FEATURES[DEAD * D + SHARED] = Math.cos(ANGLE);

const rowOf = (matrix: Float32Array, j: number) => matrix.subarray(j * D, (j + 1) * D);

function cosine(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i], 0) / (Math.hypot(...a) * Math.hypot(...b));
}

/** Rows of one feature each, between half and one and a half as large as it. */
function rowsOfOneFeature(): ActivationSource {
  const random = new Random(1);
  const rows = new Float32Array(ROWS * D);
  for (let row = 0; row < ROWS; row++) {
    const size = 0.5 + random.uniform();
    const feature = rowOf(FEATURES, Math.floor(D * random.uniform()));
    feature.forEach((value, i) => (rows[row * D + i] = size * value));
  }
  const facts = { dIn: D, contextSize: 1, nChunks: 1, description: 'one feature a row', hash: '1' };
  return { ...facts, chunkRows: () => ROWS, readChunk: async () => rows.slice() };
}

/** A dictionary of the features, but that one latent stands for its own and that of a dead one. */
function withSharedLatent(): TrainState {
  const W_dec = FEATURES.slice();
  const [shared, dead] = [rowOf(W_dec, SHARED), rowOf(W_dec, DEAD)];
  const length = Math.hypot(...shared.map((value, i) => value + dead[i]));
  shared.forEach((value, i) => (shared[i] = (value + dead[i]) / length));
  const b_enc = new Float32Array(D).fill(-0.1);
  b_enc[DEAD] = -100;
  const weights = { W_enc: W_dec.map((value) => 1.2 * value), b_enc, W_dec, b_dec: new Float32Array(D) };
  const state = trainState(weights, rowLayout({ dIn: D }, standard));
  state.step = 100;
  state.lastFiredStep.fill(100);
  state.lastFiredStep[DEAD] = 0;
  state.encoder.firstMoments.fill(1);
  state.encoderBias.secondMoments.set([0, 1, 2, 3, 4, 5, 6, 7]);
  return state;
}

test('a latent that is of no use takes one of the two features that share another', async () => {
  const state = withSharedLatent();
  const { encoder, decoder, encoderBias } = state;
  const before = decoder.weights.slice();
  state.average = startAverage(state);
  assert.ok(cosine(rowOf(before, SHARED), rowOf(FEATURES, DEAD)) < 0.91);
  assert.equal(await splitLatents_(state, rowsOfOneFeature(), referenceBackend, STEP), 1);

  const halves = [SHARED, DEAD].map((j) => rowOf(decoder.weights, j));
  const features = [SHARED, DEAD].map((j) => rowOf(FEATURES, j));
  const straight = Math.min(cosine(halves[0], features[0]), cosine(halves[1], features[1]));
  const crossed = Math.min(cosine(halves[0], features[1]), cosine(halves[1], features[0]));
  assert.ok(Math.max(straight, crossed) > 0.99, `cosines ${straight}, ${crossed}`);

  for (let j = 0; j < D; j++) {
    const isHalf = j === SHARED || j === DEAD;
    const [own, ofEncoder] = [rowOf(decoder.weights, j), rowOf(encoder.weights, j)];
    if (!isHalf) assert.deepEqual(own, rowOf(before, j), `latent ${j} is left alone`);
    assert.ok(Math.abs(cosine(own, ofEncoder) - 1) < 1e-6, 'both rows are turned');
    assert.ok(Math.abs(Math.hypot(...ofEncoder) - 1.2) < 1e-6, 'and keep their lengths');
    assert.equal(encoder.firstMoments[j * D], isHalf ? 0 : 1);
  }
  assert.equal(encoderBias.values[DEAD], encoderBias.values[SHARED]);
  assert.deepEqual([...encoderBias.secondMoments], [0, 1, 2, 3, 4, SHARED, 6, 7]);
  assert.equal(state.lastFiredStep[DEAD], 100);
  assert.deepEqual(state.average, startAverage(state), 'averages of the halves begin anew');
});

test('latents of nested reconstructions are split', async () => {
  const step = { ...STEP, architecture: matryoshka, settings: { ...matryoshka.settings, k: 1 } };
  assert.equal(await splitLatents_(withSharedLatent(), rowsOfOneFeature(), referenceBackend, step), 1);
});

test('where nothing fires nothing is split', async () => {
  const state = withSharedLatent();
  state.encoderBias.values.fill(-100);
  assert.equal(await splitLatents_(state, rowsOfOneFeature(), referenceBackend, STEP), 0);
});
