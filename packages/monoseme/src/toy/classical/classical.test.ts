/** Classical methods against closed forms, brute force and each other. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { referenceBackend } from '../../kernels/reference/index.ts';
import type { Codes } from '../../kernels/index.ts';
import { Random } from '../../random/index.ts';
import { plantedSource } from '../../testing/planted.ts';
import { unitRows } from '../directions.ts';
import { measureOnToy } from '../measure.ts';
import { recovery } from '../recovery.ts';
import { CLASSICAL_METHODS, classicalCoder, pursuitCoder } from './index.ts';
import { MatchingPursuit } from './omp.ts';
import { largestEigenvalue, shrinkageCodes } from './shrinkage.ts';
import { fastIca, pca } from './simple.ts';

const pairs = (codes: Codes, row = 0) =>
  [...codes.latentIndices.subarray(codes.rowPointers[row], codes.rowPointers[row + 1])].map((latent, i) => [
    latent,
    codes.values[codes.rowPointers[row] + i],
  ]);

function near(actual: number, expected: number, within = 1e-5): void {
  assert.ok(Math.abs(actual - expected) < within, `${actual}, not ${expected}`);
}

describe('orthogonal matching pursuit', () => {
  test('on orthogonal directions takes the k largest coefficients, of either sign', () => {
    const identity = Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1);
    const codes = new MatchingPursuit(identity, 3).encode(Float32Array.of(0.5, -2, 1), 2);
    assert.deepEqual(pairs(codes), [
      [1, -2],
      [2, 1],
    ]);
  });

  test('fits all chosen directions anew: a sum of two that are not orthogonal is explained wholly', () => {
    const s = Math.SQRT1_2;
    const codes = new MatchingPursuit(Float32Array.of(1, 0, s, s), 2).encode(Float32Array.of(3, 1), 2);
    const [[, a], [, b]] = pairs(codes);
    near(a, 2);
    near(b, 1 / s);
  });

  test('finds sparse codes of true directions exactly, and stops when nothing is left', () => {
    const random = new Random(4);
    const directions = unitRows(40, 32, random);
    for (let trial = 0; trial < 20; trial++) {
      const x = new Float32Array(32);
      const chosen = [...random.permutation(40).subarray(0, 2)].sort((a, b) => a - b);
      for (const j of chosen) for (let i = 0; i < 32; i++) x[i] += directions[j * 32 + i] * (j + 1);
      const found = pairs(new MatchingPursuit(directions, 32).encode(x, 8)).filter(
        ([, value]) => Math.abs(value) > 1e-3,
      );
      assert.deepEqual(
        found.map(([latent]) => latent),
        chosen,
      );
      for (const [latent, value] of found) near(value, latent + 1, 1e-3);
    }
  });

  test('a row of zeros has no codes; equal directions are not both taken', () => {
    const twins = Float32Array.of(1, 0, 1, 0);
    const codes = new MatchingPursuit(twins, 2).encode(Float32Array.of(0, 0, 2, 0), 2);
    assert.deepEqual(pairs(codes, 0), []);
    assert.deepEqual(pairs(codes, 1), [[0, 2]]);
  });

  test('directions of other lengths give the same reconstruction', async () => {
    const mean = Float32Array.of(0, 1);
    const coder = pursuitCoder(Float32Array.of(2, 0, 0, 0.5), mean, 2);
    const codes = await coder.encode(Float32Array.of(3, 2), 1);
    assert.deepEqual(pairs(codes), [
      [0, 1.5],
      [1, 2],
    ]);
  });
});

describe('ISTA and FISTA', () => {
  test('on orthogonal directions: shrunk by λ, not below 0', () => {
    const identity = Float32Array.of(1, 0, 0, 1);
    for (const accelerated of [false, true]) {
      const options = { l1Coefficient: 0.5, iterations: 200, accelerated };
      assert.deepEqual(pairs(shrinkageCodes(Float32Array.of(2, 0.25), identity, 2, options)), [[0, 1.5]]);
    }
  });

  test('both reach the least of the loss; FISTA comes nearer in as many steps', () => {
    const random = new Random(5);
    const directions = unitRows(24, 12, random);
    const x = unitRows(1, 12, random).map((value) => 3 * value);
    const loss = (iterations: number, accelerated: boolean) => {
      const codes = shrinkageCodes(x, directions, 12, { l1Coefficient: 0.1, iterations, accelerated });
      const rest = x.slice();
      for (const [j, value] of pairs(codes))
        for (let i = 0; i < 12; i++) rest[i] -= value * directions[j * 12 + i];
      return rest.reduce((sum, r) => sum + r * r, 0) / 2 + 0.1 * codes.values.reduce((sum, f) => sum + f, 0);
    };
    const least = loss(20_000, false);
    near(loss(2000, true), least, 1e-4);
    assert.ok(loss(60, true) < loss(60, false), 'FISTA is ahead');
    assert.ok(loss(60, true) >= least - 1e-5);
  });

  test('the step is the inverse of the largest eigenvalue', () => {
    near(largestEigenvalue(Float32Array.of(2, 1, 1, 2), 2), 3);
  });
});

describe('PCA and ICA', () => {
  test('PCA gives the axes of the data, those of the most variance first, with both signs', () => {
    const random = new Random(6);
    const x = new Float32Array(3000);
    for (let start = 0; start < x.length; start += 3)
      x.set([0.5 * random.normal(), 3 * random.normal(), random.normal()], start);
    const found = pca(x, 3);
    near(Math.abs(found[1]), 1, 0.01);
    near(Math.abs(found[3 + 2]), 1, 0.05);
    for (let i = 0; i < 9; i++) near(found[9 + i], -found[i]);
  });

  test('FastICA finds directions at an angle that PCA cannot: independent sources, mixed', async () => {
    const random = new Random(7);
    const mixing = Float32Array.of(1, 0, Math.SQRT1_2, Math.SQRT1_2);
    const x = new Float32Array(20_000);
    for (let start = 0; start < x.length; start += 2)
      for (const j of [0, 1]) {
        const amplitude = (random.uniform() < 0.1 ? 1 : 0) * (2 * random.uniform() - 1);
        for (const i of [0, 1]) x[start + i] += amplitude * mixing[j * 2 + i];
      }
    const found = await recovery(referenceBackend, mixing, fastIca(x, 2, random), 2);
    assert.ok(found.mmcs > 0.99);
    assert.ok((await recovery(referenceBackend, mixing, pca(x, 2), 2)).mmcs < 0.97);
  });
});

describe('on planted features', () => {
  const source = plantedSource(
    { nChunks: 1, chunkRows: 3000, seed: 2 },
    { dIn: 16, nFeatures: 24, frequencies: { kind: 'equal', meanActive: 1.5 } },
  );

  for (const [name, least, most] of [
    ['random', 0.4, 0.75],
    ['pca', 0.3, 0.75],
    ['data-points', 0.8, 1],
    ['mod', 0.97, 1],
    ['k-svd', 0.97, 1],
  ] as const) {
    test(`${name}: MMCS from ${least} to ${most}`, async () => {
      const x = await source.readChunk(0);
      const method = CLASSICAL_METHODS.find((one) => one.name === name)!;
      const coder = classicalCoder(method, { x, width: 16, dSae: 36, k: 2, random: new Random(1) });
      const [figures] = await measureOnToy([coder], referenceBackend, source, 1);
      assert.ok(figures.mmcs >= least && figures.mmcs <= most, `MMCS ${figures.mmcs}`);
      assert.ok(figures.l0 <= 2);
    });
  }
});
