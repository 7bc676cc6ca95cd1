import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { alignedSource, modelSource } from '../activations/index.ts';
import type { Dictionary } from '../dictionary/index.ts';
import { type KernelBackend, selectBackend } from '../kernels/index.ts';
import { ModelRunner, OnnxModel } from '../model/index.ts';
import { fixture, randomTokens } from '../testing/fixtures.ts';
import { evaluateDictionary, evaluateRows } from './index.ts';

/** Widths of the two hook points. */
const WIDTHS = [16, 24];
const D_IN = 40;
const tokens = randomTokens(60, 12);

/** Two latents for each of the first columns of every source, one for what is above 0 and one for what is below. */
function passThrough(keep: readonly number[]): Dictionary {
  const W_enc = new Float32Array(2 * D_IN * D_IN);
  keep.forEach((n, part) => {
    const start = part === 0 ? 0 : WIDTHS[0];
    for (let i = start; i < start + n; i++) {
      W_enc[2 * i * D_IN + i] = 1;
      W_enc[(2 * i + 1) * D_IN + i] = -1;
    }
  });
  const sources = WIDTHS.map((width) => ({ hookName: '', modelName: '', width, scale: 1 }));
  return {
    config: {
      ...{ architecture: 'standard', dIn: D_IN, dSae: 2 * D_IN, sources, contextSize: 12 },
      ...{ hookName: '', modelName: '', applyBDecToInput: false, metadata: {} },
    },
    weights: { W_enc, W_dec: W_enc, b_enc: new Float32Array(2 * D_IN), b_dec: new Float32Array(D_IN) },
  };
}

for (const [what, names] of [
  ['two hook points of one model', ['one-layer', 'one-layer']],
  ['hook points of two models', ['gpt-two-layer', 'one-layer']],
] as const) {
  describe(`a crosscoder of ${what}`, () => {
    let runners: ModelRunner[];
    let backend: KernelBackend;
    before(async () => {
      backend = await selectBackend({ name: 'reference' });
      const hooks = ['blocks.0.hook_mlp_out', 'blocks.0.mlp.hook_post'];
      runners = [];
      for (const [i, name] of names.entries()) {
        const model = await OnnxModel.open(fixture('models', name));
        runners.push(await ModelRunner.start(model, { hook: hooks[i], threads: 1, suffix: true }));
      }
      assert.deepEqual(
        runners.map(({ dIn }) => dIn),
        WIDTHS,
      );
    });
    after(() => Promise.all(runners.map((runner) => runner.close())));
    const measure = (keep: readonly number[], part: number) => {
      const dictionary = passThrough(keep);
      return evaluateDictionary({
        ...{ dictionary, backend, runner: runners[part], tokens, crosscoder: { part, runners } },
      });
    };

    test('what one source loses is lost in its own figures and in no other', async () => {
      for (const part of [0, 1]) {
        const keep = WIDTHS.map((width, i) => (i === part ? width / 2 : width));
        const lossy = (await measure(keep, part)).figures;
        assert.ok(lossy.explainedVariance < 0.9 && lossy.ceLossReconstructed !== lossy.ceLoss);
        const other = (await measure(keep, 1 - part)).figures;
        assert.ok(Math.abs(other.explainedVariance - 1) < 1e-6);
        assert.equal(other.ceLossReconstructed, other.ceLoss);
        assert.equal(other.l0, lossy.l0);
      }
    });

    test('ablations are those of an autoencoder at that hook point', async () => {
      for (const part of [0, 1]) {
        const crosscoder = await measure(WIDTHS, part);
        const width = WIDTHS[part];
        const W = new Float32Array(width * width);
        const dictionary: Dictionary = {
          config: { ...passThrough(WIDTHS).config, dIn: width, dSae: width, sources: undefined },
          weights: { W_enc: W, W_dec: W, b_enc: new Float32Array(width), b_dec: new Float32Array(width) },
        };
        const alone = await evaluateDictionary({ dictionary, backend, runner: runners[part], tokens });
        for (const name of ['ceLoss', 'ceLossZeroAblated', 'ceLossMeanAblated', 'klZeroAblated'] as const)
          assert.equal(crosscoder.figures[name], alone.figures[name], name);
      }
    });

    test('on rows alone the figures are the same', async () => {
      const dictionary = passThrough([6, 9]);
      const source = await alignedSource(
        runners.map((runner) => modelSource(runner, tokens, { contextsPerChunk: 7 })),
      );
      for (const part of [0, 1]) {
        const whole = (await measure([6, 9], part)).figures;
        const { figures } = await evaluateRows({ dictionary, backend, source, part });
        for (const name of ['explainedVariance', 'mse', 'l0', 'l1', 'cosineSimilarity'] as const)
          assert.ok(Math.abs(figures[name] - whole[name]) <= 1e-6 * Math.abs(whole[name]), name);
      }
    });

    test('a source has to be named, and to be there', async () => {
      const dictionary = passThrough(WIDTHS);
      const [runner] = runners;
      const input = { dictionary, backend, runner, tokens };
      await assert.rejects(evaluateDictionary(input), { code: 'ERR_OPTION', message: /a crosscoder/ });
      await assert.rejects(evaluateDictionary({ ...input, crosscoder: { part: 1, runners } }), {
        code: 'ERR_MISMATCH',
      });
      await assert.rejects(evaluateDictionary({ ...input, crosscoder: { part: 2, runners } }), {
        code: 'ERR_OPTION',
        message: /no source 2/,
      });
    });
  });
}
