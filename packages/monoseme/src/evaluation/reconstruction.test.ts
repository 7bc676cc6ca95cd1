import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Codes } from '../kernels/index.ts';
import { densityHistogram, ReconstructionSums } from './index.ts';

function codes(nRows: number, dSae: number, rows: [number, number][][]): Codes {
  const pairs = rows.flat();
  const rowPointers = new Uint32Array(nRows + 1);
  rows.forEach((row, b) => (rowPointers[b + 1] = rowPointers[b] + row.length));
  return {
    nRows,
    dSae,
    rowPointers,
    latentIndices: Uint32Array.from(pairs, ([latent]) => latent),
    values: Float32Array.from(pairs, ([, value]) => value),
  };
}

test('figures have the values that the definitions give', () => {
  const sums = new ReconstructionSums(2, 4);
  // Two batches: the result must be that of all rows together, not a mean of batch ratios.
  sums.add(
    Float32Array.of(3, 4),
    Float32Array.of(3, 2),
    codes(1, 4, [
      [
        [0, 2],
        [1, 1],
      ],
    ]),
  );
  sums.add(Float32Array.of(1, 0, -1, 2), Float32Array.of(1, 0, 0, 2), codes(2, 4, [[[0, 5]], []]));
  const figures = sums.figures();
  assert.equal(figures.l0, 1);
  assert.ok(Math.abs(figures.l1 - 8 / 3) < 1e-12);
  assert.ok(Math.abs(figures.mse - 5 / 3) < 1e-12);
  // mean (1, 2): Σ‖x − mean‖² = 8 + 4 + 4
  assert.ok(Math.abs(figures.explainedVariance - (1 - 5 / 16)) < 1e-12);
  const cosine = (17 / Math.sqrt(25 * 13) + 1 + 4 / Math.sqrt(5 * 4)) / 3;
  assert.ok(Math.abs(figures.cosineSimilarity - cosine) < 1e-12);
  assert.ok(Math.abs(figures.l2Ratio - (Math.sqrt(13) / 5 + 1 + 2 / Math.sqrt(5)) / 3) < 1e-12);
  assert.ok(Math.abs(figures.relativeReconstructionBias - (13 + 1 + 4) / (17 + 1 + 4)) < 1e-12);
  assert.equal(figures.fracDead, 0.5);
  assert.equal(figures.fracAbove10Percent, 0.5);
  assert.deepEqual([...sums.firedTokens], [2, 1, 0, 0]);
});

test('explained variance is that of the whole set: a perfect batch beside a bad one does not average to one half', () => {
  const sums = new ReconstructionSums(1, 1);
  const silent = codes(2, 1, [[], []]);
  sums.add(Float32Array.of(0, 1), Float32Array.of(0, 1), silent);
  sums.add(Float32Array.of(100, 101), Float32Array.of(100.5, 100.5), silent);
  // Per-batch ratios are 1 and 0.
  assert.ok(sums.figures().explainedVariance > 0.9999);
});

test('a density histogram counts every latent once', () => {
  const { counts, edges, neverFired } = densityHistogram(Float64Array.of(0, 1, 1e-3, 1.1e-3, 1e-12, 0.5));
  assert.equal(neverFired, 1);
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    5,
  );
  assert.equal(edges.length, counts.length + 1);
  assert.equal(counts[edges.indexOf(-3)], 2);
  assert.equal(counts[0], 1, 'below the lowest edge');
  assert.equal(counts.at(-1), 1, 'density 1');
});
