/**
 * The gradients of every architecture against finite differences of its loss, written here from the formula in f64.
 * Straight-through gradients of thresholds have no such loss: they are compared with their definition, pair by pair.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  ARCHITECTURES,
  architectureNamed,
  type ArchitectureSettings,
  type Gradients,
} from '../dictionary/index.ts';
import { latentGroups } from '../dictionary/matryoshka.ts';
import type { SparseSum } from '../dictionary/sparse-sum.ts';
import { selectBackend } from '../kernels/index.ts';
import { Random } from '../random/index.ts';
import { trainState, type TrainState } from './parameters.ts';
import { gradientsOf, type StepOptions, trainStep_ } from './step.ts';

const [B, D, F, LAMBDA, K] = [6, 4, 8, 0.3, 2];
const ADAM = { learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, step: 1 };
const backend = await selectBackend({ name: 'reference' });

/** Parameters by name, f64: W_enc, b_enc, W_dec, b_dec and the further ones. */
type Point = Record<string, Float64Array>;

interface Case {
  readonly name: string;
  readonly settings: ArchitectureSettings;
  /** The loss at a point; `fixed` is the point where gradients are taken, for what is held there. */
  loss(point: Point, batch: Float64Array, fixed: Point): number;
  /** Parameters whose gradient is checked; all when absent. */
  readonly only?: readonly string[];
  readonly dead?: readonly number[];
  readonly memory?: number[];
}

const row = (matrix: Float64Array, j: number) => matrix.subarray(j * D, (j + 1) * D);
const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const norm = (a: Float64Array) => Math.sqrt(dot(a, a));
const squares = (a: Float64Array) => dot(a, a);

/** ⟨x_b − b_dec, W_enc[j]⟩ without the bias, [B][F]. */
function projections(point: Point, batch: Float64Array, centered = true): Float64Array[] {
  return Array.from({ length: B }, (_, b) => {
    const x = row(batch, b).map((value, i) => value - (centered ? point['b_dec'][i] : 0));
    return Float64Array.from({ length: F }, (_, j) => dot(x, row(point['W_enc'], j)));
  });
}

function preActs(point: Point, batch: Float64Array, centered = true): Float64Array[] {
  return projections(point, batch, centered).map((acts) => acts.map((value, j) => value + point['b_enc'][j]));
}

/** x̂ − x for the activations of one row. */
function error(point: Point, acts: Float64Array, x: Float64Array, bias = true): Float64Array {
  return x.map((value, i) => {
    let sum = bias ? point['b_dec'][i] : 0;
    for (let j = 0; j < F; j++) sum += acts[j] * point['W_dec'][j * D + i];
    return sum - value;
  });
}

const relu = (acts: Float64Array) => acts.map((value) => Math.max(0, value));
const keepTop = (acts: Float64Array, k: number, among = (_j: number) => true) => {
  const best = [...acts.keys()].filter((j) => among(j)).sort((a, b) => acts[b] - acts[a]);
  return acts.map((value, j) => (best.indexOf(j) >= 0 && best.indexOf(j) < k ? Math.max(0, value) : 0));
};
const keepBatchTop = (acts: Float64Array[], k: number) => {
  const least = acts.flatMap((values) => [...relu(values)]).sort((a, b) => b - a)[k * B - 1];
  return acts.map((values) => values.map((value) => (value >= least && value > 0 ? value : 0)));
};
const squaredError = (point: Point, acts: Float64Array[], batch: Float64Array) =>
  acts.reduce((sum, values, b) => sum + squares(error(point, values, row(batch, b))), 0) / B;
const penalty = (acts: Float64Array[], of: (value: number, j: number) => number) =>
  (LAMBDA / B) * acts.reduce((sum, values) => sum + values.reduce((s, value, j) => s + of(value, j), 0), 0);

