import assert from 'node:assert/strict';
import { test } from 'node:test';
import { standard } from '../dictionary/index.ts';
import { selectBackend } from '../kernels/index.ts';
import { Random } from '../random/index.ts';
import { trainState } from './parameters.ts';
import { rowLayout } from './row-layout.ts';
import { trainStep_ } from './step.ts';

const [B, D, F, LAMBDA] = [5, 4, 6, 0.3];

interface Point {
  W_enc: Float32Array;
  b_enc: Float32Array;
  W_dec: Float32Array;
  b_dec: Float32Array;
}

function randomPoint(random: Random): Point {
  const normal = (n: number) => new Float32Array(n).map(() => random.normal());
  return { W_enc: normal(F * D), b_enc: normal(F), W_dec: normal(F * D), b_dec: normal(D) };
}

/** The loss of the doc comment, written from the formula in f64. */
function loss({ W_enc, b_enc, W_dec, b_dec }: Point, batch: Float32Array): number {
  let total = 0;
  for (let b = 0; b < B; b++) {
    const xHat = Array.from(b_dec);
    for (let j = 0; j < F; j++) {
      let h = b_enc[j];
      for (let i = 0; i < D; i++) h += W_enc[j * D + i] * (batch[b * D + i] - b_dec[i]);
      const f = Math.max(0, h);
      total += LAMBDA * f;
      for (let i = 0; i < D; i++) xHat[i] += f * W_dec[j * D + i];
    }
    for (let i = 0; i < D; i++) total += (batch[b * D + i] - xHat[i]) ** 2;
  }
  return total / B;
}

test('gradients agree with finite differences of the loss', async () => {
  const backend = await selectBackend({ name: 'reference' });
  const random = new Random(11);
  for (let round = 0; round < 5; round++) {
    const point = randomPoint(random);
    const batch = new Float32Array(B * D).map(() => random.normal());
    const copies = Object.fromEntries(
      Object.entries(point).map(([k, v]) => [k, v.slice()]),
    ) as unknown as Point;
    const state = trainState(copies, rowLayout({ dIn: D }, standard));
    const adam = { learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, step: 1 };
    const options = { l1Coefficient: LAMBDA, adam, unitNormDecoder: false, trainDecoderBias: true };
    await trainStep_(state, backend, batch.slice(), options);
    // Moments started at zero, so m = (1 − β₁) g after one step.
    const gradients = {
      W_enc: state.encoder.firstMoments,
      b_enc: state.encoderBias.firstMoments,
      W_dec: state.decoder.firstMoments,
      b_dec: state.decoderBias.firstMoments,
    };
    for (const name of ['W_enc', 'b_enc', 'W_dec', 'b_dec'] as const) {
      gradients[name].forEach((moment, index) => {
        const numeric = slope(point, name, index, batch);
        const analytic = moment / 0.1;
        const error = Math.abs(analytic - numeric);
        assert.ok(
          error < 2e-3 * (1 + Math.abs(numeric)),
          `${name}[${index}]: ${analytic}, numeric ${numeric}`,
        );
      });
    }
  }
});

/** Central difference. A point within the step of a kink of ReLU would spoil it; the seed has none. */
function slope(point: Point, name: keyof Point, index: number, batch: Float32Array): number {
  const h = 2 ** -10;
  const at = (delta: number) => {
    const moved = { ...point, [name]: point[name].slice() };
    moved[name][index] += delta;
    // The step as it is after rounding to f32.
    return [loss(moved, batch), moved[name][index]];
  };
  const [up, xUp] = at(h);
  const [down, xDown] = at(-h);
  return (up - down) / (xUp - xDown);
}

test('the decoder stays at unit length, and firing is recorded', async () => {
  const backend = await selectBackend({ name: 'reference' });
  const random = new Random(2);
  const point = randomPoint(random);
  point.b_enc[3] = -100;
  const state = trainState(point, rowLayout({ dIn: D }, standard));
  const batch = new Float32Array(B * D).map(() => random.normal());
  const adam = { learningRate: 1e-2, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, step: 1 };
  const sums = await trainStep_(state, backend, batch, {
    l1Coefficient: LAMBDA,
    adam,
    unitNormDecoder: true,
    trainDecoderBias: true,
  });
  for (let j = 0; j < F; j++) {
    const row = state.decoder.weights.subarray(j * D, (j + 1) * D);
    assert.ok(Math.abs(Math.hypot(...row) - 1) < 1e-6);
  }
  assert.equal(state.lastFiredStep[3], 0, 'the silent latent');
  assert.ok(state.lastFiredStep.some((step) => step === 1));
  assert.ok(sums.l0 > 0 && sums.squaredError > 0);
});

test('a gradient longer than the limit is shortened to it, over all parameters together', async () => {
  const backend = await selectBackend({ name: 'reference' });
  const adam = { learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, step: 1 };
  const moments = async (gradientClipNorm?: number) => {
    const random = new Random(3);
    const state = trainState(randomPoint(random), rowLayout({ dIn: D }, standard));
    const batch = new Float32Array(B * D).map(() => random.normal());
    const options = { l1Coefficient: LAMBDA, adam, unitNormDecoder: true, trainDecoderBias: true };
    await trainStep_(state, backend, batch, { ...options, gradientClipNorm });
    const parameters = [state.encoder, state.decoder, state.encoderBias, state.decoderBias];
    return Float64Array.from(parameters.flatMap(({ firstMoments }) => [...firstMoments]));
  };
  // Moments started at zero, so m = (1 − β₁) g after one step.
  const [free, far, clipped] = [await moments(), await moments(1e6), await moments(0.5)];
  assert.deepEqual(far, free, 'a limit that is not reached changes nothing');
  assert.ok(Math.abs(Math.hypot(...clipped) / 0.1 - 0.5) < 1e-6, `${Math.hypot(...clipped) / 0.1}`);
  const scale = Math.hypot(...clipped) / Math.hypot(...free);
  clipped.forEach((moment, i) =>
    assert.ok(Math.abs(moment - scale * free[i]) < 1e-6 * (1 + Math.abs(moment))),
  );
});
