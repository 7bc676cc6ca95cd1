import type { ArchitectureSettings } from '../dictionary/index.ts';
import { latentGroups } from '../dictionary/matryoshka.ts';
import { randomWidths } from '../dictionary/matryoshka-random.ts';
import { hashSeed, Random } from '../random/index.ts';

/*
 * The loss of every architecture, written from its formula in f64, for the tests of gradients.
 */

export const [B, D, F, LAMBDA, K] = [6, 4, 8, 0.3, 2];
/** Width of a transcoder's target. */
const D_OUT = 3;

/** Parameters by name, f64: W_enc, b_enc, W_dec, b_dec, W_skip and the further ones. */
export type Point = Record<string, Float64Array>;

export interface Case {
  readonly name: string;
  readonly settings: ArchitectureSettings;
  /** The loss at a point; `fixed` is the point where gradients are taken, for what is held there. */
  loss(point: Point, batch: Float64Array, fixed: Point): number;
  /** Parameters whose gradient is checked; all when absent. */
  readonly only?: readonly string[];
  readonly dead?: readonly number[];
  readonly memory?: number[];
  /** Widths of the hook points of a row; [D] when absent. */
  readonly widths?: readonly number[];
}

export const row = (matrix: Float64Array, j: number, width = D) =>
  matrix.subarray(j * width, (j + 1) * width);
export const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, i) => sum + value * b[i], 0);
export const norm = (a: Float64Array) => Math.sqrt(dot(a, a));
const squares = (a: Float64Array) => dot(a, a);

/** ⟨x_b − b_dec, W_enc[j]⟩ without the bias, [B][F]. */
function projections(point: Point, batch: Float64Array, centered = true): Float64Array[] {
  return Array.from({ length: B }, (_, b) => {
    const x = row(batch, b).map((value, i) => value - (centered ? point['b_dec'][i] : 0));
    return Float64Array.from({ length: F }, (_, j) => dot(x, row(point['W_enc'], j)));
  });
}

export function preActs(point: Point, batch: Float64Array, centered = true): Float64Array[] {
  return projections(point, batch, centered).map((acts) => acts.map((value, j) => value + point['b_enc'][j]));
}

