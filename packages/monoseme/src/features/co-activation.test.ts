import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../random/index.ts';
import { build, coActive, CONTEXT, D_SAE, type Firing } from '../testing/random-firings.ts';

test('what fires beside a latent, at its distance, and not what fires everywhere', async () => {
  const random = new Random(5);
  const nTokens = 100 * CONTEXT;
  const tokens = new Uint32Array(nTokens);
  const firings: Firing[][] = Array.from({ length: D_SAE }, () => []);
  for (let position = 0; position < nTokens; position++) {
    firings[4].push({ position, activation: 1 });
    if (random.uniform() < 0.1) firings[3].push({ position, activation: 1 });
    if (random.uniform() >= 0.03 || (position + 1) % CONTEXT === 0) continue;
    firings[0].push({ position, activation: 1 });
    if (random.uniform() < 0.8) firings[1].push({ position: position + 1, activation: 1 });
  }
  firings[2] = firings[0];
  const builder = build({ tokens, firings }, 5);
  const found = await coActive(builder);
  const { latents, lags, shares, pmis } = found[0];
  assert.deepEqual(latents.slice(0, 2), [2, 1]);
  assert.deepEqual(lags.slice(0, 2), [0, 1]);
  assert.equal(shares[0], 1);
  assert.ok(Math.abs(shares[1] - 0.8) < 0.1);
  assert.ok(Math.abs(pmis[0] - Math.log(nTokens / firings[0].length)) < 1e-9);
  assert.ok(!latents.includes(4));
  assert.equal(found[1].lags[0], -1);
  assert.deepEqual(found[9].latents, []);
});
