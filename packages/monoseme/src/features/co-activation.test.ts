import assert from 'node:assert/strict';
import { test } from 'node:test';
import { build, coActive, CONTEXT, D_SAE, randomCodes } from '../testing/random-firings.ts';

test('what fires beside a latent is counted over all of its firings', async () => {
  const data = randomCodes(60, 3);
  const nTokens = data.tokens.length;
  // Latent 1 one token behind latent 0, where the context goes on.
  data.firings[1] = data.firings[0]
    .filter(({ position }) => (position + 1) % CONTEXT !== 0)
    .map(({ position }) => ({ position: position + 1, activation: 1 }));
  const fires = data.firings.map((list) => new Set(list.map(({ position }) => position)));
  const nBeside = (latent: number, other: number, lag: number) =>
    data.firings[latent].filter(({ position }) => {
      const place = (position % CONTEXT) + lag;
      return place >= 0 && place < CONTEXT && fires[other].has(position + lag);
    }).length;

  const found = await coActive(build(data, 7));
  for (let latent = 0; latent < D_SAE; latent++) {
    const company = [];
    for (let other = 0; other < D_SAE; other++) {
      const counts = [-2, -1, 0, 1, 2].map((lag) => nBeside(latent, other, lag));
      const share = Math.max(...counts) / fires[latent].size;
      const pmi = Math.log((share * nTokens) / fires[other].size);
      if (other !== latent && Math.max(...counts) >= 3 && pmi > 0)
        company.push({ other, lag: counts.indexOf(Math.max(...counts)) - 2, share, pmi });
    }
    company.sort((a, b) => b.share * b.pmi - a.share * a.pmi);
    const kept = company.slice(0, 10);
    const { latents, lags, shares, pmis } = found[latent];
    assert.deepEqual(
      latents,
      kept.map(({ other }) => other),
    );
    assert.deepEqual(
      lags,
      kept.map(({ lag }) => lag),
    );
    assert.deepEqual(
      shares,
      kept.map(({ share }) => share),
    );
    assert.deepEqual(
      pmis,
      kept.map(({ pmi }) => pmi),
    );
  }
  assert.deepEqual([found[0].latents[0], found[0].lags[0]], [1, 1]);
  assert.deepEqual([found[1].latents[0], found[1].lags[0]], [0, -1]);
  assert.deepEqual(found[11].latents, []);
});
