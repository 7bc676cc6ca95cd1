import type { ActivationSource } from '../activations/index.ts';
import { rowNorms } from '../dictionary/index.ts';
import type { Codes, CodesByLatent, KernelBackend } from '../kernels/contract.ts';
import { hashSeed, Random } from '../random/index.ts';
import { Buffers } from '../tensor/index.ts';
import { scaleTo_ } from './initial-directions.ts';
import { dropScreened_, type TrainState } from './parameters.ts';
import { sampleRows } from './random-chunks.ts';
import { prepareRows_ } from './row-layout.ts';
import { gradientsOf_, type StepOptions } from './step.ts';
import { restartAverage_ } from './weight-average.ts';

/** Rows that are looked at, and bytes that they may take: what is left of them is held too. */
const MOST_ROWS = 16_384;
const MOST_BYTES = 64 << 20;

/** Rounds of power iteration; where two features share a latent, their difference stands far out. */
const ROUNDS = 8;

/** A latent is given to a split where it explains at most this share of what the split will. */
const MOST_EXPLAINED = 0.5;

/** Tangent of half the angle between two halves, at least: closer ones would fire on the same rows, and count twice. */
const LEAST_TANGENT = 0.25;

/** Of all latents, at once: until they have parted, halves that both fire spoil the reconstruction. */
const MOST_SPLIT = 1 / 8;

/** How the errors of the rows on which latents fire spread, [dSae] each. */
interface Spread {
  /** [dSae, dOut]: u_j, unit rows at right angles to W_dec[j]. */
  readonly directions: Float32Array;
  /** Σ_b ⟨e_b, u_j⟩² over these rows: by how much the squared error there could fall. */
  readonly energies: Float64Array;
  /** Σ_b f_bj² */
  readonly squares: Float64Array;
}

/**
 * Splitting of latents that stand for two features, each with the help of a latent that stands for next to nothing.
 *
 * Under a penalty two features at a small angle often end in one latent, beside others that have died or hardly fire. On
 * the rows on which such a latent j fires, the errors e = x̂ − x lie along the difference of the two features: u_j, the
 * direction across W_dec[j] with the largest Σ_b ⟨e_b, u_j⟩² over these rows (errors along W_dec[j] are of the
 * activation). Those j are split of which that is largest, each with the latent i of the least Σ_b f_bi² ‖W_dec[i]‖², as
 * long as this is at most half of that. Halves: W_dec[j] ± t u_j at the length of W_dec[j], with
 * t² = Σ_b ⟨e_b, u_j⟩² / Σ_b f_bj², and the rows of W_enc turned by as much; only where t is at least 0.25, and an eighth
 * of the latents at most. Whatever else belongs to j is copied; first moments of Adam start at 0, second moments are j's.
 *
 * An idea of our own; the split step of split-and-merge EM (Ueda et al. 2000) is alike. For dictionaries whose input is
 * what they reconstruct.
 *
 * @param step with which gradients are worked out: the codes of a row are those of training
 * @returns how many were split
 * Mutates state
 * Memory  at most 64 MiB of rows and as much of errors, and two matrices like W_dec
 */
export async function splitLatents_(
  state: TrainState,
  source: ActivationSource,
  backend: KernelBackend,
  step: StepOptions,
): Promise<number> {
  const seed = hashSeed(step.seed ?? 0, 'split', state.step);
  const nRows = Math.max(1, Math.min(MOST_ROWS, Math.floor(MOST_BYTES / 4 / state.dIn)));
  const rows = prepareRows_(await sampleRows(source, nRows, seed), state.layout);
  const found = await spread(state, rows, backend, step, new Random(seed));
  const pairs = pairsToSplit(found, rowNorms(state.decoder.weights, state.dSae));
  for (const [j, other] of pairs) {
    const direction = found.directions.subarray(j * state.dOut, (j + 1) * state.dOut);
    const tangent = Math.sqrt(found.energies[j] / found.squares[j]);
    copyLatent_(state, j, other);
    turnLatent_(state, j, direction, tangent);
    turnLatent_(state, other, direction, -tangent);
  }
  if (pairs.length > 0) dropScreened_(state, backend);
  restartAverage_(state, pairs.flat());
  return pairs.length;
}

/** Latents to split, the most rewarding first, each with the one that takes a half; of equal ones the lower number. */
function pairsToSplit({ energies, squares }: Spread, norms: Float64Array): [number, number][] {
  const explained = squares.map((square, j) => square * norms[j] ** 2);
  const byNumber = [...energies.keys()];
  const shared = byNumber
    .filter((j) => energies[j] >= LEAST_TANGENT ** 2 * squares[j] && squares[j] > 0)
    .sort((a, b) => energies[b] - energies[a] || a - b)
    .slice(0, Math.ceil(MOST_SPLIT * byNumber.length));
  const spare = byNumber.sort((a, b) => explained[a] - explained[b] || a - b);
  const pairs: [number, number][] = [];
  const used = new Set<number>();
  for (const [i, j] of shared.entries()) {
    const other = spare[i];
    if (used.has(j) || used.has(other) || explained[other] > MOST_EXPLAINED * energies[j]) break;
    used.add(j).add(other);
    pairs.push([j, other]);
  }
  return pairs;
}

