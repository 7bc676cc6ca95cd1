/** Metrics of recovery have the values that their definitions give. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Codes } from '../kernels/index.ts';
import { referenceBackend } from '../kernels/reference/index.ts';
import { Detection } from './detection.ts';
import { largestMatching } from './matching.ts';
import { recovery, shareInPlane } from './recovery.ts';

const near = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) < 1e-6, `${actual}, not ${expected}`);

const found = (features: Float32Array, W_dec: Float32Array) => recovery(referenceBackend, features, W_dec, 2);

/** Two true features e₁, e₂ in the plane. */
const AXES = Float32Array.of(1, 0, 0, 1);

describe('recovery', () => {
  test('of the truth in another order and of other lengths: all is 1', async () => {
    const figures = await found(AXES, Float32Array.of(0, 3, 0.1, 0));
    near(figures.mmcs, 1);
    near(figures.mmcsReverse, 1);
    near(figures.mcc, 1);
    near(figures.uniqueness, 1);
    assert.equal(figures.above09, 1);
    assert.deepEqual([...figures.featureOfLatent], [1, 0]);
  });

  test('both directions of MMCS: a latent beside the features, a feature without a latent', async () => {
    const diagonal = Math.SQRT1_2;
    const figures = await found(AXES, Float32Array.of(1, 0, 1, 1, -1, 0));
    near(figures.mmcs, (1 + diagonal) / 2);
    // The third latent points away from e₁ and is at a right angle to e₂.
    near(figures.mmcsReverse, (1 + diagonal + 0) / 3);
    assert.equal(figures.above09, 0.5);
  });

  test('MCC counts opposite directions and matches one to one: two copies of a feature count once', async () => {
    near((await found(AXES, Float32Array.of(-1, 0, 0, 1))).mcc, 1);
    near((await found(AXES, Float32Array.of(1, 0, 1, 0))).mcc, 0.5);
    near((await found(AXES, Float32Array.of(1, 0, 1, 0))).mmcs, 0.5);
  });

  test('MCC is over the fewer of latents and features', async () => {
    near((await found(AXES, Float32Array.of(1, 0))).mcc, 1);
    near((await found(AXES, Float32Array.of(1, 0, 1, 0, 0, 1))).mcc, 1);
    assert.deepEqual([...(await found(AXES, Float32Array.of(0, 1))).featureOfLatent], [1]);
  });

  test('uniqueness: three latents on two features are two thirds', async () => {
    near((await found(AXES, Float32Array.of(1, 0, 1, 0.1, 0, -1))).uniqueness, 2 / 3);
  });

  test('a latent without a direction matches nothing and spoils nothing', async () => {
    const figures = await found(AXES, Float32Array.of(1, 0, 0, 0));
    near(figures.mmcs, 0.5);
    near(figures.mcc, 0.5);
  });

  test('shapes are checked', async () => {
    await assert.rejects(found(AXES, Float32Array.of(1, 2, 3)), { code: 'ERR_SHAPE' });
  });

  test('share of the latents in a plane', () => {
    const plane = Float32Array.of(1, 0, 0, 0, 1, 0);
    near(shareInPlane(plane, Float32Array.of(1, 1, 0, 0, 0, 1, 2, 0, 0.1, 0, 1, 1), 3), 0.5);
  });
});

describe('matching', () => {
  test('the greedy choice is not the best one', () => {
    // Greedy takes 0.9 and then must take 0; the best is 0.8 + 0.8.
    assert.deepEqual([...largestMatching(Float32Array.of(0.9, 0.8, 0.8, 0), 2, 2)], [1, 0]);
  });

  test('equals the best of all matchings', () => {
    const sizes = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 0, max: 2 }));
    const cases = sizes.chain(([nRows, more]) =>
      fc.record({
        nRows: fc.constant(nRows),
        nColumns: fc.constant(nRows + more),
        // Few different weights, so that ties are common.
        weights: fc.array(fc.integer({ min: 0, max: 6 }), {
          minLength: nRows * (nRows + more),
          maxLength: nRows * (nRows + more),
        }),
      }),
    );
    fc.assert(
      fc.property(cases, ({ nRows, nColumns, weights }) => {
        const columns = [...largestMatching(Float32Array.from(weights), nRows, nColumns)];
        assert.equal(new Set(columns).size, nRows);
        const total = columns.reduce((sum, column, row) => sum + weights[row * nColumns + column], 0);
        assert.equal(total, bestTotal(weights, nRows, nColumns));
      }),
    );
  });
});

/** By trying all. */
function bestTotal(weights: number[], nRows: number, nColumns: number, row = 0, taken = 0): number {
  if (row === nRows) return 0;
  let best = -Infinity;
  for (let column = 0; column < nColumns; column++) {
    if ((taken >> column) & 1) continue;
    const rest = bestTotal(weights, nRows, nColumns, row + 1, taken | (1 << column));
    best = Math.max(best, weights[row * nColumns + column] + rest);
  }
  return best;
}

describe('detection', () => {
  const codes = (width: number, rows: number[][]): Codes => ({
    nRows: rows.length,
    dSae: width,
    rowPointers: Uint32Array.from([0, ...rows.map((_, i) => rows.slice(0, i + 1).flat().length)]),
    latentIndices: Uint32Array.from(rows.flat()),
    values: new Float32Array(rows.flat().length).fill(1),
  });

  test('F1, precision and recall of the matched latents', () => {
    const detection = new Detection(Int32Array.of(1, -1, 0), 3);
    // Latent 0 tells feature 1: once right, once wrong, once missed. Latent 2 tells feature 0 and never fires.
    detection.add(codes(3, [[0], [0, 1]]), codes(3, [[1], [0]]));
    detection.add(codes(3, [[1]]), codes(3, [[1, 2]]));
    const { f1, precision, recall } = detection.figures();
    near(f1, 0.5 / 2);
    near(precision, 0.5 / 2);
    near(recall, 0.5 / 2);
  });

  test('of perfect codes', () => {
    const detection = new Detection(Int32Array.of(0, 1), 2);
    detection.add(codes(2, [[0], [1], [0, 1], []]), codes(2, [[0], [1], [0, 1], []]));
    assert.deepEqual(detection.figures(), { f1: 1, precision: 1, recall: 1 });
  });
});