/** x̂ − x for the activations of one row. */
export function error(point: Point, acts: Float64Array, x: Float64Array, bias = true): Float64Array {
  return x.map((value, i) => {
    let sum = bias ? point['b_dec'][i] : 0;
    for (let j = 0; j < F; j++) sum += acts[j] * point['W_dec'][j * x.length + i];
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
/** Chosen by the sum of pre-activation and lift, the pre-activations. */
const keepLifted = (point: Point, acts: Float64Array[], k: number) => {
  const { lift } = point;
  const chosen = keepBatchTop(
    acts.map((values) => values.map((value, j) => value + lift[j])),
    k,
  );
  return chosen.map((values, b) => values.map((value, j) => (value > 0 ? Math.max(0, acts[b][j]) : 0)));
};
const squaredError = (point: Point, acts: Float64Array[], batch: Float64Array) =>
  acts.reduce((sum, values, b) => sum + squares(error(point, values, row(batch, b, batch.length / B))), 0) /
  B;
const penalty = (acts: Float64Array[], of: (value: number, j: number) => number) =>
  (LAMBDA / B) * acts.reduce((sum, values) => sum + values.reduce((s, value, j) => s + of(value, j), 0), 0);

function matryoshkaOf(prefixPower: number): Case {
  const prefixes = [0.25, 0.5, 1];
  return {
    name: 'matryoshka',
    settings: { k: K, prefixes, prefixPower, byRow: 0.8 },
    memory: [0, 0],
    loss: nestedLoss(latentGroups(prefixes, F), prefixPower),
  };
}

/** Σ_k w_k of the error of the first m_k latents, w_k ∝ m_k^power. */
function nestedLoss(widths: readonly number[], power: number): Case['loss'] {
  const weights = widths.map((width) => width ** power);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return (point, batch) => {
    const acts = keepLifted(point, preActs(point, batch), K);
    const errorOf = (end: number) =>
      squaredError(
        point,
        acts.map((values) => values.map((value, j) => (j < end ? value : 0))),
        batch,
      );
    return widths.reduce((total, width, i) => total + (weights[i] / sum) * errorOf(width), 0);
  };
}

const DEAD = [1, 4, 6];
const WITH_AUX_K = { kAux: 2, auxCoefficient: 0.5 };

/** AuxK of idle latents for what the k largest of each row leave. */
function auxiliaryLoss(
  k: number,
  isIdle: (j: number, fixed: Point, acts: readonly Float64Array[]) => boolean,
): Case['loss'] {
  return (point, batch, fixed) => {
    const fixedActs = preActs(fixed, batch).map((values) => keepTop(values, k));
    const left = fixedActs.map((values, b) => error(fixed, values, row(batch, b)).map((value) => -value));
    const isTaken = (j: number) => isIdle(j, fixed, fixedActs);
    const auxiliary = preActs(point, batch).reduce(
      (sum, values, b) => sum + squares(error(point, keepTop(values, 2, isTaken), left[b], false)),
      0,
    );
    const x = Array.from({ length: B }, (_, b) => row(batch, b));
    return (0.5 * variance(x) * auxiliary) / variance(left) / B;
  };
}

const topKLoss =
  (k: number): Case['loss'] =>
  (point, batch) =>
    squaredError(
      point,
      preActs(point, batch).map((acts) => keepTop(acts, k)),
      batch,
    );

const sumOf =
  (...losses: Case['loss'][]): Case['loss'] =>
  (...inputs) =>
    losses.reduce((sum, loss) => sum + loss(...inputs), 0);

/** TopK with AuxK for dead latents, and for those whose gain is below a number where that is above 0. */
function topKWithAuxK(faintBelow: number): Case {
  const gain = (j: number, fixed: Point) => dot(row(fixed['W_enc'], j), row(fixed['W_dec'], j));
  const isIdle = (j: number, fixed: Point) =>
    DEAD.includes(j) || (faintBelow > 0 && gain(j, fixed) < faintBelow);
  return {
    name: 'topk',
    settings: { k: K, ...WITH_AUX_K, faintBelow },
    dead: DEAD,
    loss: sumOf(topKLoss(K), auxiliaryLoss(K, isIdle)),
  };
}

const K_NARROW = K - 1;
const multiTopKLoss = sumOf(topKLoss(K_NARROW), (...inputs) => topKLoss(4 * K_NARROW)(...inputs) / 8);

export const CASES: Case[] = [
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
  { name: 'topk', settings: { k: K }, loss: topKLoss(K) },
  {
    name: 'batchtopk',
    settings: { k: K, byRow: 0.8 },
    memory: [0, 0],
    loss: (point, batch) => squaredError(point, keepLifted(point, preActs(point, batch), K), batch),
  },
  matryoshkaOf(0),
  matryoshkaOf(1),
  topKWithAuxK(0),
  topKWithAuxK(0.5),
  {
    name: 'jumprelu',
    settings: { bandwidth: 0.4, windowShare: 1, initialThreshold: 0.5 },
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
  { name: 'multi-topk', settings: { k: K_NARROW }, loss: multiTopKLoss },
  {
    name: 'multi-topk',
    settings: { k: K_NARROW, ...WITH_AUX_K },
    dead: DEAD,
    // A dead latent that fires in the batch is dead no longer.
    loss: sumOf(
      multiTopKLoss,
      auxiliaryLoss(K_NARROW, (j, _, acts) => DEAD.includes(j) && acts.every((values) => values[j] === 0)),
    ),
  },
  {
    name: 'matryoshka-random',
    settings: { k: K, nPrefixes: 4, byRow: 0.8, prefixPower: 2 },
    memory: [0, 0],
    loss: nestedLoss(randomWidths(4, F, new Random(hashSeed(0, 'step', 100))), 2),
  },
  {
    name: 'january-2025',
    // A window so narrow that no pair is in it: then the gradients are those of the loss.
    settings: {
      bandwidth: 1e-9,
      windowShare: 1,
      tanhScale: 4,
      preActCoefficient: 0.2,
      initialThreshold: 0.5,
    },
    memory: [1],
    loss: (point, batch) => {
      const pre = preActs(point, batch, false);
      const theta = point['log_threshold'].map(Math.exp);
      const acts = pre.map((values) => values.map((value, j) => (value > theta[j] ? value : 0)));
      const norms = Array.from({ length: F }, (_, j) => norm(row(point['W_dec'], j)));
      const pull = pre.reduce(
        (sum, values) => sum + values.reduce((s, h, j) => s + Math.max(0, theta[j] - h) * norms[j], 0),
        0,
      );
      return (
        squaredError(point, acts, batch) +
        penalty(acts, (value, j) => Math.tanh(4 * value * norms[j])) +
        (0.2 / B) * pull
      );
    },
  },
  {
    name: 'transcoder',
    settings: {},
    widths: [D, D_OUT],
    loss: (point, batch) => {
      const { x, target } = sides(batch);
      const acts = preActs(point, x, false).map(relu);
      return squaredError(point, acts, target) + penalty(acts, (value) => value);
    },
  },
  {
    name: 'skip-transcoder',
    settings: { k: K },
    widths: [D, D_OUT],
    loss: (point, batch) => {
      const { x, target } = sides(batch);
      const acts = preActs(point, x, false).map((values) => keepTop(values, K));
      const left = target.map((value, at) => {
        const [b, o] = [Math.floor(at / D_OUT), at % D_OUT];
        return value - row(x, b).reduce((sum, input, i) => sum + input * point['W_skip'][i * D_OUT + o], 0);
      });
      return squaredError(point, acts, left);
    },
  },
  {
    name: 'crosscoder',
    settings: {},
    widths: [1, D - 1],
    loss: (point, batch) => {
      const acts = preActs(point, batch, false).map(relu);
      const norms = Array.from({ length: F }, (_, j) => {
        const direction = row(point['W_dec'], j);
        return norm(direction.subarray(0, 1)) + norm(direction.subarray(1));
      });
      return squaredError(point, acts, batch) + penalty(acts, (value, j) => value * norms[j]);
    },
  },
  {
    name: 'batchtopk-crosscoder',
    settings: { k: K, byRow: 0.8 },
    widths: [1, D - 1],
    memory: [0, 0],
    loss: (point, batch) => squaredError(point, keepLifted(point, preActs(point, batch, false), K), batch),
  },
];

/** Input and target of a transcoder's rows. */
function sides(batch: Float64Array): { x: Float64Array; target: Float64Array } {
  const part = (from: number, to: number) =>
    Float64Array.from(
      Array.from({ length: B }, (_, b) => [...row(batch, b, D + D_OUT).subarray(from, to)]).flat(),
    );
  return { x: part(0, D), target: part(D, D + D_OUT) };
}

/** Mean squared distance from the mean. */
function variance(rows: Float64Array[]): number {
  const mean = rows[0].map((_, i) => rows.reduce((sum, values) => sum + values[i], 0) / B);
  return rows.reduce((sum, values) => sum + squares(values.map((value, i) => value - mean[i])), 0) / B;
}
