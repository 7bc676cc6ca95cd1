import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { buildSmallIndex, SMALL_D_SAE, SMALL_LATENTS, smallDictionary } from '../../testing/small-index.ts';
import {
  type FeatureIndex,
  importDashboards,
  openFeatureIndex,
  sourceNames,
  writeNeuronpedia,
  writeSaedashboard,
} from '../index.ts';

let folder: string;
let index: FeatureIndex;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monoseme-dashboards-'));
  await buildSmallIndex(join(folder, 'index'));
  index = await openFeatureIndex(join(folder, 'index'));
  const names = sourceNames(index.details);
  const { W_dec } = smallDictionary().weights;
  const decoder = {
    row: (latent: number) => W_dec.subarray(latent * SMALL_D_SAE, (latent + 1) * SMALL_D_SAE),
  };
  const createdAt = new Date('2026-01-02T03:04:05Z');
  await writeSaedashboard(index, join(folder, 'saedashboard'), names, { decoder });
  await writeNeuronpedia(index, join(folder, 'neuronpedia'), names, { decoder, createdAt });
});
after(() => rm(folder, { recursive: true, force: true }));

const json = async (path: string) => JSON.parse(await readFile(join(folder, path), 'utf8'));
const lines = async (path: string) =>
  gunzipSync(await readFile(join(folder, path)))
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
const SOURCE = 'neuronpedia/v1/small-model/0-monoseme-24';
const nFired = (rows: { n_fired: number }[]) => rows.filter(({ n_fired }) => n_fired > 0).length;

describe('SAEDashboard', () => {
  test('a batch has the keys that its readers ask for, and the silent latents are listed as skipped', async () => {
    const batch = await json('saedashboard/batch-0.json');
    assert.deepEqual(Object.keys(batch), ['model_id', 'layer', 'sae_set', 'sae_id_suffix', 'features']);
    assert.equal(batch.features.length, nFired(await index.features()));
    const { skipped_indexes: skipped } = await json('saedashboard/skipped_indexes.json');
    assert.ok(skipped.includes(SMALL_LATENTS.silent));
    const keys =
      'feature_index neuron_alignment_indices neuron_alignment_values neuron_alignment_l1 correlated_neurons_indices correlated_neurons_l1 correlated_neurons_pearson correlated_features_indices correlated_features_l1 correlated_features_pearson neg_str neg_values pos_str pos_values frac_nonzero freq_hist_data_bar_values freq_hist_data_bar_heights logits_hist_data_bar_heights logits_hist_data_bar_values n_prompts_total n_tokens_in_prompt dataset decoder_weights_dist activations vector';
    assert.deepEqual(Object.keys(batch.features[0]).sort(), keys.split(' ').sort());
    const example = 'bin_min bin_max bin_contains tokens values qualifying_token_index';
    assert.deepEqual(Object.keys(batch.features[0].activations[0]).sort(), example.split(' ').sort());
  });

  test('the density is exact, intervals add up to all firings, the peak is the qualifying token', async () => {
    const { features } = await json('saedashboard/batch-0.json');
    const rows = await index.features();
    for (const feature of features) {
      assert.equal(feature.frac_nonzero, rows[feature.feature_index].density);
      const shares = new Map<number, number>();
      for (const { bin_min, bin_contains, tokens, values, qualifying_token_index } of feature.activations) {
        if (bin_min >= 0) shares.set(bin_min, bin_contains);
        assert.equal(tokens.length, values.length);
        assert.ok(values[qualifying_token_index] > 0);
      }
      const sum = [...shares.values()].reduce((total, share) => total + share, 0);
      assert.ok(sum <= 1.001, `${sum}`);
      const heights: number[] = feature.freq_hist_data_bar_heights;
      assert.equal(
        heights.reduce((total, height) => total + height, 0),
        rows[feature.feature_index].n_fired,
      );
    }
  });
});

