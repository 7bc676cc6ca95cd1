import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { referenceBackend } from '../kernels/reference/index.ts';
import { loadDictionary } from '../dictionary/index.ts';
import { plantedSource, TINY } from '../testing/planted.ts';
import { parseSweep } from './config.ts';
import { paretoFront, readResult, type ResultRow, writeResult, writeRunTable } from './results.ts';
import { groupBytes, groupsThatFit, trainGroup } from './train-group.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monoseme-sweep-'));
});
after(() => rm(folder, { recursive: true }));

const GRID = {
  models: ['a', 'folder/b'],
  hooks: ['mlp'],
  architectures: [
    { architecture: 'standard', l1_coefficient: [1, 2] },
    { architecture: 'topk', k: 4 },
  ],
  d_sae: [16, 32],
  seeds: [0, 1],
  tokens: 64 * 30,
  options: { batch_rows: 64, buffer_rows: 512, checkpoint_every: 7, log_every: 5 },
};
const parse = (changes: object) => parseSweep({ ...GRID, ...changes }, 'sweep.json');

describe('the grid', () => {
  test('is every combination, each with a name of its own', () => {
    const { runs } = parse({});
    assert.equal(runs.length, 2 * 3 * 2 * 2);
    assert.equal(new Set(runs.map(({ name }) => name)).size, runs.length);
    assert.ok(runs.some(({ name }) => name === 'b_mlp_standard_l1_coefficient-2_32_seed-1'));
    const topk = runs.find(({ options }) => options.architecture === 'topk')!;
    assert.equal(topk.options.k, 4);
    assert.equal(topk.options.batchRows, 64);
    assert.equal(topk.options.tokens, GRID.tokens);
  });

  test('settings that are lists themselves are one value, and vary as lists of lists', () => {
    const one = parse({ architectures: [{ architecture: 'matryoshka', k: 4, prefixes: [0.5, 1] }] }).runs[0];
    assert.deepEqual(one.options.prefixes, [0.5, 1]);
    const both = [
      [0.25, 1],
      [0.5, 1],
    ];
    assert.equal(
      parse({ architectures: [{ architecture: 'matryoshka', k: 4, prefixes: both }] }).runs.length,
      16,
    );
  });

  for (const [name, changes, pattern] of [
    ['an unknown key', { model: ['a'] }, /there is no model.*nearest is models/s],
    ['an option that stands beside options', { batch_rows: 64 }, /there is no batch_rows.*under options/s],
    ['an unknown option', { options: { batch_row: 64 } }, /there is no batch_row.*nearest is batch_rows/s],
    ['an unknown setting', { architectures: [{ l1_coeficient: 1 }] }, /nearest is l1_coefficient/],
    ['an unknown architecture', { architectures: [{ architecture: 'topkk' }] }, /no architecture topkk/],
    [
      'settings that contradict each other',
      { architectures: [{ architecture: 'topk', l1_coefficient: 1 }] },
      /sweep.json: architectures\[0\]: architecture is topk.*l1_coefficient is 1/s,
    ],
    ['k above d_sae', { architectures: [{ architecture: 'topk', k: 17 }] }, /k is 17.*d_sae/s],
    [
      'an architecture of several hook points',
      { architectures: [{ architecture: 'topk', k: 4 }, { architecture: 'crosscoder' }] },
      /architectures\[1\]: architecture is crosscoder, which reads several hook points/,
    ],
    ['batches that differ', { architectures: [{ batch_rows: 32 }] }, /batch_rows.*under options/s],
    ['a text for a number', { options: { batch_rows: '64' } }, /batch_rows is "64"/],
    ['a text for k', { architectures: [{ architecture: 'topk', k: '8' }] }, /k is "8".*takes a number/s],
    ['a number for a list', { options: { resample_at: 0.5 } }, /resample_at is 0.5.*list of numbers/s],
    ['a word that no setting takes', { options: { normalize: 'norm' } }, /normalize is norm.*layer-norm/s],
    ['an empty list', { d_sae: [] }, /d_sae is \[\]/],
    ['the same twice', { seeds: [1, 1] }, /twice/],
    ['a grid without end', { seeds: Array.from({ length: 9000 }, (_, i) => i) }, /more than 10000/],
  ] as const) {
    test(`${name} is refused`, () => {
      assert.throws(() => parse(changes), pattern);
    });
  }

  for (const [file, count] of [
    ['ninety', 90],
    ['small', 14],
  ] as const)
    test(`sweeps/${file}.json asks for ${count} dictionaries`, async () => {
      const path = new URL(`../../../../sweeps/${file}.json`, import.meta.url);
      const { runs } = parseSweep(JSON.parse(await readFile(path, 'utf8')), file);
      assert.equal(runs.length, count);
    });
});

