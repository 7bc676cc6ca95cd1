import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { decode, type Dictionary, encode } from '../dictionary/index.ts';
import { referenceBackend as backend } from '../kernels/reference/index.ts';
import { type Edit, HookedModel, type HookedActivations, type Hooks, OnnxModel } from '../model/index.ts';
import { Random } from '../random/index.ts';
import { fixture, randomTokens } from '../testing/fixtures.ts';
import {
  addDirection,
  editLatents,
  editLatentsOf,
  generate,
  type LatentEdit,
  reconstruct,
  replace,
  resample,
  scoreTokens,
  steer,
  type Where,
  zero,
} from './index.ts';

const POST = 'blocks.0.mlp.hook_post';
const CONTEXT = 6;
const D_IN = 24;
const D_SAE = 40;
const VOCAB = 50;
const { tokens } = randomTokens(2, CONTEXT);

function randomDictionary(): Dictionary {
  const random = new Random(1);
  const floats = (n: number, scale: number) =>
    Float32Array.from({ length: n }, () => scale * random.normal());
  return {
    config: {
      architecture: 'standard',
      dIn: D_IN,
      dSae: D_SAE,
      hookName: POST,
      modelName: 'one-layer',
      contextSize: 12,
      applyBDecToInput: true,
      metadata: {},
    },
    weights: {
      W_enc: floats(D_SAE * D_IN, 0.3),
      b_enc: floats(D_SAE, 0.1),
      W_dec: floats(D_SAE * D_IN, 0.2),
      b_dec: floats(D_IN, 0.1),
    },
  };
}

const dictionary = randomDictionary();

function activations(): HookedActivations {
  const random = new Random(2);
  const values = Float32Array.from({ length: tokens.length * D_IN }, () => random.normal());
  return { hookName: POST, values, dims: [2, CONTEXT, D_IN], tokens, contextSize: CONTEXT, nBefore: 0 };
}

/** What an edit makes of the same activations. */
async function edited(edit: Edit): Promise<Float32Array> {
  const before = activations();
  return (await edit(before)) ?? before.values;
}

const x = activations().values;
const row = (values: Float32Array, context: number, position: number) =>
  values.subarray((context * CONTEXT + position) * D_IN, (context * CONTEXT + position + 1) * D_IN);

function close(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number, what = ''): void {
  assert.equal(actual.length, expected.length);
  for (let i = 0; i < actual.length; i++)
    assert.ok(
      Math.abs(actual[i] - expected[i]) <= tolerance,
      `${what} ${i}: ${actual[i]} for ${expected[i]}`,
    );
}

describe('edits of activations', () => {
  const second = (position: number, context: number) => context === 1 && position === 2;

  test('zero, replace and add change the chosen rows and no other', async () => {
    const direction = Float32Array.from({ length: D_IN }, (_, i) => i);
    const expected: [Edit, (value: number, i: number) => number][] = [
      [zero(second), () => 0],
      [replace(direction, second), (_, i) => i],
      [addDirection(direction, -2, second), (value, i) => value - 2 * i],
    ];
    for (const [edit, change] of expected) {
      const found = await edited(edit);
      for (let context = 0; context < 2; context++) {
        for (let position = 0; position < CONTEXT; position++) {
          const own = row(x, context, position);
          const wanted = second(position, context) ? own.map(change) : own;
          close(row(found, context, position), wanted, 1e-5);
        }
      }
    }
    assert.ok((await edited(zero())).every((value) => value === 0));
  });

  test('resample takes rows of the pool, by seed and place alone', async () => {
    const pool = Float32Array.from({ length: 5 * D_IN }, (_, i) => Math.floor(i / D_IN));
    const found = await edited(resample(pool, 3));
    const drawn = Array.from({ length: tokens.length }, (_, i) => found[i * D_IN]);
    assert.ok(new Set(drawn).size > 2);
    found.forEach((value, i) => assert.equal(value, drawn[Math.floor(i / D_IN)]));
    assert.deepEqual(await edited(resample(pool, 3)), found);
    assert.notDeepEqual(await edited(resample(pool, 4)), found);
    const some = await edited(resample(pool, 3, second));
    assert.deepEqual(row(some, 1, 2), row(found, 1, 2));
    assert.deepEqual(row(some, 0, 0), row(x, 0, 0));
  });

  test('what cannot be', async () => {
    const wrong = { ...activations(), dims: [2, 4, CONTEXT, CONTEXT] };
    assert.throws(() => zero()(wrong), { code: 'ERR_HOOK' });
    assert.throws(() => replace(new Float32Array(3))(activations()), { code: 'ERR_SHAPE' });
    assert.throws(() => resample(new Float32Array(), 0)(activations()), { code: 'ERR_SHAPE' });
    assert.throws(() => addDirection(new Float32Array(3), 1)(activations()), { code: 'ERR_SHAPE' });
    const edit = (change: object) =>
      editLatents(dictionary, backend, [{ latent: 0, op: 'clamp', value: 1, ...change } as LatentEdit]);
    for (const change of [
      { latent: D_SAE },
      { latent: -1 },
      { latent: 0.5 },
      { value: NaN },
      { value: undefined },
    ])
      assert.throws(() => edit(change), { code: 'ERR_OPTION' });
    const narrow = { ...activations(), values: new Float32Array(tokens.length * 4), dims: [2, CONTEXT, 4] };
    await assert.rejects(async () => edit({})(narrow), { code: 'ERR_MISMATCH' });
  });
});

