import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { encode } from '../dictionary/index.ts';
import type { Codes } from '../kernels/contract.ts';
import { ModelRunner, OnnxModel } from '../model/index.ts';
import { fixture } from '../testing/fixtures.ts';
import { near, type SaeBenchGolden, saeBenchGolden } from '../testing/saebench-golden.ts';
import { absorptionOf, decoderCosines } from './absorbed.ts';
import { againstEachOther } from './class-sets.ts';
import { denseMeanDifference, largestPlaces } from './code-columns.ts';
import { ablatedScore, latentEffects, mostEffective, probeProducts } from './concept-ablation.ts';
import { type MinimumDescription, minimumDescription } from './description-length.ts';
import { type BenchmarkSubject, meanExamples, type ProbeExamples } from './examples.ts';
import { fitProbe, type Probe, probeScore } from './probe.ts';
import { accuracyOf } from './sparse-probing.ts';

/** A stand-in for a model: token ids are rows of x [n, dIn]. */
const rowsAsModel = (x: Float32Array, dIn: number) => ({
  dIn,
  activations: async (tokens: Uint32Array) =>
    Float32Array.from(
      { length: tokens.length * dIn },
      (_, i) => x[tokens[Math.floor(i / dIn)] * dIn + (i % dIn)],
    ),
});

let golden: SaeBenchGolden;
let dIn: number;
before(async () => {
  golden = await saeBenchGolden();
  dIn = golden.dictionary.config.dIn;
});

describe("SAEBench's probing, perturbation and removal on the same rows", () => {
  let examples: ProbeExamples;
  let probe: Probe;
  let runner: BenchmarkSubject['runner'];
  const textsOf = (lengths: Float32Array) =>
    Array.from(lengths, (length, i) => Uint32Array.from({ length }, (_, at) => 8 * i + at));
  const set = againstEachOther(
    Array.from({ length: 40 }, (_, i) => i),
    Array.from({ length: 40 }, (_, i) => 40 + i),
  );
  before(async () => {
    runner = rowsAsModel(golden.tensor('probing.x'), dIn);
    examples = await meanExamples({ ...golden, runner }, textsOf(golden.tensor('probing.lengths')), 0);
    probe = fitProbe('logistic', { x: examples.means, width: dIn, ...set });
  });

  test('the logistic probe is the one of scikit-learn', () => {
    const { weights, bias, accuracy } = golden.figures.probing;
    weights.forEach((weight, i) => near(probe.weights[i], weight, 2e-3));
    near(probe.bias, bias, 2e-3);
    near(accuracyOf(set, (row) => probeScore(probe, examples.means, row)).value, accuracy);
  });

  test('columns are chosen alike', () => {
    const { rows, isPositive } = set;
    const difference = denseMeanDifference(examples.means, dIn, rows, isPositive).map(Math.abs);
    assert.deepEqual(
      largestPlaces(difference, 5).sort((a, b) => a - b),
      golden.figures.probing.top_5_by_mean_difference,
    );
  });

  test('effects of latents and the most effective ones are equal', () => {
    const effects = latentEffects(examples, set, probeProducts(probe, golden.dictionary), 'towards');
    golden.figures.probing.effects.forEach((effect, latent) => near(effects[latent], effect, 5e-3));
    assert.deepEqual(
      [...mostEffective(effects, 5)].sort((a, b) => a - b),
      golden.figures.probing.ablated,
    );
  });

  test('scores with latents ablated are equal where no text is padded', async () => {
    const whole = await meanExamples({ ...golden, runner }, textsOf(new Float32Array(80).fill(8)), 0);
    golden.figures.probing.scores_ablated.whole.forEach((score, row) =>
      near(scoreAblated(whole, row), score, 5e-3),
    );
  });

  test('theirs ablates latents at padding too, where the dictionary encodes zeros', async () => {
    const zero = await encode(golden.dictionary, golden.backend, new Float32Array(dIn), 1);
    const products = probeProducts(probe, golden.dictionary);
    const atPadding = golden.figures.probing.ablated.reduce((sum, latent) => {
      const pair = zero.latentIndices.indexOf(latent);
      return pair < 0 ? sum : sum + zero.values[pair] * products[latent];
    }, 0);
    assert.ok(Math.abs(atPadding) > 0.1);
    golden.tensor('probing.lengths').forEach((length, row) => {
      const theirs = scoreAblated(examples, row) - ((8 - length) / length) * atPadding;
      near(theirs, golden.figures.probing.scores_ablated.padded[row], 5e-3);
    });
  });

  const scoreAblated = (of: ProbeExamples, row: number) =>
    ablatedScore(
      of,
      row,
      probe,
      probeProducts(probe, golden.dictionary),
      new Set(golden.figures.probing.ablated),
    );
});

