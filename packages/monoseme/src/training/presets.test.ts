/** Presets do what the papers (or, where these are silent, the replications) they are named after do, in steps and tokens. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { penaltyCoefficient, type TrainOptions } from './options.ts';
import { resolveOptions } from './presets.ts';
import { l1ShareAt, learningRateAt, stepsAt } from './schedule.ts';

/** A preset, and its numbers in the units in which its source gives them. */
function recipe(name: string) {
  const options = resolveOptions({}, name);
  const nSteps = Math.floor(options.tokens / options.batchRows);
  return {
    options,
    nSteps,
    /** The first step, counted from 0, with the whole learning rate or λ. */
    rateIsWhole: firstWhole((step) => learningRateAt(step, nSteps, options) / options.learningRate),
    coefficientIsWhole: firstWhole((step) => l1ShareAt(step, nSteps, options)),
    /** Share of the run in which the learning rate falls, to 0 at its end. */
    decay: options.learningRateDecay,
  };
}

function firstWhole(share: (step: number) => number): number {
  let step = 0;
  while (share(step) < 1) step++;
  return step;
}

/** Within 3 %: shares of a run are round numbers. */
function near(actual: number, expected: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= 0.03 * expected, `${what}: ${actual}, expected ${expected}`);
}

function expectOptions(options: TrainOptions, expected: Partial<TrainOptions>): void {
  for (const [key, value] of Object.entries(expected))
    assert.deepEqual(options[key as keyof TrainOptions], value, key);
}