describe('edits of latents', () => {
  /** The formulas in f64, densely. */
  function expected(edits: readonly LatentEdit[], keepError: boolean): Float64Array {
    const { W_enc, b_enc, W_dec, b_dec } = dictionary.weights;
    const out = new Float64Array(x.length);
    for (let r = 0; r < tokens.length; r++) {
      const own = x.subarray(r * D_IN, (r + 1) * D_IN);
      const f = Array.from({ length: D_SAE }, (_, j) => {
        let h = b_enc[j];
        for (let i = 0; i < D_IN; i++) h += W_enc[j * D_IN + i] * (own[i] - b_dec[i]);
        return Math.max(0, h);
      });
      const g = [...f];
      for (const { latent, op, value = 0, where } of edits) {
        if (where && !where(r % CONTEXT, Math.floor(r / CONTEXT))) continue;
        g[latent] = { ablate: 0, clamp: value, scale: value * g[latent], add: g[latent] + value }[op];
      }
      for (let i = 0; i < D_IN; i++) {
        const sum = (acts: number[]) => acts.reduce((s, act, j) => s + act * W_dec[j * D_IN + i], b_dec[i]);
        out[r * D_IN + i] = keepError ? own[i] + sum(g) - sum(f) : sum(g);
      }
    }
    return out;
  }

  const cases: LatentEdit[][] = [
    [],
    [{ latent: 3, op: 'ablate' }],
    [{ latent: 7, op: 'clamp', value: 5, where: (position) => position === 4 }],
    [
      { latent: 0, op: 'scale', value: 3 },
      { latent: 39, op: 'add', value: -2, where: (_, context) => context === 1 },
      { latent: 0, op: 'add', value: 1 },
    ],
  ];
  for (const [i, edits] of cases.entries()) {
    for (const keepError of [true, false]) {
      test(`case ${i}, ${keepError ? 'with' : 'without'} the error`, async () => {
        const found = await editLatentsOf(dictionary, backend, x, CONTEXT, edits, { keepError });
        close(found, expected(edits, keepError), 1e-4);
        assert.deepEqual(await edited(editLatents(dictionary, backend, edits, { keepError })), found);
      });
    }
  }

  test('a dictionary that normalises rows: a change is that of what it decodes', async () => {
    const config = { ...dictionary.config, normalization: 'layer_norm' as const };
    const normalising = { ...dictionary, config };
    const edits: LatentEdit[] = [{ latent: 5, op: 'ablate' }];
    const ablated = await editLatentsOf(normalising, backend, x, CONTEXT, edits, { keepError: false });
    const codes = await encode(normalising, backend, x, tokens.length);
    const without = {
      ...codes,
      values: codes.values.map((value, i) => (codes.latentIndices[i] === 5 ? 0 : value)),
    };
    close(ablated, await decode(normalising, backend, without, x), 1e-5);
    assert.notDeepEqual(without.values, codes.values);
  });

  test('transcoders and crosscoders are refused', () => {
    const config = { ...dictionary.config, targetHookName: 'elsewhere' };
    assert.throws(() => editLatents({ ...dictionary, config }, backend, []), { code: 'ERR_OPTION' });
  });

  test('reconstruct is decode of encode; elsewhere nothing is touched', async () => {
    const reconstructions = await decode(
      dictionary,
      backend,
      await encode(dictionary, backend, x, tokens.length),
    );
    assert.deepEqual(await edited(reconstruct(dictionary, backend)), reconstructions);
    const some = await edited(reconstruct(dictionary, backend, (position) => position === 1));
    assert.deepEqual(row(some, 0, 1), row(reconstructions, 0, 1));
    assert.deepEqual(row(some, 0, 2), row(x, 0, 2));
  });
});

