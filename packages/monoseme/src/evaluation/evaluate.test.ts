import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import Ajv from 'ajv';
import type { Dictionary } from '../dictionary/index.ts';
import { selectBackend } from '../kernels/index.ts';
import { ModelRunner, OnnxModel } from '../model/index.ts';
import { Random } from '../random/index.ts';
import { fixture, randomTokens } from '../testing/fixtures.ts';
import { type EvaluateInput, evaluateDictionary, readReport, writeReport, writeReportPage } from './index.ts';

const D_IN = 24;
const SCHEMA = fileURLToPath(new URL('../../../../docs/evaluation.schema.json', import.meta.url));

/** `keep` of the elements passed through; the last latent never fires. */
function passThrough(keep: number): Dictionary {
  const dSae = D_IN + 1;
  const W_enc = new Float32Array(dSae * D_IN);
  for (let j = 0; j < keep; j++) W_enc[j * D_IN + j] = 1;
  return {
    config: {
      ...{ architecture: 'standard', dIn: D_IN, dSae, hookName: '', modelName: '', contextSize: undefined },
      ...{ applyBDecToInput: false, metadata: {} },
    },
    weights: { W_enc, W_dec: W_enc, b_enc: new Float32Array(dSae), b_dec: new Float32Array(D_IN) },
  };
}

