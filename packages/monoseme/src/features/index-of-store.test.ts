import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ActivationStore, modelSource, sourceText, sourceTextInFile } from '../activations/index.ts';
import type { Dictionary } from '../dictionary/index.ts';
import { ModelRunner, OnnxModel } from '../model/index.ts';
import { Random } from '../random/index.ts';
import { fixture, randomTokens } from '../testing/fixtures.ts';
import { buildSmallIndex } from '../testing/small-index.ts';
import { openFeatureIndex } from './index.ts';

const root = await mkdtemp(join(tmpdir(), 'monoseme-store-index-'));
const tokens = randomTokens(23, 12);
/** Chunks of 2 contexts, shards of 6: the last of both are short. */
const SIZES = { contextsPerChunk: 2, rowsPerShard: 6 * 12 };
let runner: ModelRunner;
before(async () => {
  const model = await OnnxModel.open(fixture('models/one-layer'));
  runner = await ModelRunner.start(model, { hook: 'blocks.0.mlp.hook_post', threads: 1 });
});
after(async () => {
  await runner.close();
  await rm(root, { recursive: true });
});

function dictionary(dIn: number, dSae: number): Dictionary {
  const random = new Random(3);
  const normal = (n: number) => Float32Array.from({ length: n }, () => random.normal());
  return {
    config: {
      ...{ architecture: 'standard', dIn, dSae, hookName: 'blocks.0.mlp.hook_post', modelName: 'one-layer' },
      ...{ contextSize: undefined, applyBDecToInput: true, metadata: {} },
    },
    weights: {
      W_enc: normal(dSae * dIn),
      b_enc: new Float32Array(dSae),
      W_dec: normal(dSae * dIn),
      b_dec: normal(dIn),
    },
  };
}

describe('an index of stored activations', () => {
  test('the text of a store is that which was harvested', async () => {
    const store = await ActivationStore.write(join(root, 'store'), runner, tokens, {
      ...SIZES,
      dtype: 'F32',
    });
    const text = await sourceText(store);
    assert.deepEqual(text.tokens, tokens.tokens);
    assert.deepEqual([text.contextSize, text.nContexts], [12, 23]);
    assert.deepEqual(
      text.documents.map(({ start, length }) => [start, length]),
      tokens.documents.map(({ start, length }) => [start, length]),
    );
  });

  test('has, with its text in a file, the tables of the index of the model', async () => {
    const store = await ActivationStore.open(join(root, 'store'));
    const given = { dictionary: dictionary(24, 10), jacobian: undefined };
    const text = await sourceTextInFile(store, join(root, 'of-store'));
    await buildSmallIndex(join(root, 'of-store'), { ...given, source: store, tokenSet: text });
    text.close();
    await buildSmallIndex(join(root, 'of-model'), {
      ...given,
      source: modelSource(runner, tokens),
      tokenSet: tokens,
    });
    const { details } = await openFeatureIndex(join(root, 'of-store'));
    const tables = details.files
      .map(({ path }) => path)
      .filter((path) => !path.endsWith('documents.parquet'));
    assert.ok(tables.length > 7);
    for (const path of tables)
      assert.ok(
        (await readFile(join(root, 'of-store', path))).equals(await readFile(join(root, 'of-model', path))),
        path,
      );
  });

  test('parts of contexts are refused', async () => {
    const store = await ActivationStore.write(join(root, 'parts'), runner, tokens, {
      ...SIZES,
      rows: { tokensPerContext: 5, seed: 1 },
    });
    await assert.rejects(sourceText(store), { code: 'ERR_OPTION', message: /parts of contexts/ });
  });
});
