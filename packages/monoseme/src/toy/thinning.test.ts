/** Thinning draws what drawing every feature by its own probability would. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../random/index.ts';
import { constantProbabilities, Copula } from './copula.ts';
import { Thinning } from './thinning.ts';

const N = 200;
const FEATURES = Uint32Array.from({ length: N }, (_, i) => i);

test('never, always and in between: each feature fires as often as it should', () => {
  const probability = Float64Array.from(FEATURES, (i) => (i < 10 ? i % 2 : 0.4 / i));
  const thinning = new Thinning(FEATURES, constantProbabilities(probability));
  const random = new Random(1);
  const counts = new Float64Array(N);
  const draws = 50_000;
  for (let draw = 0; draw < draws; draw++) thinning.draw(random, (feature) => counts[feature]++);
  for (const [i, p] of probability.entries()) {
    const deviation = Math.sqrt(draws * p * (1 - p));
    assert.ok(Math.abs(counts[i] - draws * p) <= 5 * deviation, `${i}: ${counts[i] / draws}, not ${p}`);
  }
});

test('in one row of a copula each fires with the probability that the common causes give it', () => {
  const random = new Random(2);
  const copula = new Copula({ rank: 5, scale: 0.3 }, new Float64Array(N).fill(0.05), random);
  const thinning = new Thinning(FEATURES, copula);
  copula.nextRow(random);
  const counts = new Float64Array(N);
  const draws = 50_000;
  for (let draw = 0; draw < draws; draw++) thinning.draw(random, (feature) => counts[feature]++);
  for (const feature of FEATURES) {
    const p = copula.probability(feature);
    const deviation = Math.sqrt(draws * p * (1 - p)) + 1;
    assert.ok(Math.abs(counts[feature] - draws * p) <= 5 * deviation, `${feature}: ${counts[feature]}`);
  }
});

test('no probability of a row is above the bound of its level', () => {
  const random = new Random(3);
  const copula = new Copula({ rank: 25, scale: 0.1 }, new Float64Array(N).fill(0.01), random);
  for (let row = 0; row < 500; row++) {
    copula.nextRow(random);
    const bounds = copula.bounds(FEATURES, copula.level);
    for (const feature of FEATURES) assert.ok(copula.probability(feature) <= bounds[feature] + 1e-9);
  }
});
