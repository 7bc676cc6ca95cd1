import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { claimsOf, type Findings, Steps } from './index.ts';
import { measured, type ProxyFinding } from './findings.ts';

const step = <F>(figures: F) => ({ figures, sections: [], command: 'monoseme x', madeFrom: {} });

function evaluation(dSae: number, lossRecovered: number | undefined) {
  const score = measured(lossRecovered, lossRecovered === undefined ? undefined : [0, 1]);
  return step({ dSae, l0: measured(12), explainedVariance: measured(0.9), lossRecovered: score });
}

function proxy(name: string, latent: number | undefined, neuron = 0.2, lead: [number, number] = [0.1, 0.3]) {
  const isKnown = latent !== undefined;
  return {
    ...{ proxy: name, nTokens: isKnown ? 900 : 0, share: 0.01, index: isKnown ? 7 : null },
    ...{ specificity: isKnown ? 0.9 : null, control: 0.1 },
    latent: measured(latent),
    neuron: measured(isKnown ? neuron : undefined),
    lead: measured(isKnown ? latent - neuron : undefined, isKnown ? lead : undefined),
  } satisfies ProxyFinding;
}

const NAMES = ['Arabic', 'Hebrew', 'base64', 'DNA', 'Thai', 'Greek'];

const MOTIFS = {
  nKnown: 90,
  ...{
    context: measured(0.1),
    tokenInContext: measured(0.2),
    singleToken: measured(0.3),
    trigram: measured(0.05),
  },
};

const ALIKE = { logitWeights: 0.4, attributions: 0.7, attributionsWithActivations: 0.8 };

function findings(changes: Partial<Findings> = {}): Findings {
  return {
    evaluations: [evaluation(512, 0.8), evaluation(4096, 0.9), evaluation(16_384, 0.95)],
    density: step({ nTokens: 1000, nLive: 90, nUltralow: 8, nDead: 2, separated: true, valley: 0.1 }),
    proxies: step(NAMES.map((name) => proxy(name, 0.8))),
    controlProxies: step(NAMES.map((name) => proxy(name, 0.3))),
    universality: step({
      latents: measured(0.7, [0.69, 0.71]),
      neurons: measured(0.4),
      nMatched: 90,
      ...ALIKE,
    }),
    splitting: [
      step({ nCompared: 100, nSplit: 10, share: measured(0.1), meanChildren: 2 }),
      step({ nCompared: 100, nSplit: 30, share: measured(0.3), meanChildren: 5 }),
    ],
    automata: step({ nSystems: 2, nLoops: 3 }),
    neurons: step({ correlation: measured(0.2), fracAlike: 0.1 }),
    motifs: step(MOTIFS),
    controlMotifs: step({ ...MOTIFS, singleToken: measured(0.6) }),
    persistence: step({ directions: measured(0.5), random: measured(0.3) }),
    circle: step({ nLatents: 10, dimension: 2.1, anglesCovered: 1 }),
    effects: step({ nLatents: 5, nMissed: 4, lossChange: measured(0.01) }),
    controls: step({ own: 0.6, bestControl: { name: 'neurons', correlation: 0.5 } }),
    ...changes,
  };
}

const holds = (changes?: Partial<Findings>) =>
  new Map(claimsOf(findings(changes)).map((claim) => [claim.id, claim.holds]));

test('findings like the paper’s make every claim hold', () => {
  assert.deepEqual(new Set(holds().values()), new Set([true]));
});

test('each claim fails on findings of the other kind', () => {
  const cases: [string, Partial<Findings>][] = [
    ['loss-recovered', { evaluations: [evaluation(512, 0.5), evaluation(4096, 0.6), evaluation(8192, 0.7)] }],
    [
      'loss-recovered-by-size',
      { evaluations: [evaluation(1, 0.9), evaluation(2, 0.95), evaluation(3, 0.94)] },
    ],
    ['bimodal-density', { density: step({ ...findings().density.figures, separated: false }) }],
    ['proxy-arabic', { proxies: step(NAMES.map((name) => proxy(name, 0.8, 0.79, [-0.1, 0.1]))) }],
    ['more-interpretable-than-neurons', { proxies: step(NAMES.map((name) => proxy(name, 0.8, 0.7))) }],
    ['better-than-controls', { proxies: step(NAMES.map((name) => ({ ...proxy(name, 0.8), control: 0.9 }))) }],
    ['universality', { universality: step({ ...findings().universality.figures, latents: measured(0.5) }) }],
    [
      'attribution-similarity',
      { universality: step({ ...findings().universality.figures, attributionsWithActivations: 0.2 }) },
    ],
    ['effects', { effects: step({ nLatents: 5, nMissed: 2, lossChange: measured(0.001) }) }],
    ['controls', { controls: step({ own: 0.4, bestControl: { name: 'neurons', correlation: 0.5 } }) }],
    ['splitting', { splitting: [findings().splitting[1], findings().splitting[0]] }],
    ['automata', { automata: step({ nSystems: 0, nLoops: 3 }) }],
    ['not-a-neuron', { neurons: step({ correlation: measured(0.7), fracAlike: 0.9 }) }],
    ['motifs', { motifs: step({ ...MOTIFS, trigram: measured(0) }) }],
    ['control-single-token', { controlMotifs: step(MOTIFS) }],
    ['persistence', { persistence: step({ directions: measured(0.2), random: measured(0.3) }) }],
    ['manifolds', { circle: step({ nLatents: null, dimension: null, anglesCovered: null }) }],
    ['control-proxies', { controlProxies: findings().proxies }],
  ];
  for (const [id, changes] of cases) assert.equal(holds(changes).get(id), false, id);
});

test('what is not defined is said to be so, never NaN', () => {
  const claims = claimsOf(
    findings({
      evaluations: [evaluation(1, NaN), evaluation(2, undefined), evaluation(3, NaN)],
      proxies: step(NAMES.map((name) => proxy(name, undefined))),
      universality: step({
        ...{ latents: measured(undefined), neurons: measured(undefined), nMatched: 0 },
        ...{ logitWeights: null, attributions: null, attributionsWithActivations: null },
      }),
      effects: step({ nLatents: 0, nMissed: 0, lossChange: measured(undefined) }),
      controls: step({ own: null, bestControl: null }),
    }),
  );
  const unknown = claims.filter((claim) => claim.holds === null).map(({ id }) => id);
  for (const id of [
    'loss-recovered',
    'loss-recovered-by-size',
    'proxy-arabic',
    'specificity',
    'universality',
    'attribution-similarity',
    'effects',
    'controls',
  ])
    assert.ok(unknown.includes(id), id);
  assert.doesNotMatch(JSON.stringify(claims), /NaN|undefined/);
});

test('a step is done once for the same settings, and again for others or when its file is damaged', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'monoseme-steps-'));
  try {
    const steps = new Steps(folder);
    let n = 0;
    const run = (settings: unknown) => steps.run('one', settings, async () => step({ n: ++n }));
    const [first, second, other] = [await run({ a: 1 }), await run({ a: 1 }), await run({ a: 2 })];
    assert.deepEqual([first.wasDone, second.wasDone, other.wasDone, n], [false, true, false, 2]);
    assert.deepEqual(second.figures, { n: 1 });
    await writeFile(join(folder, 'one.json'), '{"fingerprint":');
    assert.equal((await run({ a: 2 })).wasDone, false);
  } finally {
    await rm(folder, { recursive: true });
  }
});
