import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { decode, type Dictionary, encode } from '../dictionary/index.ts';
import { readSafetensors } from '../formats/index.ts';
import { selectBackend } from '../kernels/index.ts';
import { Random } from '../random/index.ts';
import { fixture } from '../testing/fixtures.ts';
import { codesOfRows } from '../testing/sparse-rows.ts';
import { ReconstructionSums } from './index.ts';

const D_IN = 24;

/** Σ_d of the variance of each column, divided by n − 1 as torch does. */
function columnVariance(rows: Float32Array): number {
  const n = rows.length / D_IN;
  let total = 0;
  for (let d = 0; d < D_IN; d++) {
    const column = Array.from({ length: n }, (_, i) => rows[i * D_IN + d]);
    const mean = column.reduce((sum, value) => sum + value, 0) / n;
    total += column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  }
  return total;
}

const near = (actual: number, expected: number, tolerance = 1e-5) =>
  assert.ok(
    Math.abs(actual - expected) <= tolerance * Math.max(1, Math.abs(expected)),
    `${actual} for ${expected}`,
  );

describe('the same rows and dictionary as dictionary_learning', () => {
  let x: Float32Array;
  let reconstructions: Float32Array;
  let figures: ReturnType<ReconstructionSums['figures']>;
  let theirs: Record<string, number>;
  before(async () => {
    const file = await readSafetensors(fixture('golden/evaluation.safetensors'));
    const [W_enc, b_enc, W_dec, b_dec] = await Promise.all(
      ['W_enc', 'b_enc', 'W_dec', 'b_dec'].map((name) => file.floats(name)),
    );
    x = await file.floats('x');
    theirs = JSON.parse(file.metadata['dictionary_learning']);
    await file.close();
    const dSae = b_enc.length;
    const dictionary: Dictionary = {
      config: {
        ...{ architecture: 'standard', dIn: D_IN, dSae, hookName: '', modelName: '', contextSize: undefined },
        ...{ applyBDecToInput: true, metadata: {} },
      },
      weights: { W_enc, b_enc, W_dec, b_dec },
    };
    const backend = await selectBackend({ name: 'reference' });
    const codes = await encode(dictionary, backend, x, x.length / D_IN);
    reconstructions = await decode(dictionary, backend, codes, x);
    const sums = new ReconstructionSums(D_IN, dSae);
    sums.add(x, reconstructions, codes);
    figures = sums.figures();
  });

  test('L0, L1, cosine, norm ratio, relative reconstruction bias and live share are equal', () => {
    near(figures.l0, theirs['l0']);
    near(figures.l1, theirs['l1_loss']);
    near(figures.cosineSimilarity, theirs['cossim']);
    near(figures.l2Ratio, theirs['l2_ratio']);
    near(figures.relativeReconstructionBias, theirs['relative_reconstruction_bias']);
    near(1 - figures.fracDead, theirs['frac_alive']);
  });

  test("dictionary_learning's l2_loss is the mean length of the error, not its mean square", () => {
    let lengths = 0;
    for (let start = 0; start < x.length; start += D_IN) {
      let square = 0;
      for (let i = start; i < start + D_IN; i++) square += (x[i] - reconstructions[i]) ** 2;
      lengths += Math.sqrt(square);
    }
    near(lengths / (x.length / D_IN), theirs['l2_loss']);
    assert.ok(figures.mse > theirs['l2_loss'] ** 2, 'the mean square is above the square of the mean');
  });

  test("dictionary_learning's variance explained forgives a constant error; ours does not", () => {
    const errors = x.map((value, i) => value - reconstructions[i]);
    near(1 - columnVariance(errors) / columnVariance(x), theirs['frac_variance_explained'], 1e-4);
    const n = x.length / D_IN;
    const means = Array.from({ length: D_IN }, (_, d) => {
      let sum = 0;
      for (let i = d; i < errors.length; i += D_IN) sum += errors[i];
      return sum / n;
    });
    const constant = means.reduce((sum, mean) => sum + mean * mean, 0);
    const variance = (columnVariance(x) * (n - 1)) / n;
    near(figures.explainedVariance, theirs['frac_variance_explained'] - constant / variance, 1e-4);
    assert.ok(figures.explainedVariance < theirs['frac_variance_explained'] - 0.1);
  });
});

test("SAEBench 0.6.0's explained variance, about the mean square instead of the mean, exceeds 1; ours does not", () => {
  const [d, n] = [64, 2000];
  const random = new Random(1);
  for (const [std, offset, upstream] of [
    [1, 0, 0.908],
    [4, 0, 0.88],
    [10, 0, 1.16],
    [1, 3, 0.989],
  ]) {
    const x = new Float32Array(n * d).map(() => offset + std * random.normal());
    // Errors of 0.3 standard deviations: 9 % of the variance is not explained.
    const reconstructions = x.map((value) => value + 0.3 * std * random.normal());
    const sums = new ReconstructionSums(d, 1);
    sums.add(x, reconstructions, codesOfRows(new Array(n).fill([0]), 1));
    const { explainedVariance, mse } = sums.figures();
    const squares = x.reduce((sum, value) => sum + value * value, 0) / n;
    const theirs = 1 - mse / (squares - (squares / d) ** 2);
    assert.ok(Math.abs(theirs - upstream) < 0.01, `${theirs} for ${upstream}`);
    assert.ok(Math.abs(explainedVariance - 0.91) < 0.005, `${explainedVariance}`);
  }
});
