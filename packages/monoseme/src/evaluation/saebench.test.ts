import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ModelRunner, OnnxModel } from '../model/index.ts';
import { fixture } from '../testing/fixtures.ts';
import { near, type SaeBenchGolden, saeBenchGolden } from '../testing/saebench-golden.ts';
import { evaluateDictionary, type EvaluationReport } from './index.ts';

const [N_CONTEXTS, CONTEXT] = [60, 12];
const N_TOKENS = N_CONTEXTS * CONTEXT;

describe("SAEBench's core evaluation of the same model, dictionary and tokens", () => {
  let report: EvaluationReport;
  let theirs: SaeBenchGolden['figures']['core'];
  let x: Float32Array;
  let runner: ModelRunner;
  before(async () => {
    const golden = await saeBenchGolden();
    theirs = golden.figures.core;
    const model = await OnnxModel.open(fixture('models/one-layer'));
    runner = await ModelRunner.start(model, { hook: 'blocks.0.mlp.hook_post', threads: 1, suffix: true });
    const tokens = Uint32Array.from(golden.tokens);
    x = await runner.activations(tokens, CONTEXT);
    const documents = [{ id: 'a', source: 'random', start: 0, length: N_TOKENS }];
    report = await evaluateDictionary({
      ...{ dictionary: golden.dictionary, backend: golden.backend, runner },
      tokens: { tokens, contextSize: CONTEXT, nContexts: N_CONTEXTS, documents },
    });
  });
  after(() => runner.close());

  test('losses and divergences, and their scores, are equal', () => {
    const { figures } = report;
    near(figures.ceLoss, theirs.ce_loss_without_sae);
    near(figures.ceLossReconstructed, theirs.ce_loss_with_sae);
    near(figures.ceLossZeroAblated, theirs.ce_loss_with_ablation);
    near(figures.ceLossScore, theirs.ce_loss_score, 1e-3);
    near(figures.klReconstructed, theirs.kl_div_with_sae);
    near(figures.klZeroAblated, theirs.kl_div_with_ablation);
    near(figures.klScore, theirs.kl_div_score);
  });

  test('L0, L1, cosine, norm ratio and relative reconstruction bias are equal', () => {
    const { figures } = report;
    near(figures.l0, theirs.l0);
    near(figures.l1, theirs.l1);
    near(figures.cosineSimilarity, theirs.cossim);
    near(figures.l2Ratio, theirs.l2_ratio);
    near(figures.relativeReconstructionBias, theirs.relative_reconstruction_bias);
  });

  test('densities, what is made of them, and decoder cosines are equal', () => {
    const { figures, densities, directions } = report;
    theirs.feature_density.forEach((density, latent) => near(densities[latent], density));
    near(1 - figures.fracDead, theirs.frac_alive);
    near(figures.fracAbove1Percent, theirs.freq_over_1_percent);
    near(figures.fracAbove10Percent, theirs.freq_over_10_percent);
    near(directions.meanNearestCosine, theirs.average_max_decoder_cosine_sim);
  });

  test('their mse is divided by the number of tokens twice', () => {
    near(report.figures.mse, theirs.mse * N_TOKENS);
  });

  test('their explained variance is about the mean square of all elements instead of the mean', () => {
    const { figures } = report;
    const squares = x.reduce((sum, value) => sum + value * value, 0) / N_TOKENS;
    const meanSquare = squares / runner.dIn;
    near(1 - figures.mse / (squares - meanSquare ** 2), theirs.explained_variance);
    assert.ok(theirs.explained_variance - figures.explainedVariance > 0.1, `${figures.explainedVariance}`);
  });

  test('their legacy explained variance is the mean over tokens of ratios, not the ratio of the sums', () => {
    assert.ok(Math.abs(theirs.explained_variance_legacy - report.figures.explainedVariance) > 0.01);
  });
});