describe('groups', () => {
  const { runs } = parse({ models: ['a'], seeds: [0] });

  test('hold as many as fit, in order, and at least one', () => {
    const one = 2 * 3 * 4 * 8 * 16;
    const batch = 6 * 4 * 8 * 64;
    const buffer = 2 * 4 * 8 * 512;
    const sizes = (bytes: number) => groupsThatFit(runs, 8, bytes).map((group) => group.length);
    assert.deepEqual(sizes(1), [1, 1, 1, 1, 1, 1]);
    assert.deepEqual(sizes(1e12), [6]);
    // Sizes 16 and 32 take turns: one of each.
    assert.deepEqual(sizes(buffer + 3 * one + 2 * batch), [2, 2, 2]);
    assert.equal(groupBytes(runs.slice(0, 2), 8), buffer + 3 * one + 2 * batch);
  });

  const source = plantedSource({ nChunks: 8, chunkRows: 256, seed: 5 }, TINY);
  const group = (out: string, changes: object = {}) => ({
    runs,
    source,
    backend: referenceBackend,
    folder: join(folder, out),
    ...changes,
  });
  const weights = (out: string, name: string) => readFile(join(folder, out, name, 'sae_weights.safetensors'));

  test('one that crashes ends alone', async () => {
    const crashing = { ...runs[0], name: 'crash', options: { ...runs[0].options, learningRate: 1e30 } };
    const outcomes = await trainGroup(group('crash', { runs: [crashing, runs[1], runs[2]] }));
    const [crashed] = outcomes;
    assert.ok('error' in crashed && 'code' in crashed.error);
    assert.equal(crashed.error.code, 'ERR_DIVERGED');
    for (const [i, outcome] of outcomes.slice(1).entries()) {
      assert.ok('dictionary' in outcome);
      const loaded = await loadDictionary(join(folder, 'crash', runs[i + 1].name));
      assert.deepEqual(loaded.weights.W_dec, outcome.dictionary.weights.W_dec);
    }
  });

  test('interrupted and gone on with, every dictionary ends with the same bytes', async () => {
    const trained = runs.slice(0, 3);
    await trainGroup(group('whole', { runs: trained }));
    const abort = new AbortController();
    const onStep = (done: number) => done >= 40 && abort.abort();
    await assert.rejects(trainGroup(group('stopped', { runs: trained, signal: abort.signal, onStep })), {
      code: 'ERR_INTERRUPTED',
    });
    const outcomes = await trainGroup(group('stopped', { runs: trained }));
    assert.ok(outcomes.every((outcome) => 'dictionary' in outcome));
    for (const { name } of trained)
      assert.deepEqual(await weights('stopped', name), await weights('whole', name));
  });
});

describe('results', () => {
  const row = (run: string, l0: number, lossRecovered: number, error = ''): ResultRow => ({
    ...{
      run,
      model: 'a',
      hook: 'mlp',
      architecture: 'topk',
      dSae: 16,
      seed: 0,
      sparsity: 4,
      l0,
      lossRecovered,
    },
    ...{ explainedVariance: 0.5, dead: 1, ultralow: 2, clustersApart: true, seconds: 1.5, error },
  });

  test('the front: none has fewer active latents and recovers more', () => {
    const rows = [
      row('c', 8, 0.9),
      row('a', 2, 0.5),
      row('beaten', 4, 0.4),
      row('b', 4, 0.7),
      row('x', NaN, NaN),
    ];
    assert.deepEqual(
      paretoFront(rows).map(({ run }) => run),
      ['a', 'b', 'c'],
    );
  });

  test('the table as CSV and Parquet holds the same; texts with commas and quotes are safe', async () => {
    const rows = [row('good', 2, 0.5), row('bad', NaN, NaN, 'It broke, "badly"')];
    const [csv, parquet] = await writeRunTable(folder, rows);
    const lines = (await readFile(csv, 'utf8')).trim().split('\n');
    assert.match(lines[0], /^run,model,hook,architecture,d_sae,seed,sparsity,l0,/);
    assert.equal(lines[1], 'good,a,mlp,topk,16,0,4,2,0.5,0.5,1,2,true,1.5,');
    assert.ok(lines[2].endsWith(',"It broke, ""badly"""'));
    const read = await parquetReadObjects({ file: await asyncBufferFromFile(parquet) });
    assert.equal(read[0]['d_sae'], 16);
    assert.equal(read[0]['l0'], 2);
    assert.equal(read[1]['error'], 'It broke, "badly"');
  });

  test('a result counts for its own settings alone', async () => {
    await writeResult(folder, 'these', row('good', 2, 0.5));
    assert.deepEqual(await readResult(folder, 'these'), row('good', 2, 0.5));
    assert.equal(await readResult(folder, 'others'), undefined);
    assert.equal(await readResult(join(folder, 'nowhere'), 'these'), undefined);
  });
});
