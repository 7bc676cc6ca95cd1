/**
 * The gradients of every architecture against finite differences of its loss, written here from the formula in f64.
 * Straight-through gradients of thresholds have no such loss: they are compared with their definition, pair by pair.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ARCHITECTURES, architectureNamed, type Gradients } from '../dictionary/index.ts';
import { selectBackend } from '../kernels/index.ts';
import { Random } from '../random/index.ts';
import { denseGradient } from '../testing/dense-gradient.ts';
import {
  B,
  type Case,
  CASES,
  D,
  dot,
  error,
  F,
  K,
  LAMBDA,
  norm,
  type Point,
  preActs,
  row,
} from '../testing/gradient-cases.ts';
import { trainState, type TrainState } from './parameters.ts';
import { prepareRows_, rowLayout, totalWidth } from './row-layout.ts';
import { gradientsOf_, type StepOptions, trainStep_ } from './step.ts';

const ADAM = { learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, step: 1 };
const backend = await selectBackend({ name: 'reference' });

function randomState({ name, memory, dead = [], widths = [D] }: Case, random: Random): TrainState {
  const normal = (n: number) => new Float32Array(n).map(() => random.normal());
  const architecture = architectureNamed(name);
  const further = architecture.start?.(F, 1, { initialThreshold: 0.5 }).further ?? {};
  for (const vector of Object.values(further))
    vector.forEach((value, j) => (vector[j] = value + 0.3 * random.normal()));
  const layout = rowLayout({ dIn: totalOf(widths), widths }, architecture);
  const dOut = totalWidth(layout.outputs);
  const weights = {
    W_enc: normal(F * D),
    b_enc: normal(F),
    W_dec: normal(F * dOut),
    b_dec: normal(dOut),
    ...(architecture.hasSkip && { W_skip: normal(D * dOut) }),
  };
  const state = trainState(weights, layout, { further, memory: [...(memory ?? [])] });
  state.step = 100;
  state.lastFiredStep.fill(100);
  for (const j of dead) state.lastFiredStep[j] = 0;
  return state;
}

const totalOf = (widths: readonly number[]) => widths.reduce((sum, width) => sum + width, 0);

/** Rows of standard normal numbers as wide as a case has them. */
const randomBatch = ({ widths = [D] }: Case, random: Random) =>
  new Float32Array(B * totalOf(widths)).map(() => random.normal());

function pointOf(state: TrainState): Point {
  const { encoder, decoder, encoderBias, decoderBias, further, skip } = state;
  const vectors = Object.entries(further).map(([name, { values }]) => [name, Float64Array.from(values)]);
  return {
    W_enc: Float64Array.from(encoder.weights),
    b_enc: Float64Array.from(encoderBias.values),
    W_dec: Float64Array.from(decoder.weights),
    b_dec: Float64Array.from(decoderBias.values),
    ...(skip && { W_skip: Float64Array.from(skip.weights) }),
    ...Object.fromEntries(vectors),
  };
}

const optionsOf = ({ name, settings }: Case): StepOptions => ({
  l1Coefficient: architectureNamed(name).coefficient ? LAMBDA : 0,
  adam: ADAM,
  unitNormDecoder: false,
  trainDecoderBias: true,
  architecture: architectureNamed(name),
  settings,
  // Past what an architecture does otherwise for most of a run; p-annealing is at the stage of its memory, and faint
  // latents are left to themselves at the end.
  progress: name === 'p-annealing' || settings.faintBelow ? 0.5 : 0.9,
  deadAfterSteps: 50,
});

/** The gradients of a step by parameter, read from Adam's moments: m = (1 − β₁) g after one step from zero. */
async function analytic(state: TrainState, batch: Float32Array, which: Case): Promise<Point> {
  await trainStep_(state, backend, prepareRows_(batch, state.layout), optionsOf(which));
  const scaled = (moments: Float32Array) => Float64Array.from(moments, (value) => value / (1 - ADAM.beta1));
  const vectors = Object.entries(state.further).map(([name, vector]) => [name, scaled(vector.firstMoments)]);
  return {
    W_enc: scaled(state.encoder.firstMoments as Float32Array),
    b_enc: scaled(state.encoderBias.firstMoments),
    W_dec: scaled(state.decoder.firstMoments as Float32Array),
    b_dec: scaled(state.decoderBias.firstMoments),
    ...(state.skip && { W_skip: scaled(state.skip.firstMoments as Float32Array) }),
    ...Object.fromEntries(vectors),
  };
}