async function spread(
  state: TrainState,
  rows: Float32Array,
  backend: KernelBackend,
  step: StepOptions,
  random: Random,
): Promise<Spread> {
  const { dSae, dOut } = state;
  // What the sample needs is given back with it, and the architecture's memory is of batches of training alone.
  const apart = { ...state, buffers: new Buffers(), memory: [...state.memory] };
  const { acts, residuals } = await gradientsOf_(apart, backend, rows, step);
  const byLatent = await backend.transpose(acts);
  let directions: Float32Array = new Float32Array(dSae * dOut).map(() => random.normal());
  let products: Float32Array = new Float32Array();
  for (let round = 0; round < ROUNDS; round++) {
    makeUnitAcross_(directions, state.decoder.weights, dOut);
    products = await backend.sampledProducts({ codes: acts, dOut, rows: residuals, W_dec: directions });
    const codes = ofLatents(acts, byLatent, products);
    directions = await backend.decode({ codes, dOut, W_dec: residuals });
  }
  makeUnitAcross_(directions, state.decoder.weights, dOut);
  return { directions, ...sumsOf(acts, products) };
}

function sumsOf({ dSae, latentIndices, values }: Codes, products: Float32Array): Omit<Spread, 'directions'> {
  const [energies, squares] = [new Float64Array(dSae), new Float64Array(dSae)];
  for (let pair = 0; pair < values.length; pair++) {
    if (values[pair] <= 0) continue;
    const j = latentIndices[pair];
    energies[j] += products[pair] ** 2;
    squares[j] += values[pair] ** 2;
  }
  return { energies, squares };
}

/** The products of the active pairs as codes of latents over rows, so that `decode` sums the rows of each latent. */
function ofLatents(acts: Codes, byLatent: CodesByLatent, products: Float32Array): Codes {
  const { latentPointers, rowIndices, pairIndices } = byLatent;
  const values = new Float32Array(pairIndices.length);
  for (let place = 0; place < values.length; place++) {
    const pair = pairIndices[place];
    values[place] = acts.values[pair] > 0 ? products[pair] : 0;
  }
  return {
    nRows: acts.dSae,
    dSae: acts.nRows,
    rowPointers: latentPointers,
    latentIndices: rowIndices,
    values,
  };
}

/** Take from each direction what lies along the latent's own row, and scale the rest to length 1. */
function makeUnitAcross_(directions: Float32Array, W_dec: Float32Array, width: number): void {
  for (let start = 0; start < directions.length; start += width) {
    const direction = directions.subarray(start, start + width);
    const own = W_dec.subarray(start, start + width);
    let [along, square] = [0, 0];
    for (let i = 0; i < width; i++) {
      along += direction[i] * own[i];
      square += own[i] * own[i];
    }
    if (square > 0) for (let i = 0; i < width; i++) direction[i] -= (along / square) * own[i];
    scaleTo_(direction, 1);
  }
}

/** Latent `to` becomes like `from`, in its weights, its other parameters and their second moments. */
function copyLatent_(state: TrainState, from: number, to: number): void {
  for (const { weights, secondMoments, width } of matricesOf(state)) {
    weights.copyWithin(to * width, from * width, (from + 1) * width);
    secondMoments.copyWithin(to * width, from * width, (from + 1) * width);
  }
  for (const { values, secondMoments } of vectorsOf(state)) {
    values[to] = values[from];
    secondMoments[to] = secondMoments[from];
  }
  state.lastFiredStep[to] = state.step;
}

/** W_dec[j] + tangent · direction at the length it has, and W_enc[j] turned by the same angle; first moments are 0. */
function turnLatent_(state: TrainState, j: number, direction: Float32Array, tangent: number): void {
  const length = Math.hypot(...state.decoder.weights.subarray(j * state.dOut, (j + 1) * state.dOut));
  for (const { weights, firstMoments, width } of matricesOf(state)) {
    const row = weights.subarray(j * width, (j + 1) * width);
    const own = Math.hypot(...row);
    for (let i = 0; i < width; i++) row[i] += ((own * tangent) / length) * direction[i];
    scaleTo_(row, own);
    firstMoments.fill(0, j * width, (j + 1) * width);
  }
  for (const { firstMoments } of vectorsOf(state)) firstMoments[j] = 0;
}

function matricesOf({ encoder, decoder, dIn, dOut }: TrainState) {
  return [
    { ...encoder, width: dIn },
    { ...decoder, width: dOut },
  ];
}

function vectorsOf({ encoderBias, further }: TrainState) {
  return [encoderBias, ...Object.values(further)];
}