const CASES: Case[] = [
  {
    name: 'standard',
    settings: {},
    loss: (point, batch) => {
      const acts = preActs(point, batch).map(relu);
      return squaredError(point, acts, batch) + penalty(acts, (value) => value);
    },
  },
  {
    name: 'april-2024',
    settings: {},
    loss: (point, batch) => {
      const acts = preActs(point, batch, false).map(relu);
      const norms = Array.from({ length: F }, (_, j) => norm(row(point['W_dec'], j)));
      return squaredError(point, acts, batch) + penalty(acts, (value, j) => value * norms[j]);
    },
  },
  {
    name: 'topk',
    settings: { k: K },
    loss: (point, batch) =>
      squaredError(
        point,
        preActs(point, batch).map((acts) => keepTop(acts, K)),
        batch,
      ),
  },
  {
    name: 'batchtopk',
    settings: { k: K },
    memory: [0, 0],
    loss: (point, batch) => squaredError(point, keepBatchTop(preActs(point, batch), K), batch),
  },
  {
    name: 'matryoshka',
    settings: { k: K, prefixes: [0.25, 0.5, 1] },
    memory: [0, 0],
    loss: (point, batch) => {
      const acts = keepBatchTop(preActs(point, batch), K);
      const losses = latentGroups([0.25, 0.5, 1], F).map((end) =>
        squaredError(
          point,
          acts.map((values) => values.map((value, j) => (j < end ? value : 0))),
          batch,
        ),
      );
      return losses.reduce((sum, value) => sum + value, 0) / losses.length;
    },
  },
  {
    name: 'topk',
    settings: { k: K, kAux: 2, auxCoefficient: 0.5 },
    dead: [1, 4, 6],
    loss: (point, batch, fixed) => {
      const acts = preActs(point, batch);
      const fixedActs = preActs(fixed, batch).map((values) => keepTop(values, K));
      const left = fixedActs.map((values, b) => error(fixed, values, row(batch, b)).map((value) => -value));
      const auxiliary = acts.reduce((sum, values, b) => {
        const dead = keepTop(values, 2, (j) => [1, 4, 6].includes(j));
        return sum + squares(error(point, dead, left[b], false));
      }, 0);
      const x = Array.from({ length: B }, (_, b) => row(batch, b));
      const weight = (0.5 * variance(x)) / variance(left);
      const kept = acts.map((values) => keepTop(values, K));
      return squaredError(point, kept, batch) + (weight * auxiliary) / B;
    },
  },
  {
    name: 'jumprelu',
    settings: { bandwidth: 0.4, initialThreshold: 0.5 },
    memory: [1],
    only: ['W_enc', 'b_enc', 'W_dec', 'b_dec'],
    loss: (point, batch) => {
      const acts = preActs(point, batch).map((values) =>
        values.map((value, j) => (value > Math.exp(point['log_threshold'][j]) ? value : 0)),
      );
      return squaredError(point, acts, batch);
    },
  },
  {
    name: 'gated',
    settings: {},
    loss: (point, batch, fixed) => {
      const raw = projections(point, batch);
      const gates = raw.map((values) => values.map((value, j) => Math.max(0, value + point['b_enc'][j])));
      const acts = raw.map((values, b) =>
        values.map((value, j) =>
          gates[b][j] > 0 ? Math.max(0, Math.exp(point['r_mag'][j]) * value + point['b_mag'][j]) : 0,
        ),
      );
      return (
        squaredError(point, acts, batch) +
        penalty(gates, (value) => value) +
        squaredError(fixed, gates, batch)
      );
    },
  },
  {
    name: 'p-annealing',
    settings: { finalPower: 0.2 },
    // Stage 5 of 10: p = 0.6; α = 1 and means that leave it so.
    memory: [5, 1, 1, 1, 1e-9],
    loss: (point, batch) => {
      const acts = preActs(point, batch).map(relu);
      return squaredError(point, acts, batch) + penalty(acts, (value) => value ** 0.6);
    },
  },
];

/** Mean squared distance from the mean. */
function variance(rows: Float64Array[]): number {
  const mean = rows[0].map((_, i) => rows.reduce((sum, values) => sum + values[i], 0) / B);
  return rows.reduce((sum, values) => sum + squares(values.map((value, i) => value - mean[i])), 0) / B;
}

function randomState({ name, memory, dead = [] }: Case, random: Random): TrainState {
  const normal = (n: number) => new Float32Array(n).map(() => random.normal());
  const further = architectureNamed(name).start?.(F, 1, { initialThreshold: 0.5 }).further ?? {};
  for (const vector of Object.values(further))
    vector.forEach((value, j) => (vector[j] = value + 0.3 * random.normal()));
  const weights = { W_enc: normal(F * D), b_enc: normal(F), W_dec: normal(F * D), b_dec: normal(D) };
  const state = trainState(weights, 1, { further, memory: [...(memory ?? [])] });
  state.step = 100;
  state.lastFiredStep.fill(100);
  for (const j of dead) state.lastFiredStep[j] = 0;
  return state;
}