describe('generation', () => {
  let hooked: HookedModel;
  before(async () => {
    hooked = new HookedModel(await OnnxModel.open(fixture('models/one-layer')), { threads: 1 });
  });
  after(() => hooked.close());

  const logits = async (text: number[], hooks = {}) =>
    Array.from(
      await hooked.run({
        tokens: Uint32Array.from(text),
        contextSize: text.length,
        hooks,
        rows: Uint32Array.of(text.length - 1),
      }),
    );
  const logSoftmax = (row: number[]) => {
    const total = Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0));
    return row.map((value) => value - total);
  };

  test('greedy: the likeliest token each time, with its log-probability, under the edits', async () => {
    const hooks = { [POST]: zero((position) => position > 3) };
    for (const set of [undefined, hooks]) {
      const found = await generate({ hooked, prompts: tokens, promptSize: CONTEXT, nTokens: 5, hooks: set });
      for (let context = 0; context < 2; context++) {
        const text = [...tokens.subarray(context * CONTEXT, (context + 1) * CONTEXT)];
        for (let step = 0; step < 5; step++) {
          const own = logSoftmax(await logits(text, set));
          const token = found.tokens[context * 5 + step];
          assert.equal(token, own.indexOf(Math.max(...own)));
          close([found.logProbs[context * 5 + step]], [own[token]], 1e-5);
          text.push(token);
        }
      }
    }
  });

  test('sampled tokens come as often as the model says', async () => {
    const n = 2000;
    const prompt = tokens.subarray(0, 3);
    const prompts = Uint32Array.from({ length: 3 * n }, (_, i) => prompt[i % 3]);
    const temperature = 1.5;
    const found = await generate({ hooked, prompts, promptSize: 3, nTokens: 1, temperature });
    const shares = logSoftmax((await logits([...prompt])).map((value) => value / temperature)).map(Math.exp);
    const counts = new Array<number>(VOCAB).fill(0);
    for (const token of found.tokens) counts[token]++;
    // Pearson's statistic has VOCAB − 1 degrees of freedom: mean 49, deviation about 10.
    const statistic = counts.reduce(
      (sum, count, v) => sum + (count - n * shares[v]) ** 2 / (n * shares[v]),
      0,
    );
    assert.ok(statistic < 49 + 5 * 10, `${statistic}`);
  });

  test('seeds: the same text for the same seed, wherever it stands in the batch', async () => {
    const prompts = Uint32Array.from({ length: 4 * CONTEXT }, (_, i) => tokens[i % CONTEXT]);
    const options = { hooked, prompts, promptSize: CONTEXT, nTokens: 6, temperature: 1 };
    const found = await generate({ ...options, seeds: [5, 6, 5, 7] });
    const text = (i: number) => [...found.tokens.subarray(i * 6, (i + 1) * 6)];
    assert.deepEqual(text(0), text(2));
    assert.notDeepEqual(text(0), text(1));
    assert.notDeepEqual(text(1), text(3));
  });

  test('scores are log-probabilities of what follows', async () => {
    const scores = await scoreTokens(hooked, tokens, CONTEXT, 2);
    for (let context = 0; context < 2; context++) {
      const text = [...tokens.subarray(context * CONTEXT, (context + 1) * CONTEXT)];
      for (let i = 0; i < 2; i++) {
        const own = logSoftmax(await logits(text.slice(0, CONTEXT - 2 + i)));
        close([scores[context * 2 + i]], [own[text[CONTEXT - 2 + i]]], 1e-5);
      }
    }
  });

  test('steering: side by side with the original, which no version touches', async () => {
    const versions: LatentEdit[][] = [
      [],
      [{ latent: 2, op: 'add', value: 40 }],
      [{ latent: 2, op: 'add', value: -40 }],
    ];
    const options = { hooked, dictionary, backend, hookName: POST, prompt: tokens.slice(0, 4), nTokens: 6 };
    for (const onlyGenerated of [false, true]) {
      const { original, steered } = await steer({
        ...options,
        versions,
        onlyGenerated,
        temperature: 1,
        seed: 3,
      });
      const alone = await generate({
        ...{ hooked, prompts: options.prompt, promptSize: 4, nTokens: 6, temperature: 1, seeds: [3] },
      });
      assert.deepEqual(original.tokens, alone.tokens);
      close(original.logProbs, alone.logProbs, 1e-5);
      close(original.originalLogProbs, alone.logProbs, 1e-5);
      assert.deepEqual(steered[0].tokens, original.tokens);
      close(steered[0].logProbsOfOriginal, original.logProbs, 1e-5);
      for (const [
        v,
        { tokens: found, logProbs, originalLogProbs, logProbsOfOriginal },
      ] of steered.entries()) {
        const from = onlyGenerated ? 3 : 0;
        const where = (position: number) => position >= from;
        const hooks = { [POST]: editLatents(dictionary, backend, versions[v], { where }) };
        const text = (own: Uint32Array) => Uint32Array.of(...options.prompt, ...own);
        close(logProbs, await scoreTokens(hooked, text(found), 10, 6, hooks), 1e-5);
        close(originalLogProbs, await scoreTokens(hooked, text(found), 10, 6), 1e-5);
        close(logProbsOfOriginal, await scoreTokens(hooked, text(original.tokens), 10, 6, hooks), 1e-5);
      }
      assert.notDeepEqual(steered[1].tokens, original.tokens);
      assert.notDeepEqual(steered[1].tokens, steered[2].tokens);
    }
  });

  test('steering by edits of any kind: each version keeps to its own rows', async () => {
    const options = { hooked, hookName: POST, prompt: tokens.slice(0, 4), nTokens: 5 };
    const late = (position: number) => position > 4;
    const versions = [
      (where: Where) => zero(where),
      (where: Where) => zero((position, context) => late(position) && where(position, context)),
    ];
    const { original, steered } = await steer({ ...options, versions });
    const alone = async (hooks: Hooks) =>
      (await generate({ hooked, prompts: options.prompt, promptSize: 4, nTokens: 5, hooks })).tokens;
    assert.deepEqual(original.tokens, await alone({}));
    assert.deepEqual(steered[0].tokens, await alone({ [POST]: zero() }));
    assert.deepEqual(steered[1].tokens, await alone({ [POST]: zero(late) }));
    const latents: LatentEdit[] = [{ latent: 2, op: 'ablate' }];
    await assert.rejects(steer({ ...options, versions: [latents] }), { code: 'ERR_OPTION' });
  });

  test('steering by what is drawn: the original is scored under the draw that the steered was written under', async () => {
    const pool = Float32Array.from({ length: 9 * D_IN }, (_, i) => 3 * Math.sin(i));
    const prompt = tokens.slice(0, 4);
    const { original, steered } = await steer({
      ...{ hooked, hookName: POST, prompt, nTokens: 5 },
      versions: [(where) => resample(pool, 7, where)],
    });
    const score = async (own: Uint32Array) => {
      const text = [...prompt, ...own];
      const hooks = { [POST]: resample(pool, 7, (_, context) => context === 1) };
      return (await scoreTokens(hooked, Uint32Array.of(...text, ...text), 9, 5, hooks)).slice(5);
    };
    close(steered[0].logProbsOfOriginal, await score(original.tokens), 1e-5);
    close(steered[0].logProbs, await score(steered[0].tokens), 1e-5);
  });

  test('what does not fit is refused before anything runs', async () => {
    const run = (change: object) =>
      generate({ hooked, prompts: tokens, promptSize: CONTEXT, nTokens: 3, ...change });
    await assert.rejects(run({ nTokens: 8 }), { code: 'ERR_OPTION', message: /context of 12/ });
    await assert.rejects(run({ temperature: -1 }), { code: 'ERR_OPTION' });
    await assert.rejects(run({ seeds: [1] }), { code: 'ERR_SHAPE' });
    await assert.rejects(run({ signal: AbortSignal.abort() }), { code: 'ERR_INTERRUPTED' });
    await assert.rejects(scoreTokens(hooked, tokens, CONTEXT, CONTEXT), { code: 'ERR_OPTION' });
  });

  test('prompt and continuation may be one longer than the context: the last token is not read', async () => {
    const options = { hooked, dictionary, backend, hookName: POST, prompt: tokens.slice(0, CONTEXT) };
    const { original, steered } = await steer({ ...options, nTokens: 7, versions: [[]] });
    close(original.originalLogProbs, original.logProbs, 1e-5);
    close(steered[0].logProbsOfOriginal, original.logProbs, 1e-5);
  });
});