describe('Neuronpedia', () => {
  test('every line of a file has the same keys, and every feature names its source', async () => {
    for (const path of ['features/batch-0.jsonl.gz', 'activations/batch-0.jsonl.gz']) {
      const rows = await lines(`${SOURCE}/${path}`);
      assert.equal(new Set(rows.map((row) => Object.keys(row).join())).size, 1);
      for (const row of rows) {
        assert.deepEqual([row.modelId, row.layer], ['small-model', '0-monoseme-24']);
        assert.equal(row.createdAt, '2026-01-02T03:04:05.000Z');
      }
    }
    const heads = [
      'activations',
      'features',
      'model.jsonl',
      'release.jsonl',
      'source.jsonl',
      'sourceset.jsonl',
    ];
    assert.deepEqual((await readdir(join(folder, SOURCE))).sort(), heads);
  });

  test('ids are unique, the first of the nearest is the feature itself, the direction is the decoder’s', async () => {
    const activations = await lines(`${SOURCE}/activations/batch-0.jsonl.gz`);
    assert.equal(new Set(activations.map(({ id }) => id)).size, activations.length);
    for (const { id, values, maxValue, maxValueTokenIndex, minValue } of activations) {
      assert.match(id, /^c[0-9a-z]{24}$/);
      assert.equal(values[maxValueTokenIndex], maxValue);
      assert.equal(Math.min(...values), minValue);
    }
    const [feature] = await lines(`${SOURCE}/features/batch-0.jsonl.gz`);
    assert.equal(feature.topkCosSimIndices[0], Number(feature.index));
    assert.equal(feature.topkCosSimValues[0], 1);
    assert.equal(feature.vector[Number(feature.index)], 1);
  });

  test('uploads hold what the interface takes', async () => {
    const { features, modelId, source } = await json('neuronpedia/upload/features-0.json');
    assert.deepEqual([modelId, source], ['small-model', '0-monoseme-24']);
    assert.ok(features.length >= 1 && features.length <= 128);
    for (const { activations, topLogits } of features) {
      assert.ok(activations.length >= 1 && topLogits.length <= 20);
      for (const { tokens, values } of activations) assert.equal(tokens.length, values.length);
    }
  });

  test('names that it refuses are refused before anything is written', () => {
    for (const given of [{ modelId: 'X' }, { modelId: 'a'.repeat(33) }, { setName: 'Set One' }])
      assert.throws(() => sourceNames(index.details, given), { code: 'ERR_OPTION' });
  });
});

describe('an export as an index', () => {
  for (const [name, path] of [
    ['saedashboard', 'saedashboard'],
    ['neuronpedia', SOURCE],
  ]) {
    test(`${name}: figures, logits and examples are those of the index it was made from`, async () => {
      const out = join(folder, `from-${name}`);
      await importDashboards(join(folder, path), out);
      const read = await openFeatureIndex(out);
      await read.verify();
      assert.equal(read.details.imported_from, name);
      const [before, texts] = [await index.vocabulary(), await read.vocabulary()];
      for (const row of await read.features()) {
        const latent = row.latent_index;
        const [was] = await index.features(latent, latent + 1);
        assert.equal(row.density, was.density);
        assert.equal(row.n_fired, was.n_fired);
        assert.ok(Math.abs(row.max_activation - was.max_activation) < 1e-4 * was.max_activation + 1e-5);
        assert.ok(Math.abs(row.mean_activation - was.mean_activation) <= 0.05 * was.max_activation);
        const [details, wasDetails] = [await read.detailsOf(latent), await index.detailsOf(latent)];
        if (was.n_fired === 0) continue;
        const top = details.top_logit_tokens.map((token) => texts[token]);
        assert.deepEqual(
          top,
          wasDetails.top_logit_tokens.map((token) => before[token]),
        );
        assert.equal(sum(details.histogram), sum(wasDetails.histogram));
        const examples = await read.examplesOf(latent);
        const wasExamples = (await index.examplesOf(latent)).filter(({ group }) => group === 'top');
        assert.equal(examples.filter(({ group }) => group === 'top').length, wasExamples.length);
        const peak = async (of: FeatureIndex, names: string[], at: number) =>
          names[(await of.tokens(at, at + 1))[0]];
        assert.equal(
          await peak(read, texts, examples[0].token_index),
          await peak(index, before, wasExamples[0].token_index),
        );
      }
    });
  }

  const broken: [string, string, unknown, string][] = [
    ['no number of a feature', 'batch-0.json', { features: [{ feature_index: -1 }] }, 'ERR_FORMAT'],
    ['a feature of a number beyond all', 'batch-0.json', { features: [{ feature_index: 1e9 }] }, 'ERR_LIMIT'],
    ['values that are none', 'batch-0.json', { features: [feature({ values: ['x'] })] }, 'ERR_FORMAT'],
    ['tokens without values', 'batch-0.json', { features: [feature({ values: [] })] }, 'ERR_FORMAT'],
    ['no features', 'batch-0.json', { features: [] }, 'ERR_FORMAT'],
    ['text', 'batch-0.json', 'text', 'ERR_FORMAT'],
  ];
  broken.forEach(([what, name, content, code], i) =>
    test(`${what}: ${code}, and nothing is written`, async () => {
      const from = join(folder, `broken-${i}`);
      await mkdir(from);
      await writeFile(join(from, name), JSON.stringify(content));
      const out = join(folder, `never-${i}`);
      await assert.rejects(importDashboards(from, out), { code });
      await assert.rejects(readdir(out), { code: 'ENOENT' });
    }),
  );

  test('a gzip that is none, a folder without an export', async () => {
    const from = join(folder, 'broken-gz');
    await mkdir(join(from, 'features'), { recursive: true });
    await writeFile(join(from, 'features/batch-0.jsonl.gz'), gzipSync('{"index":').subarray(0, 12));
    await assert.rejects(importDashboards(from, join(folder, 'never')), { code: 'ERR_FORMAT' });
    await assert.rejects(importDashboards(folder, join(folder, 'never')), { code: 'ERR_NOT_FOUND' });
  });
});

function feature(changes: object): object {
  const activation = { tokens: ['a'], values: [1], bin_min: -1, bin_max: 1, ...changes };
  return { feature_index: 0, frac_nonzero: 0.1, activations: [activation] };
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