test("SAEBench's absorption of the same words: fractions and full absorptions are equal", async () => {
  const x = golden.tensor('absorption.x');
  const direction = Float64Array.from(golden.tensor('absorption.direction'));
  const codes = await encode(golden.dictionary, golden.backend, x, x.length / dIn);
  const cosines = decoderCosines(direction, golden.dictionary);
  const { main, fractions, full } = golden.figures.absorption;
  const found = fractions.map((_, row) => {
    const [first, end] = [codes.rowPointers[row], codes.rowPointers[row + 1]];
    const projection = direction.reduce((sum, value, d) => sum + value * x[row * dIn + d], 0);
    const [latents, values] = [codes.latentIndices.subarray(first, end), codes.values.subarray(first, end)];
    return absorptionOf(latents, values, cosines, new Set(main), projection);
  });
  found.forEach(({ fraction }, i) => near(fraction, fractions[i], 1e-3));
  assert.deepEqual(
    found.map(({ isFull }) => isFull),
    full,
  );
  assert.ok(full.includes(true) && fractions.some((fraction) => fraction > 0 && fraction < 1));
});

describe("SAEBench's description length of the same activations", () => {
  let codes: Codes;
  let ours: MinimumDescription;
  before(async () => {
    const { runner } = await tinyModel();
    const tokens = Uint32Array.from(golden.tokens);
    const x = await runner.activations(tokens, 12);
    await runner.close();
    codes = await encode(golden.dictionary, golden.backend, x, tokens.length);
    const text = { tokens: tokens.map((_, i) => i), contextSize: 12, nContexts: 60, documents: [] };
    ours = await minimumDescription({ ...golden, runner: rowsAsModel(x, dIn) }, text);
  });

  test('theirs counts the tokens on which a latent is silent into its first bin', () => {
    for (const bins of [8, 32]) {
      near(bitsByHand(codes, bins, maximaOf(codes), true), golden.figures.mdl.from_0[bins], 1e-3);
      near(
        bitsByHand(codes, bins, maximaOf(codes), false),
        ours.lengths.find((length) => length.bins === bins)!.bits,
      );
    }
  });

  test('theirs looks for the largest activation from 100 up, so that smaller ones share a bin', () => {
    const hundred = new Float32Array(codes.dSae).fill(100);
    near(bitsByHand(codes, 32, hundred, true), golden.figures.mdl.from_100[32], 1e-3);
    assert.equal(golden.figures.mdl.from_100[8], golden.figures.mdl.from_100[32]);
  });
});

async function tinyModel() {
  const model = await OnnxModel.open(fixture('models/one-layer'));
  return { runner: await ModelRunner.start(model, { hook: 'blocks.0.mlp.hook_post', threads: 1 }) };
}

function maximaOf({ dSae, latentIndices, values }: Codes): Float32Array {
  const maxima = new Float32Array(dSae);
  latentIndices.forEach((latent, pair) => (maxima[latent] = Math.max(maxima[latent], values[pair])));
  return maxima;
}

/** Σ_j H(fires) + P(fires) · H(bin), in the plainest way; `withSilent`: over all tokens instead of those that fire. */
function bitsByHand(codes: Codes, bins: number, maxima: Float32Array, withSilent: boolean): number {
  const entropy = (shares: number[]) => shares.reduce((sum, p) => (p > 0 ? sum - p * Math.log2(p) : sum), 0);
  let bits = 0;
  for (let latent = 0; latent < codes.dSae; latent++) {
    const active = [...codes.values].filter((_, pair) => codes.latentIndices[pair] === latent);
    const counts = new Array<number>(bins).fill(0);
    for (const value of active) counts[Math.min(bins - 1, Math.floor((bins * value) / maxima[latent]))]++;
    if (withSilent) counts[0] += codes.nRows - active.length;
    const total = counts.reduce((sum, count) => sum + count, 0);
    const p = active.length / codes.nRows;
    if (total > 0) bits += entropy([p, 1 - p]) + p * entropy(counts.map((count) => count / total));
  }
  return bits;
}