describe('evaluation on the tiny model', () => {
  let runner: ModelRunner;
  let folder: string;
  let input: EvaluateInput;
  before(async () => {
    const model = await OnnxModel.open(fixture('models/one-layer'));
    runner = await ModelRunner.start(model, { hook: 'blocks.0.mlp.hook_post', threads: 1, suffix: true });
    folder = await mkdtemp(join(tmpdir(), 'monoseme-evaluate-'));
    const backend = await selectBackend({ name: 'reference' });
    input = { dictionary: passThrough(12), backend, runner, tokens: randomTokens(60, 12) };
  });
  after(async () => {
    await runner.close();
    await rm(folder, { recursive: true });
  });

  test('a dictionary that passes everything through loses nothing', async () => {
    const { figures, directions } = await evaluateDictionary({ ...input, dictionary: passThrough(D_IN) });
    for (const name of [
      'explainedVariance',
      'cosineSimilarity',
      'l2Ratio',
      'relativeReconstructionBias',
    ] as const)
      assert.ok(Math.abs(figures[name] - 1) < 1e-6, name);
    assert.equal(figures.ceLossReconstructed, figures.ceLoss);
    assert.equal(figures.ceLossScore, 1);
    assert.equal(figures.klScore, 1);
    assert.equal(figures.top1Agreement, 1);
    assert.ok(figures.klZeroAblated > 0 && figures.klMeanAblated > 0);
    assert.equal(directions.nearestCosines[0], 0);
  });

  test('one that fires on nothing is the zero ablation, and its dead latents are counted', async () => {
    const { figures, clusters, densities } = await evaluateDictionary({
      ...input,
      dictionary: passThrough(0),
    });
    assert.equal(figures.l0, 0);
    assert.equal(figures.fracDead, 1);
    assert.equal(figures.ceLossReconstructed, figures.ceLossZeroAblated);
    assert.equal(figures.klReconstructed, figures.klZeroAblated);
    assert.equal(figures.ceLossScore, 0);
    assert.ok(Number.isNaN(figures.relativeReconstructionBias));
    assert.deepEqual([clusters.nDead, clusters.nLive], [D_IN + 1, 0]);
    assert.ok(densities.every((density) => density === 0));
  });

  test('the mean ablation replaces by the mean of the activations', async () => {
    const x = await runner.activations(input.tokens.tokens, 12);
    const mean = Float32Array.from({ length: D_IN }, (_, i) => {
      let sum = 0;
      for (let row = 0; row < x.length; row += D_IN) sum += x[row + i];
      return sum / (x.length / D_IN);
    });
    const b_dec = mean;
    const dictionary = { ...passThrough(0), weights: { ...passThrough(0).weights, b_dec } };
    const { figures } = await evaluateDictionary({ ...input, dictionary });
    assert.ok(Math.abs(figures.ceLossReconstructed - figures.ceLossMeanAblated) < 1e-6);
    assert.ok(Math.abs(figures.explainedVariance) < 1e-5);
  });

  test('groups add up to the whole', async () => {
    const { byPosition, bySource, counts, figures } = await evaluateDictionary(input);
    for (const groups of [byPosition, bySource]) {
      const tokens = groups.reduce((sum, group) => sum + group.counts.tokens, 0);
      const l0 = groups.reduce((sum, group) => sum + group.counts.tokens * group.figures.l0, 0);
      const loss = groups.reduce(
        (sum, g) => sum + g.counts.predictions * (g.counts.predictions && g.figures.ceLoss),
        0,
      );
      assert.equal(tokens, counts.tokens);
      assert.ok(Math.abs(l0 / tokens - figures.l0) < 1e-9);
      assert.ok(Math.abs(loss / counts.predictions - figures.ceLoss) < 1e-9);
    }
    assert.deepEqual(
      byPosition.map(({ name }) => name),
      ['0', '1', '2–3', '4–7', '8–11'],
    );
    assert.deepEqual(counts, { tokens: 720, downstream: 720, predictions: 660 });
  });

  test('rows that are left out are in no figure, and keep their activations where the model runs on', async () => {
    const { tokens, contextSize } = input.tokens;
    const x = await runner.activations(tokens, contextSize);
    const norm = (row: number) => Math.hypot(...x.subarray(row * D_IN, (row + 1) * D_IN));
    const norms = Array.from(tokens, (_, row) => norm(row));
    const leftOut = { dropTokens: [3, 7, 41], maxNormRatio: 1.3 };
    const others = [...tokens.keys()].filter((row) => !leftOut.dropTokens.includes(tokens[row]));
    const sorted = others.map((row) => norms[row]).sort((a, b) => a - b);
    const kept = others.filter((row) => norms[row] <= 1.3 * sorted[Math.floor(sorted.length / 2)]);
    const report = await evaluateDictionary({ ...input, leftOut });
    assert.ok(kept.length < tokens.length - 20 && kept.length > 400);
    assert.equal(report.nLeftOut, tokens.length - kept.length);
    const predictions = kept.filter((row) => (row + 1) % contextSize > 0);
    assert.deepEqual(report.counts, {
      ...{ tokens: kept.length, downstream: kept.length, predictions: predictions.length },
    });
    const errors = kept.map((row) =>
      x.subarray(row * D_IN + 12, (row + 1) * D_IN).reduce((s, v) => s + v * v, 0),
    );
    assert.ok(Math.abs(report.figures.mse / (errors.reduce((a, b) => a + b) / kept.length) - 1) < 1e-5);
    const edited = x.slice();
    for (const row of kept) edited.fill(0, row * D_IN, (row + 1) * D_IN);
    const batch = await runner.openBatch(tokens, contextSize);
    const losses = await batch.losses(edited);
    await batch.close();
    const lossOf = (row: number) =>
      losses[Math.floor(row / contextSize) * (contextSize - 1) + (row % contextSize)];
    const mean = predictions.reduce((sum, row) => sum + lossOf(row), 0) / predictions.length;
    assert.ok(Math.abs(report.figures.ceLossZeroAblated - mean) < 1e-5);
    const all = { dropTokens: Array.from({ length: 50 }, (_, token) => token) };
    await assert.rejects(evaluateDictionary({ ...input, leftOut: all }), { code: 'ERR_EMPTY_TEXT' });
  });

  test('intervals hold the figures', async () => {
    const { figures, intervals } = await evaluateDictionary(input);
    for (const name of [
      'l0',
      'explainedVariance',
      'ceLossScore',
      'klScore',
      'top1Agreement',
      'fracAbove10Percent',
    ] as const) {
      const [low, high] = intervals![name]!;
      assert.ok(
        (low < high || name === 'fracAbove10Percent') && low <= figures[name] && figures[name] <= high,
        `${name}: ${low} … ${high}`,
      );
    }
  });

  test('the model is run on from as many tokens as asked for, spread over the text', async () => {
    const { counts, figures } = await evaluateDictionary({ ...input, downstreamTokens: 240 });
    assert.deepEqual(counts, { tokens: 720, downstream: 240, predictions: 220 });
    const whole = await evaluateDictionary(input);
    assert.equal(figures.l0, whole.figures.l0);
    assert.ok(Math.abs(figures.ceLoss - whole.figures.ceLoss) < 0.5);
  });

  test('an interrupted evaluation goes on, and gives the same figures bit by bit', async () => {
    const progressFile = { path: join(folder, 'unfinished.safetensors'), fingerprint: 'x' };
    const abort = new AbortController();
    const onProgress = (done: number) => void (done > 300 && abort.abort());
    const stopped = evaluateDictionary({ ...input, progressFile, signal: abort.signal, onProgress });
    await assert.rejects(stopped, { code: 'ERR_INTERRUPTED' });
    assert.ok(existsSync(progressFile.path));
    const seen: number[] = [];
    const resumed = await evaluateDictionary({
      ...input,
      progressFile,
      onProgress: (done) => seen.push(done),
    });
    assert.ok(seen[0] > 300, 'it did not start anew');
    assert.deepEqual(resumed, await evaluateDictionary(input));
    assert.equal(existsSync(progressFile.path), false);
  });

  test('the report on disk follows its schema and holds no NaN, also of a dictionary that is all dead', async () => {
    const validate = new Ajv().compile(JSON.parse(readFileSync(SCHEMA, 'utf8')));
    const hash = '0'.repeat(64);
    const madeFrom = { dictionary: hash, model: hash, tokens: hash };
    const provenance = {
      madeFrom,
      subject: 'a dictionary.',
      backend: 'reference',
      seed: 0,
      split: 'all',
      command: 'monoseme evaluate <x>',
    };
    for (const keep of [12, 0]) {
      const report = await evaluateDictionary({ ...input, dictionary: passThrough(keep) });
      const path = await writeReport(folder, report, provenance);
      const text = readFileSync(path, 'utf8');
      assert.ok(validate(JSON.parse(text)), JSON.stringify(validate.errors));
      const page = readFileSync(await writeReportPage(folder, report, provenance), 'utf8');
      assert.doesNotMatch(page, /NaN|Infinity|undefined|<x>/);
      assert.match(page, /monoseme evaluate &lt;x&gt;/);
      assert.doesNotMatch(page, /<script|src=|href="(?!#)|@import|url\(/, 'needs no network');
      const stored = await readReport(folder);
      assert.equal(stored.figures['l0'], report.figures.l0);
      assert.equal(stored.figures['n_tokens'], 720);
    }
    assert.match(readFileSync(join(folder, 'evaluation.json'), 'utf8'), /"relative_reconstruction_bias"\n/);
  });

  test('one document, and activations that never change, are reported without NaN and without intervals', async () => {
    const validate = new Ajv().compile(JSON.parse(readFileSync(SCHEMA, 'utf8')));
    const hash = '0'.repeat(64);
    const madeFrom = { dictionary: hash, model: hash, tokens: hash };
    const provenance = { madeFrom, subject: '', backend: '', seed: 0, split: 'all' };
    const one = (length: number) => [{ id: 'a', source: 'x', start: 0, length }];
    const oneDocument = { ...input.tokens, documents: one(720) };
    // The same token at the first position, alone: one activation, and no next token.
    const constant = {
      tokens: new Uint32Array(40).fill(7),
      contextSize: 1,
      nContexts: 40,
      documents: one(40),
    };
    for (const tokens of [oneDocument, constant]) {
      const report = await evaluateDictionary({ ...input, tokens });
      assert.equal(report.intervals, undefined);
      const json = readFileSync(await writeReport(folder, report, provenance), 'utf8');
      assert.ok(validate(JSON.parse(json)), JSON.stringify(validate.errors));
      const page = readFileSync(await writeReportPage(folder, report, provenance), 'utf8');
      assert.doesNotMatch(json + page, /NaN|Infinity|undefined/);
      assert.match(page, /has 1 documents?, and 10 are needed/);
    }
    const { not_defined } = JSON.parse(readFileSync(join(folder, 'evaluation.json'), 'utf8'));
    for (const name of ['explained_variance', 'ce_loss', 'ce_loss_score'])
      assert.ok(not_defined.includes(name), name);
  });

  test('what does not fit is said', async () => {
    const random = new Random(1);
    const wide = passThrough(2);
    const W = Float32Array.from({ length: 30 * 25 }, () => random.normal());
    const other = { config: { ...wide.config, dIn: 30 }, weights: { ...wide.weights, W_enc: W, W_dec: W } };
    await assert.rejects(evaluateDictionary({ ...input, dictionary: other }), { code: 'ERR_MISMATCH' });
    const none = { ...input.tokens, nContexts: 0, tokens: new Uint32Array() };
    await assert.rejects(evaluateDictionary({ ...input, tokens: none }), { code: 'ERR_EMPTY_TEXT' });
  });
});
