/** The generators have the statistics that they promise. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Codes } from '../kernels/index.ts';
import { normalCdf, normalQuantile } from './normal.ts';
import { synthSaeBench, TOY_SETS, toySet } from './sets.ts';
import { type ToyModel, ToySource } from './toy-source.ts';

const ROWS = 20_000;

function source(model: ToyModel, seed = 3): ToySource {
  return new ToySource({ ...model, nChunks: 2, chunkRows: ROWS, seed });
}

/** Share of the rows in which each feature is active. */
function densities(truth: Codes): Float64Array {
  const counts = new Float64Array(truth.dSae);
  for (const feature of truth.latentIndices) counts[feature] += 1 / truth.nRows;
  return counts;
}

/** Rows as dense activations, one array a row. */
function* rowsOf(truth: Codes): Generator<Float64Array> {
  for (let row = 0; row < truth.nRows; row++) {
    const dense = new Float64Array(truth.dSae);
    for (let pair = truth.rowPointers[row]; pair < truth.rowPointers[row + 1]; pair++)
      dense[truth.latentIndices[pair]] = truth.values[pair];
    yield dense;
  }
}

const l0 = (truth: Codes) => truth.values.length / truth.nRows;

describe('every set', () => {
  for (const name of Object.keys(TOY_SETS)) {
    test(`${name}: the same seed gives the same rows, another chunk or seed others`, async () => {
      const make = (seed: number) => new ToySource({ ...toySet(name), nChunks: 2, chunkRows: 64, seed });
      const [first, again, other] = [make(1), make(1), make(2)];
      const rows = await first.readChunk(0);
      assert.equal(rows.length, 64 * first.dIn);
      assert.deepEqual(await again.readChunk(0), rows);
      assert.notDeepEqual(await first.readChunk(1), rows);
      assert.notDeepEqual(await other.readChunk(0), rows);
      assert.notEqual(first.hash, other.hash);
      const { rowPointers, latentIndices, values } = await first.truth(0);
      assert.ok(values.every((value) => value > 0));
      for (let row = 0; row < 64; row++)
        for (let pair = rowPointers[row] + 1; pair < rowPointers[row + 1]; pair++)
          assert.ok(latentIndices[pair] > latentIndices[pair - 1], 'ascending within a row');
    });
  }

  test('an unknown set names the nearest', () => {
    assert.throws(() => toySet('corelated'), /nearest is correlated/);
  });

  test('probabilities above 1 are refused', () => {
    const frequencies = { kind: 'equal', meanActive: 129 } as const;
    assert.throws(() => source({ ...toySet('planted'), frequencies }), { code: 'ERR_OPTION' });
  });
});

describe('features', () => {
  test('equal frequencies: as many active as said, amplitudes uniform, rows their sum', async () => {
    const toy = source(toySet('crowded'));
    const truth = await toy.truth(0);
    assert.ok(Math.abs(l0(truth) - 8) < 0.1, `${l0(truth)}`);
    const mean = truth.values.reduce((sum, value) => sum + value, 0) / truth.values.length;
    assert.ok(Math.abs(mean - 1) < 0.01, `${mean}`);
    assert.ok(truth.values.every((value) => value >= 0.5 && value < 1.5));
    const rows = await toy.readChunk(0);
    for (let i = 0; i < 64; i++) {
      let sum = 0;
      for (let pair = 0; pair < truth.rowPointers[1]; pair++)
        sum += truth.values[pair] * toy.features[truth.latentIndices[pair] * 64 + i];
      assert.ok(Math.abs(sum - rows[i]) < 1e-5);
    }
  });

  test('power law: frequencies fall as i^−exponent, in sum as said', async () => {
    const truth = await source(toySet('power-law')).truth(0);
    assert.ok(Math.abs(l0(truth) - 3) < 0.05, `${l0(truth)}`);
    const density = densities(truth);
    const ratio = density[0] / density[31];
    assert.ok(Math.abs(ratio / 32 ** 0.7 - 1) < 0.25, `${ratio}`);
  });

  test('the offset is the mean that features do not explain; noise has its variance', async () => {
    const silent = { frequencies: { kind: 'equal', meanActive: 1e-9 } } as const;
    const offset = await source({ ...toySet('offset'), ...silent }).readChunk(0);
    assert.ok(Math.abs(Math.hypot(...offset.subarray(0, 64)) - 3) < 1e-5);
    assert.deepEqual(offset.slice(0, 64), offset.slice(64, 128));
    const noise = await source({ ...toySet('noise'), ...silent }).readChunk(0);
    const variance = noise.reduce((sum, value) => sum + value * value, 0) / noise.length;
    assert.ok(Math.abs(variance / 0.05 ** 2 - 1) < 0.02, `${variance}`);
  });

  test('the circle: points of length 1 in its plane, at all angles', async () => {
    const silent = { frequencies: { kind: 'equal', meanActive: 1e-9 } } as const;
    const toy = source({ ...toySet('circle'), ...silent });
    const rows = await toy.readChunk(0);
    const plane = toy.plane as Float32Array;
    const quadrants = [0, 0, 0, 0];
    for (let start = 0; start < rows.length; start += 64) {
      const row = rows.subarray(start, start + 64);
      const norm = Math.hypot(...row);
      if (norm === 0) continue;
      const [a, b] = [0, 64].map((at) => row.reduce((sum, value, i) => sum + value * plane[at + i], 0));
      assert.ok(Math.abs(norm - 1) < 1e-5 && Math.abs(Math.hypot(a, b) - 1) < 1e-5);
      quadrants[(a > 0 ? 1 : 0) + (b > 0 ? 2 : 0)]++;
    }
    for (const count of quadrants) assert.ok(Math.abs(count / (ROWS / 16) - 1) < 0.15, `${quadrants}`);
  });
});