function pointOf(state: TrainState): Point {
  const { encoder, decoder, encoderBias, decoderBias, further } = state;
  const vectors = Object.entries(further).map(([name, { values }]) => [name, Float64Array.from(values)]);
  return {
    W_enc: Float64Array.from(encoder.weights),
    b_enc: Float64Array.from(encoderBias.values),
    W_dec: Float64Array.from(decoder.weights),
    b_dec: Float64Array.from(decoderBias.values),
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
  progress: name === 'p-annealing' ? 0.5 : 0,
  deadAfterSteps: 50,
});

/** The rows of a sparse sum as a matrix [F, D]. */
function dense({ byLatent, coefficients, rows }: SparseSum): Float64Array {
  const out = new Float64Array(F * D);
  for (let j = 0; j < F; j++) {
    for (let n = byLatent.latentPointers[j]; n < byLatent.latentPointers[j + 1]; n++) {
      const from = byLatent.rowIndices[n] * D;
      for (let i = 0; i < D; i++) out[j * D + i] += coefficients[byLatent.pairIndices[n]] * rows[from + i];
    }
  }
  return out;
}

/** The gradients of a step by parameter, read from Adam's moments: m = (1 − β₁) g after one step from zero. */
async function analytic(state: TrainState, batch: Float32Array, which: Case): Promise<Point> {
  await trainStep_(state, backend, batch, optionsOf(which));
  const scaled = (moments: Float32Array) => Float64Array.from(moments, (value) => value / (1 - ADAM.beta1));
  const vectors = Object.entries(state.further).map(([name, vector]) => [name, scaled(vector.firstMoments)]);
  return {
    W_enc: scaled(state.encoder.firstMoments),
    b_enc: scaled(state.encoderBias.firstMoments),
    W_dec: scaled(state.decoder.firstMoments),
    b_dec: scaled(state.decoderBias.firstMoments),
    ...Object.fromEntries(vectors),
  };
}

describe('gradients agree with finite differences of the loss', () => {
  for (const which of CASES) {
    const label = which.dead ? `${which.name} with AuxK` : which.name;
    test(label, async () => {
      const random = new Random(17);
      let checked = 0;
      for (let round = 0; round < 4; round++) {
        const state = randomState(which, random);
        const batch = new Float32Array(B * D).map(() => random.normal());
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
    const gradients: Gradients = await gradientsOf(state, backend, batch, optionsOf(which));
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

test('trap: AuxK has b_dec on neither side, and revives the encoder', async () => {
  const which = CASES.find(({ dead }) => dead) as Case;
  const random = new Random(8);
  const state = randomState(which, random);
  const batch = new Float32Array(B * D).map(() => random.normal());
  // A shift of b_dec and the batch together leaves x − b_dec, the residual and so every gradient as they were.
  const before = await gradientsOf(state, backend, batch, optionsOf(which));
  state.decoderBias.values.forEach((value, i) => (state.decoderBias.values[i] = value + 4));
  const shifted = batch.map((value) => value + 4);
  const after = await gradientsOf(state, backend, shifted, optionsOf(which));
  const close = (a: Float64Array, b: Float64Array) =>
    a.forEach((value, i) =>
      assert.ok(Math.abs(value - b[i]) < 1e-3 * (1 + Math.abs(value)), `${value} ${b[i]}`),
    );
  close(dense(before.decoder), dense(after.decoder));
  close(dense(before.encoder), dense(after.encoder));
  const without = await gradientsOf(state, backend, shifted, { ...optionsOf(which), settings: { k: K } });
  const moved = dense(after.encoder).map((value, i) => value - dense(without.encoder)[i]);
  assert.ok(
    [1, 4, 6].some((j) => norm(row(moved, j)) > 1e-3),
    'the encoder of a dead latent gets a gradient',
  );
  for (const j of [0, 2, 3, 5, 7]) assert.ok(norm(row(moved, j)) < 1e-5, `encoder row ${j} is alive`);
});