describe('presets', () => {
  test('bricken-2023: 8,192 vectors, a million steps, λ 0.004 on the mean error, resampling at 25,000 … 100,000', () => {
    const { options, nSteps, rateIsWhole, coefficientIsWhole, decay } = recipe('bricken-2023');
    expectOptions(options, { architecture: 'standard', batchRows: 8192, resampleInputs: 819_200 });
    expectOptions(options, { unitNormDecoder: true, encoderInit: 'kaiming', normalize: 'none' });
    expectOptions(options, { decoderBiasInit: 'geometric-median', beta1: 0.9, beta2: 0.999, epsilon: 1e-8 });
    assert.deepEqual([nSteps, rateIsWhole, coefficientIsWhole, decay], [1_000_000, 0, 0, 0]);
    assert.deepEqual([...stepsAt(options.resampleAt, nSteps)], [25_000, 50_000, 75_000, 100_000]);
    assert.equal(options.resampleWindow * nSteps, 12_500);
    // For 512 inputs 2.05 where the error is summed.
    assert.ok(Math.abs(penaltyCoefficient(options, 512) - 2.048) < 1e-12);
  });

  test('april-2024: λ 5 after a twentieth, free norms of 0.1, the rate falls in the last fifth, gradients of norm 1 at most', () => {
    const { options, nSteps, rateIsWhole, coefficientIsWhole, decay } = recipe('april-2024');
    expectOptions(options, { architecture: 'april-2024', l1Coefficient: 5, l1Scale: 'sum', batchRows: 4096 });
    expectOptions(options, { unitNormDecoder: false, decoderNorm: 0.1, encoderInit: 'tied' });
    expectOptions(options, { normalize: 'expected-norm', decoderBiasInit: 'zeros', gradientClipNorm: 1 });
    expectOptions(options, { learningRate: 5e-5, beta1: 0.9, beta2: 0.999, resampleAt: [] });
    near(coefficientIsWhole, nSteps / 20, 'λ warms up');
    assert.deepEqual([rateIsWhole, decay], [0, 0.2]);
  });

  test('gao-2024: 32 of 32,768 latents, 256 dead ones at 1/32 after 10 million tokens, rows normalised, Adam ε 6.25e-10', () => {
    const { options, rateIsWhole, decay } = recipe('gao-2024');
    expectOptions(options, { architecture: 'topk', dSae: 32_768, k: 32, kAux: 256, auxCoefficient: 1 / 32 });
    expectOptions(options, { batchRows: 131_072, learningRate: 1e-4, epsilon: 6.25e-10, beta2: 0.999 });
    expectOptions(options, { deadAfterTokens: 10_000_000, faintBelow: 0, kWarmUp: 0, emaDecay: 0 });
    expectOptions(options, { normalize: 'layer-norm', decoderBiasInit: 'geometric-median', beta1: 0.9 });
    expectOptions(options, { unitNormDecoder: true, encoderInit: 'tied', decoderInit: 'random' });
    assert.deepEqual([rateIsWhole, decay], [0, 0]);
  });

  test('gemma-scope: ε and θ 0.001 and λ 6e-4 in units of the inputs, 1,000 steps of warm-up, 10,000 of λ, no AuxK', () => {
    const { options, rateIsWhole, coefficientIsWhole, decay } = recipe('gemma-scope');
    const dIn = 2304;
    near(options.bandwidth as number, 0.001 * Math.sqrt(dIn), 'ε');
    near(options.initialThreshold as number, 0.001 * Math.sqrt(dIn), 'θ');
    near(options.l0Coefficient as number, 6e-4 * dIn, 'λ');
    near(rateIsWhole, 1000, 'the learning rate warms up');
    near(coefficientIsWhole, 10_000, 'λ warms up');
    expectOptions(options, { architecture: 'jumprelu', dSae: 16_384, batchRows: 4096, tokens: 4e9 });
    expectOptions(options, { learningRate: 7e-5, learningRateShape: 'cosine', beta1: 0, beta2: 0.999 });
    expectOptions(options, { epsilon: 1e-8, auxCoefficient: 0, windowShare: 1, unitNormDecoder: true });
    expectOptions(options, { encoderInit: 'tied', decoderBiasInit: 'zeros', normalize: 'expected-norm' });
    assert.equal(decay, 0);
  });

  test('january-2025: c 4, ε 2, λ_P 3e-6, θ 0.1, λ rising over the whole run, latents that start on 10,000/m of the inputs', () => {
    const { options, nSteps, decay } = recipe('january-2025');
    expectOptions(options, { architecture: 'january-2025', tanhScale: 4, bandwidth: 2, windowShare: 1 });
    expectOptions(options, { preActCoefficient: 3e-6, initialThreshold: 0.1, l0Coefficient: 10 });
    expectOptions(options, { initialDensity: 10_000 / options.dSae, batchRows: 32_768, learningRate: 2e-4 });
    expectOptions(options, { decoderInit: 'uniform', encoderInit: 'scaled', unitNormDecoder: false });
    expectOptions(options, { gradientClipNorm: 1, normalize: 'expected-norm' });
    assert.deepEqual([decay, l1ShareAt(nSteps / 2, nSteps, options)], [0.2, 0.5]);
  });

  test('batch-topk: the k·B largest from the start, 512 dead ones at 1/32 after five batches, rows normalised', () => {
    const { options, rateIsWhole, decay } = recipe('batch-topk');
    expectOptions(options, { architecture: 'batchtopk', dSae: 12_288, k: 32, kAux: 512, byRow: 0 });
    expectOptions(options, { auxCoefficient: 1 / 32, deadAfterTokens: 5 * 4096, batchRows: 4096 });
    expectOptions(options, { learningRate: 3e-4, beta1: 0.9, beta2: 0.99, tokens: 1e9 });
    expectOptions(options, { normalize: 'layer-norm', decoderBiasInit: 'zeros', encoderInit: 'tied' });
    assert.deepEqual([rateIsWhole, decay], [0, 0]);
  });

  test('matryoshka: five prefixes that count the same, 1,000 steps of warm-up, the last fifth falling, gradients of norm 1', () => {
    const { options, rateIsWhole, decay } = recipe('matryoshka');
    const widths = (options.prefixes as number[]).map((end) => end * 32);
    assert.deepEqual(widths, [1, 3, 7, 15, 32], 'groups of 1/32, 1/16, 1/8, 1/4 and 17/32');
    expectOptions(options, { architecture: 'matryoshka', prefixPower: 0, byRow: 0, dSae: 65_536 });
    expectOptions(options, { batchRows: 2048, tokens: 500_000_000, learningRate: 3e-4, beta2: 0.999 });
    expectOptions(options, { auxCoefficient: 1 / 32, deadAfterTokens: 10_000_000, gradientClipNorm: 1 });
    near(rateIsWhole, 1000, 'the learning rate warms up');
    assert.equal(decay, 0.2);
  });
});