describe('gradients agree with finite differences of the loss', () => {
  for (const which of CASES) {
    const faint = which.settings.faintBelow ? ' for faint latents' : '';
    const label = which.dead ? `${which.name} with AuxK${faint}` : which.name;
    test(label, async () => {
      const random = new Random(17);
      let checked = 0;
      for (let round = 0; round < 4; round++) {
        const state = randomState(which, random);
        const batch = randomBatch(which, random);
        const point = pointOf(state);
        const exact = Float64Array.from(batch);
        const gradients = await analytic(state, batch, which);
        for (const name of which.only ?? Object.keys(gradients)) {
          gradients[name].forEach((gradient, index) => {
            const numeric = slope(which, point, name, index, exact);
            // A kink within the step (two estimates of the slope differ) has no derivative to compare with.
            if (numeric === undefined) return;
            checked++;
            assert.ok(
              Math.abs(gradient - numeric) < 1e-4 * (1 + Math.abs(numeric)),
              `${name}[${index}]: ${gradient}, numeric ${numeric}`,
            );
          });
        }
      }
      assert.ok(checked > 250, `${checked} slopes checked`);
    });
  }

  test('every architecture has a case', () => {
    const names = new Set(CASES.map((which) => which.name));
    assert.deepEqual(
      ARCHITECTURES.map(({ name }) => name).filter((name) => !names.has(name)),
      [],
    );
  });
});

/** Central difference with two steps, or undefined where they disagree. */
function slope(
  which: Case,
  point: Point,
  name: string,
  index: number,
  batch: Float64Array,
): number | undefined {
  const at = (delta: number) => {
    const moved = { ...point, [name]: point[name].slice() };
    moved[name][index] += delta;
    return which.loss(moved, batch, point);
  };
  const difference = (h: number) => (at(h) - at(-h)) / (2 * h);
  const [fine, coarse] = [difference(1e-6), difference(1e-4)];
  return Math.abs(fine - coarse) < 1e-4 * (1 + Math.abs(fine)) ? fine : undefined;
}

test('the threshold of JumpReLU gets the rectangle-kernel pseudo-gradient', async () => {
  const which = CASES.find(({ name }) => name === 'jumprelu') as Case;
  const random = new Random(5);
  let inWindow = 0;
  for (let round = 0; round < 6; round++) {
    const state = randomState(which, random);
    const batch = new Float32Array(B * D).map(() => random.normal());
    const point = pointOf(state);
    const gradients: Gradients = await gradientsOf_(state, backend, batch.slice(), optionsOf(which));
    const theta = point['log_threshold'].map(Math.exp);
    const pre = preActs(point, Float64Array.from(batch));
    const expected = new Float64Array(F);
    pre.forEach((values, b) => {
      const acts = values.map((value, j) => (value > theta[j] ? value : 0));
      const e = error(point, acts, Float64Array.from(row(Float64Array.from(batch), b)));
      for (let j = 0; j < F; j++) {
        if (Math.abs(values[j] - theta[j]) >= 0.2 || values[j] <= 0) continue;
        inWindow++;
        const slopeOfError = (-theta[j] / 0.4) * 2 * dot(e, row(point['W_dec'], j));
        expected[j] += (theta[j] / B) * (slopeOfError - LAMBDA / 0.4);
      }
    });
    gradients.further['log_threshold'].forEach((value, j) =>
      assert.ok(Math.abs(value - expected[j]) < 1e-4 * (1 + Math.abs(expected[j])), `t[${j}]`),
    );
  }
  assert.ok(inWindow > 10, `${inWindow} pairs in a window`);
});

