/** Thinning draws what drawing every feature by its own probability would. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { referenceBackend } from '../kernels/reference/index.ts';
import { Random } from '../random/index.ts';
import { Copula } from './copula.ts';
import { normalCdf } from './normal.ts';
import { thin } from './thinning.ts';

const N = 200;
const DRAWS = 50_000;

test('never, always and in between: each feature fires as often as it should', () => {
  const scores = Float32Array.from({ length: N }, (_, i) => (i < 10 ? (i % 2 ? 9 : -9) : -i / 60));
  const counts = new Float64Array(N);
  const random = new Random(1);
  for (let draw = 0; draw < DRAWS; draw++) thin(scores, random, (feature) => counts[feature]++);
  for (const [i, score] of scores.entries()) {
    const p = normalCdf(score);
    const deviation = Math.sqrt(DRAWS * p * (1 - p));
    assert.ok(Math.abs(counts[i] - DRAWS * p) <= 5 * deviation, `${i}: ${counts[i] / DRAWS}, not ${p}`);
  }
  thin(new Float32Array(N).fill(-9), random, () => assert.fail('fires with probability 0'));
});

test('the scores of a copula: each feature fires as often as it should over rows, and more where its causes are there', async () => {
  const random = new Random(2);
  const probability = Float64Array.from({ length: N }, (_, i) => 0.5 / (i + 1));
  const copula = new Copula({ rank: 5, scale: 0.3 }, probability, random);
  const features = Uint32Array.from({ length: N }, (_, i) => i);
  const nRows = 20_000;
  const causes = copula.drawCauses(random, nRows);
  const shape = { nRows, inner: copula.width, width: N };
  const scores = await referenceBackend.product({ a: causes, b: copula.columns(features), ...shape });
  for (const [feature, p] of probability.entries()) {
    let [sum, squares] = [0, 0];
    for (let row = 0; row < nRows; row++) {
      const given = normalCdf(scores[row * N + feature]);
      sum += given;
      squares += given * given;
    }
    const deviation = Math.sqrt((squares - (sum * sum) / nRows) / nRows);
    assert.ok(deviation > 0.1 * p, 'the rows differ');
    assert.ok(
      Math.abs(sum / nRows - p) < (5 * deviation) / Math.sqrt(nRows),
      `${feature}: ${sum / nRows}, not ${p}`,
    );
    const own = copula.score(feature, causes, 7);
    assert.ok(Math.abs(own - scores[7 * N + feature]) < 1e-5);
  }
});