describe('features that depend on each other', () => {
  test('a copula keeps how often each fires and makes pairs fire together', async () => {
    const toy = source(toySet('correlated'));
    const truth = await toy.truth(0);
    assert.ok(Math.abs(l0(truth) - 3) < 0.15, `${l0(truth)}`);
    const density = densities(truth);
    assert.ok(density.every((p) => Math.abs(p - 3 / 128) < 0.008));
    // Variance of the number of active features: n p (1 − p) where they are independent.
    const counts = Array.from({ length: ROWS }, (_, i) => truth.rowPointers[i + 1] - truth.rowPointers[i]);
    const variance = counts.reduce((sum, n) => sum + (n - 3) ** 2, 0) / ROWS;
    assert.ok(variance > 4, `${variance}`);
  });

  test('a child fires only where its parent does, of siblings one at most, all as often as they should', async () => {
    const toy = source(toySet('hierarchical'));
    const truth = await toy.truth(0);
    // 12 roots, their 3 children each (12 … 47), and 3 of each of those (48 … 155, of which 80 exist).
    const parentOf = (feature: number) =>
      feature < 12 ? -1 : feature < 48 ? Math.floor((feature - 12) / 3) : 12 + Math.floor((feature - 48) / 3);
    for (const row of rowsOf(truth)) {
      const seen = new Set<number>();
      for (let feature = 12; feature < 128; feature++) {
        if (row[feature] === 0) continue;
        assert.ok(row[parentOf(feature)] > 0, `${feature} without its parent`);
        assert.ok(!seen.has(parentOf(feature)), `two children of ${parentOf(feature)}`);
        seen.add(parentOf(feature));
      }
    }
    const density = densities(truth);
    assert.ok(density.subarray(0, 12).every((p) => Math.abs(p - 3 / 128) < 0.005));
  });
});

describe('SynthSAEBench', () => {
  test('full size: about 34 features active, the first in 40 % of the rows, the bias of length 0.5', async () => {
    // The directions are left as they are: what is looked at here does not depend on them.
    const model = { ...synthSaeBench(1), spread: false };
    const toy = new ToySource({ ...model, dIn: 8, nChunks: 1, chunkRows: 1000, seed: 42 });
    const truth = await toy.truth(0);
    assert.ok(Math.abs(l0(truth) - 34) < 3, `${l0(truth)}`);
    const density = densities(truth);
    assert.ok(Math.abs(density[0] - 0.4) < 0.05, `${density[0]}`);
    const mean = truth.values.reduce((sum, value) => sum + value, 0) / truth.values.length;
    assert.ok(mean > 3.5 && mean < 6, `${mean}`);
  });

  test('spreading makes the frame of the directions tight: Σ cos² falls to n²/d', () => {
    const squares = (spread: boolean) => {
      const model = { ...synthSaeBench(0.02), spread };
      const { features, dIn } = new ToySource({ ...model, nChunks: 1, chunkRows: 1, seed: 1 });
      const gram = new Float64Array(dIn * dIn);
      for (let start = 0; start < features.length; start += dIn)
        for (let i = 0; i < dIn; i++)
          for (let k = 0; k < dIn; k++) gram[i * dIn + k] += features[start + i] * features[start + k];
      const n = features.length / dIn;
      return gram.reduce((sum, value) => sum + value * value, 0) / ((n * n) / dIn);
    };
    assert.ok(squares(false) > 1.03, `${squares(false)}`);
    assert.ok(Math.abs(squares(true) - 1) < 0.002, `${squares(true)}`);
  });
});

test('the normal distribution and its quantiles', () => {
  for (const [x, p] of [
    [0, 0.5],
    [1, 0.8413447461],
    [-1.959963985, 0.025],
    [3.090232306, 0.999],
  ] as const) {
    assert.ok(Math.abs(normalCdf(x) - p) < 1e-6, `Φ(${x})`);
    assert.ok(Math.abs(normalQuantile(p) - x) < 1e-3, `Φ⁻¹(${p})`);
  }
  assert.equal(normalCdf(-20), 0);
  assert.equal(normalCdf(20), 1);
});
