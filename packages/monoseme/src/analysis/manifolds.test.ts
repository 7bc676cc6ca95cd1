import assert from 'node:assert/strict';
import { test } from 'node:test';
import { selectBackend } from '../kernels/index.ts';
import { Random } from '../random/index.ts';
import { codesOfRows } from '../testing/sparse-rows.ts';
import { plantedSource, TINY } from '../testing/planted.ts';
import { smallDictionary, smallSource, smallText, smallTokenizer } from '../testing/small-index.ts';
import { trainOnToy } from '../toy/index.ts';
import { resolveOptions } from '../training/index.ts';
import { Autocorrelation } from './autocorrelation.ts';
import { GroupRows } from './group-shape.ts';
import {
  coActivationGraph,
  coActivationParts,
  groupsAnalysis,
  latentGroups,
  motifs,
  motifsAnalysis,
  motifShares,
  notNeurons,
  notNeuronsAnalysis,
  persistence,
  persistenceAnalysis,
  subspaceOverlap,
} from './index.ts';

test('a planted circle comes out as a group of many latents in two dimensions', async () => {
  const backend = await selectBackend();
  const source = plantedSource(
    { nChunks: 200, chunkRows: 1024, seed: 3 },
    { ...TINY, dIn: 48, circle: 0.5, nFeatures: 12, frequencies: { kind: 'equal', meanActive: 1 } },
  );
  const options = resolveOptions({
    ...{ l1Coefficient: 1.5, dSae: 24, tokens: 200 * 1024, batchRows: 256, bufferRows: 1024 },
    ...{ learningRate: 0.003, seed: 1 },
  });
  const [outcome] = await trainOnToy({ source, backend, runs: [options] });
  assert.ok('dictionary' in outcome, 'training went well');
  const found = await latentGroups({ dictionary: outcome.dictionary, source }, { backend });
  const plane = source.plane!;
  const inPlane = subspaceOverlap(outcome.dictionary, plane).shares;
  const [group] = found.groups;
  const onCircle = group.latents.filter((latent) => inPlane[latent] > 0.9);
  assert.ok(onCircle.length >= 6 && onCircle.length >= 0.8 * group.latents.length, `${group.latents}`);
  assert.ok(group.dimension > 1.7 && group.dimension < 3, `${group.dimension} dimensions`);
  assert.ok(group.dilution > 2, `${group.latents.length} latents in ${group.dimension}`);
  assert.ok(group.radiusSpread < 0.35 && group.anglesCovered > 0.9);
  assert.doesNotMatch(JSON.stringify(groupsAnalysis(found, () => '')), /NaN|undefined/);
});

test('the co-activation graph: connected parts, the largest first, each latent and line drawn once', () => {
  const edge = (a: number, b: number, correlation: number) => ({ a, b, correlation, jaccard: 0.5 });
  const edges = [edge(7, 9, 0.9), edge(1, 2, 0.8), edge(2, 4, 0.7), edge(1, 4, 0.5), edge(2, 3, 0.4)];
  const parts = coActivationParts(edges);
  assert.deepEqual(
    parts.map(({ latents }) => latents),
    [
      [1, 2, 4, 3],
      [7, 9],
    ],
  );
  assert.deepEqual(parts[0].edges, edges.slice(1));
  const svg = coActivationGraph(parts[0], (latent) => `<${latent}>`);
  assert.deepEqual([svg.match(/<circle/g)!.length, svg.match(/<path/g)!.length], [4, 4]);
  assert.match(svg, /stroke-width="4.8"><title>0.80/);
  assert.match(svg, /&lt;3&gt;/);
  assert.doesNotMatch(svg, /NaN/);
});

test('the shape of a line is one dimension, whatever its length', () => {
  const rows = new GroupRows([0, 1, 2], Float32Array.of(1, 0, 0, 1, 0, 0, 1, 0, 0), 3);
  for (let i = 0; i < 5000; i++) rows.add([[i % 3, 1 + (i % 7)]]);
  const { dimension, nTokens, meanActive, spectrum } = rows.shape([0, 1, 2]);
  assert.deepEqual([nTokens, meanActive, spectrum.length], [5000, 1, 1]);
  assert.ok(Math.abs(dimension - 1) < 1e-9);
});

