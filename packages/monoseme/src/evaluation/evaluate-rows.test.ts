import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { modelSource } from '../activations/index.ts';
import type { Dictionary } from '../dictionary/index.ts';
import { selectBackend } from '../kernels/index.ts';
import { ModelRunner, OnnxModel } from '../model/index.ts';
import { Random } from '../random/index.ts';
import { fixture, randomTokens } from '../testing/fixtures.ts';
import { evaluateDictionary, evaluateRows } from './index.ts';

const D_IN = 24;
const D_SAE = 32;
let runner: ModelRunner;
before(async () => {
  const model = await OnnxModel.open(fixture('models/one-layer'));
  runner = await ModelRunner.start(model, { hook: 'blocks.0.mlp.hook_post', threads: 1, suffix: true });
});
after(() => runner.close());

function randomDictionary(): Dictionary {
  const random = new Random(4);
  const floats = (n: number) => Float32Array.from({ length: n }, () => 0.3 * random.normal());
  return {
    config: {
      ...{ architecture: 'standard', dIn: D_IN, dSae: D_SAE, hookName: '', modelName: '', contextSize: 12 },
      ...{ applyBDecToInput: false, metadata: {} },
    },
    weights: {
      ...{ W_enc: floats(D_SAE * D_IN), b_enc: floats(D_SAE) },
      ...{ W_dec: floats(D_SAE * D_IN), b_dec: floats(D_IN) },
    },
  };
}

test('on activations alone: the figures of the evaluation with the model, without what the model says', async () => {
  const dictionary = randomDictionary();
  const backend = await selectBackend({ name: 'reference' });
  const tokens = randomTokens(60, 12);
  for (const leftOut of [undefined, { dropTokens: [5, 6] }]) {
    const whole = await evaluateDictionary({ dictionary, backend, runner, tokens, leftOut });
    const source = modelSource(runner, tokens, { contextsPerChunk: 7, rows: leftOut });
    const alone = await evaluateRows({ dictionary, backend, source });
    for (const [name, value] of Object.entries(alone.figures)) {
      const expected = whole.figures[name as keyof typeof whole.figures];
      if (/^(ceLoss|kl|top1)/.test(name)) assert.ok(Number.isNaN(value), name);
      else
        assert.ok(Math.abs(value - expected) <= 1e-6 * Math.abs(expected), `${name}: ${value}, ${expected}`);
    }
    assert.deepEqual(alone.counts, { tokens: whole.counts.tokens, downstream: 0, predictions: 0 });
    assert.deepEqual([alone.nDocuments, alone.nLeftOut], [60, whole.nLeftOut]);
    assert.deepEqual(alone.densities, whole.densities);
    assert.deepEqual(
      alone.byPosition.map(({ name, counts }) => [name, counts.tokens]),
      whole.byPosition.map(({ name, counts }) => [name, counts.tokens]),
    );
    const [low, high] = alone.intervals!.mse!;
    assert.ok(low < alone.figures.mse && alone.figures.mse < high);
  }
  const narrow = { ...dictionary, config: { ...dictionary.config, dIn: 16 } };
  await assert.rejects(evaluateRows({ dictionary: narrow, backend, source: modelSource(runner, tokens) }), {
    code: 'ERR_MISMATCH',
  });
});