test('January 2025 gives the pre-activations in the window the gradient of the threshold, with a minus', async () => {
  const narrow = CASES.find(({ name }) => name === 'january-2025') as Case;
  const wide = { ...narrow, settings: { ...narrow.settings, bandwidth: 0.8 } };
  const random = new Random(6);
  const state = randomState(wide, random);
  const batch = randomBatch(wide, random);
  const [a, b] = [
    await gradientsOf_(state, backend, batch.slice(), optionsOf(wide)),
    await gradientsOf_(state, backend, batch.slice(), optionsOf(narrow)),
  ];
  let moved = 0;
  for (let j = 0; j < F; j++) {
    // Of one pair both are θ/ε · g: ∂t = −θ ∂h.
    const ofPreAct = a.b_enc[j] - b.b_enc[j];
    const ofThreshold = a.further['log_threshold'][j] - b.further['log_threshold'][j];
    const theta = Math.exp(state.further['log_threshold'].values[j]);
    assert.ok(Math.abs(ofThreshold + theta * ofPreAct) < 1e-4 * (1 + Math.abs(ofThreshold)), `${j}`);
    if (Math.abs(ofPreAct) > 1e-3) moved++;
  }
  assert.ok(moved > 2, `${moved} latents with a pair in the window`);
});

for (const name of ['jumprelu', 'january-2025']) {
  test(`${name}: the silent pairs of a share of the rows stand for all, rightly in the mean`, async () => {
    const which = CASES.find((found) => found.name === name) as Case;
    const random = new Random(9);
    let differing = 0;
    for (let round = 0; round < 8; round++) {
      const state = randomState(which, random);
      const batch = randomBatch(which, random);
      const half = batch.length / 2;
      const halves = [batch.slice(0, half), batch.slice(half)];
      const gradientsWith = async (windowShare: number, parts: Float32Array[]) => {
        const settings = { ...which.settings, bandwidth: 2, windowShare };
        const rows = Float32Array.from(parts.flatMap((part) => [...part]));
        const gradients = await gradientsOf_(state, backend, rows, optionsOf({ ...which, settings }));
        const { encoder, preActs, further } = gradients;
        return [...further['log_threshold'], ...preActs, ...denseGradient(encoder, F, D)];
      };
      const whole = await gradientsWith(1, halves);
      const [first, second] = [
        await gradientsWith(0.5, halves),
        await gradientsWith(0.5, halves.toReversed()),
      ];
      whole.forEach((gradient, i) => {
        const mean = (first[i] + second[i]) / 2;
        assert.ok(Math.abs(mean - gradient) < 1e-5 * (1 + Math.abs(gradient)), `${i}: ${mean}, ${gradient}`);
        if (Math.abs(first[i] - second[i]) > 1e-3) differing++;
      });
    }
    assert.ok(differing > 10, `the share changes ${differing} sums`);
  });
}

test('trap: AuxK has b_dec on neither side, and revives the encoder', async () => {
  const which = CASES.find(({ dead }) => dead) as Case;
  const random = new Random(8);
  const state = randomState(which, random);
  const batch = new Float32Array(B * D).map(() => random.normal());
  // A shift of b_dec and the batch together leaves x − b_dec, the residual and so every gradient as they were.
  const before = await gradientsOf_(state, backend, batch.slice(), optionsOf(which));
  state.decoderBias.values.forEach((value, i) => (state.decoderBias.values[i] = value + 4));
  const shifted = batch.map((value) => value + 4);
  const after = await gradientsOf_(state, backend, shifted.slice(), optionsOf(which));
  const close = (a: Float64Array, b: Float64Array) =>
    a.forEach((value, i) =>
      assert.ok(Math.abs(value - b[i]) < 1e-3 * (1 + Math.abs(value)), `${value} ${b[i]}`),
    );
  close(denseGradient(before.decoder, F, D), denseGradient(after.decoder, F, D));
  close(denseGradient(before.encoder, F, D), denseGradient(after.encoder, F, D));
  const without = await gradientsOf_(state, backend, shifted.slice(), {
    ...optionsOf(which),
    settings: { k: K },
  });
  const moved = denseGradient(after.encoder, F, D).map(
    (value, i) => value - denseGradient(without.encoder, F, D)[i],
  );
  assert.ok(
    [1, 4, 6].some((j) => norm(row(moved, j)) > 1e-3),
    'the encoder of a dead latent gets a gradient',
  );
  for (const j of [0, 2, 3, 5, 7]) assert.ok(norm(row(moved, j)) < 1e-5, `encoder row ${j} is alive`);
});