test('autocorrelation is that of the definition, within contexts', () => {
  const random = new Random(4);
  const contextSize = 20;
  const rows = Array.from({ length: 200 }, () =>
    [0, 1, 2].map(() => (random.uniform() < 0.4 ? 1 + random.integer(5) : 0)),
  );
  const auto = new Autocorrelation(3, [1, 4], contextSize);
  auto.add(codesOfRows(rows.slice(0, 100), 3));
  auto.add(codesOfRows(rows.slice(100), 3));
  for (const column of [0, 1, 2]) {
    const f = rows.map((row) => row[column]);
    const mean = f.reduce((sum, value) => sum + value, 0) / f.length;
    const variance = f.reduce((sum, value) => sum + value * value, 0) / f.length - mean ** 2;
    [1, 4].forEach((lag, l) => {
      const products = f.flatMap((value, t) =>
        (t % contextSize) + lag < contextSize ? [value * f[t + lag]] : [],
      );
      const covariance = products.reduce((sum, value) => sum + value, 0) / products.length - mean ** 2;
      assert.ok(Math.abs(auto.of(column)[l] - covariance / variance) < 1e-9);
    });
  }
});

test('the overlap with a subspace: all inside, none, and a dependent vector counts once', () => {
  const dictionary = smallDictionary();
  const vectors = new Float32Array(3 * 24);
  vectors[0] = 2;
  vectors[24 + 1] = 1;
  vectors[48] = -3;
  const { rank, expected, shares } = subspaceOverlap(dictionary, vectors);
  assert.deepEqual([rank, expected, shares[0], shares[1], shares[2]], [2, 2 / 24, 1, 1, 0]);
  assert.throws(() => subspaceOverlap(dictionary, new Float32Array(24)), { code: 'ERR_SHAPE' });
  assert.throws(() => subspaceOverlap(dictionary, new Float32Array(7)), { code: 'ERR_SHAPE' });
});

test('motifs, neurons and persistence of planted latents', async () => {
  const tokens = smallText(500, 64);
  const backend = await selectBackend({ name: 'reference' });
  const text = { dictionary: smallDictionary(), source: smallSource(tokens) };
  const { latents, counts } = await motifs(text, tokens, smallTokenizer.vocabSize, { backend });
  // " cat" wherever it stands; " dog" behind " the" alone; what is behind " whale"; never; one context in five.
  assert.deepEqual(
    [0, 1, 2, 4, 5].map((latent) => latents[latent].motif),
    ['single-token', 'trigram', 'several-tokens', 'rare', 'context'],
  );
  assert.equal(latents[1].beforeShare, 1);
  assert.equal(latents[5].followed, 1);
  assert.equal(
    Object.values(counts).reduce((sum, n) => sum + n, 0),
    24,
  );
  const shares = motifShares({ latents, counts, nTokens: 1 })!;
  const { value, interval } = shares.get('trigram')!;
  assert.equal(value, counts.trigram / (24 - counts.rare));
  assert.ok(interval[0] < value && value < interval[1]);
  const found = motifsAnalysis({ latents, counts, nTokens: 1 }, (token) => smallTokenizer.tokenText(token));
  assert.doesNotMatch(JSON.stringify(found), /NaN|undefined/);

  const alike = await notNeurons(text, { backend });
  assert.ok(Math.abs(alike.latents[0].correlation! - 1) < 1e-9, 'latent 0 is neuron 0');
  assert.deepEqual([alike.latents[0].neuron, alike.latents[0].participation], [0, 1]);
  assert.deepEqual(alike.latents[6].coefficients.map(({ neuron }) => neuron).slice(0, 2), [6, 7]);
  assert.equal(alike.latents[4].correlation, undefined, 'a latent that never fires has none');
  assert.doesNotMatch(JSON.stringify(notNeuronsAnalysis(alike, [])), /NaN|undefined/);

  const lasting = await persistence(text, { backend });
  assert.ok(lasting.latents[5]![0] > 0.5 && Math.abs(lasting.latents[0]![0]) < 0.2);
  assert.equal(lasting.latents[4], undefined);
  const [low, high] = lasting.intervals.directions[0]!;
  assert.ok(low <= lasting.medians.directions[0]! && lasting.medians.directions[0]! <= high);
  assert.doesNotMatch(JSON.stringify(persistenceAnalysis(lasting)), /NaN|undefined/);
  const { config, weights } = smallDictionary();
  const transcoder = { config: { ...config, targetHookName: 'blocks.0.hook_mlp_out' }, weights };
  const wrong = { dictionary: transcoder, source: text.source };
  for (const analysis of [notNeurons, persistence, latentGroups])
    await assert.rejects(analysis(wrong, { backend }), { code: 'ERR_OPTION' });
  const narrow = { dictionary: { config: { ...config, dIn: 12 }, weights }, source: text.source };
  await assert.rejects(motifs(narrow, tokens, smallTokenizer.vocabSize, { backend }), {
    code: 'ERR_MISMATCH',
  });
  const oneToken = { ...tokens, contextSize: 1, nContexts: tokens.tokens.length };
  const short = { dictionary: smallDictionary(), source: smallSource(oneToken) };
  await assert.rejects(persistence(short, { backend }), { code: 'ERR_EMPTY_TEXT' });
});
