/** Where reading other tools' files went wrong before: each trap by its name, and files that must be refused. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { MonosemeError } from '../errors.ts';
import { openArrays, readSafetensors, writeSafetensors } from '../formats/index.ts';
import { D_IN, D_SAE, DICTIONARIES, dictionaryPath } from '../testing/dictionary-fixtures.ts';
import { transposed } from './exchange.ts';
import { loadDictionary, weightsFile } from './load.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monoseme-foreign-'));
});
after(async () => {
  await rm(folder, { recursive: true });
});

const loaded = (name: string) => loadDictionary(dictionaryPath(name));

async function tensorsOf(name: string, file: string) {
  const arrays = await openArrays(join(dictionaryPath(name), file));
  const all = Object.fromEntries(
    await Promise.all(
      arrays.names().map(async (key) => [key, await arrays.floats(key).catch(() => undefined)]),
    ),
  ) as Record<string, Float32Array>;
  await arrays.close();
  return all;
}

/** Every tensor of a safetensors file, to change and write again. */
async function writable(path: string) {
  const tensors: Record<string, { dtype: 'F32'; shape: number[]; data: Float32Array }> = {};
  const file = await readSafetensors(path);
  for (const name of file.names())
    tensors[name] = { dtype: 'F32', shape: file.info(name).shape, data: await file.floats(name) };
  await file.close();
  return tensors;
}

/** A copy of a fixture with a change to its configuration. */
async function copyOf(
  name: string,
  config: string,
  change: (json: Record<string, never>) => object,
): Promise<string> {
  const out = await mkdtemp(join(folder, 'copy-'));
  await cp(dictionaryPath(name), out, { recursive: true });
  const path = join(out, config);
  const json = JSON.parse(await readFile(path, 'utf8')) as Record<string, never>;
  await writeFile(path, JSON.stringify({ ...json, ...change(json) }));
  return out;
}

/** A change to the settings of the training. */
const trainer = (changes: object) => (json: Record<string, never>) => ({
  trainer: Object.assign({}, json['trainer'], changes),
});

describe('known traps', () => {
  test('strides: dictionary_learning stores its encoder transposed; raw order would be a scrambled matrix', async () => {
    const { weights } = await loaded('dictionary-learning-topk');
    const bytes = await readFile(join(dictionaryPath('dictionary-learning-topk'), 'ae.pt'));
    const asBytes = (values: Float32Array) =>
      Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    assert.ok(bytes.includes(asBytes(transposed(weights.W_enc, D_SAE, D_IN))));
    assert.ok(!bytes.includes(asBytes(weights.W_enc)));
  });

  test('TopK or BatchTopK: the same tensors, told apart by the configuration alone', async () => {
    const path = await copyOf(
      'dictionary-learning-batchtopk',
      'config.json',
      trainer({ dict_class: 'AutoEncoderTopK' }),
    );
    const [batch, row] = [await loaded('dictionary-learning-batchtopk'), await loadDictionary(path)];
    assert.deepEqual([batch.config.architecture, row.config.architecture], ['jumprelu', 'topk']);
    assert.deepEqual(batch.weights.threshold, new Float32Array(D_SAE).fill(Math.fround(0.7)));
    assert.equal(row.config.k, 3);
    assert.equal(row.weights.threshold, undefined);
  });

  test('centring: which classes of dictionary_learning subtract the decoder bias', async () => {
    for (const [kind, centers] of [
      ['standard', true],
      ['new', false],
      ['gated', true],
      ['topk', true],
      ['batchtopk', true],
      ['matryoshka', true],
      ['jumprelu', false],
    ])
      assert.equal((await loaded(`dictionary-learning-${kind}`)).config.applyBDecToInput, centers, `${kind}`);
  });

  test('decoder of sparsify: [dSae, dIn] as it stands, not transposed', async () => {
    const { W_dec } = await tensorsOf('sparsify', 'sae.safetensors');
    assert.deepEqual((await loaded('sparsify')).weights.W_dec, W_dec);
  });

  test('decoder.weight of old files of sparsify: that of a linear layer, [dIn, dSae]', async () => {
    const out = await copyOf('sparsify', 'cfg.json', () => ({}));
    const path = join(out, 'sae.safetensors');
    const { W_dec, ...others } = await writable(path);
    const data = transposed(W_dec.data, D_SAE, D_IN);
    await writeSafetensors(path, {
      ...others,
      'decoder.weight': { dtype: 'F32', shape: [D_IN, D_SAE], data },
    });
    assert.deepEqual((await loadDictionary(out)).weights, (await loaded('sparsify')).weights);
  });

  test('normalisation of OpenAI: TopK normalises every row, ReLU does not', async () => {
    assert.equal((await loaded('openai-topk')).config.normalization, 'layer_norm');
    assert.equal((await loaded('openai-relu')).config.normalization, undefined);
  });

  test('units of thresholds: Llama Scope gives one for raw activations, R1 the logarithm of scaled ones', async () => {
    const scale = Math.sqrt(D_IN) / 3.5;
    const [one, each] = [await loaded('llama-scope'), await loaded('llama-scope-r1')];
    assert.ok(one.weights.threshold?.every((value) => Math.abs(value - 0.5) < 1e-6));
    const { log_jumprelu_threshold } = await tensorsOf('llama-scope-r1', 'sae_weights.safetensors');
    each.weights.threshold?.forEach((value, j) =>
      assert.ok(Math.abs(value - Math.exp(log_jumprelu_threshold[j]) / scale) < 1e-6),
    );
  });

  test('folding of llamascopium: thresholds are divided by the scale like biases, and by decoder norms', async () => {
    const { weights } = await loaded('llamascopium-jumprelu');
    const file = await tensorsOf('llamascopium-jumprelu', 'sae_weights.safetensors');
    const scale = Math.sqrt(D_IN) / 3.5;
    const thresholds = file['activation_function.log_jumprelu_threshold'].map(Math.exp);
    for (let j = 0; j < D_SAE; j++) {
      const norm = Math.hypot(...weights.W_dec.subarray(j * D_IN, (j + 1) * D_IN));
      assert.ok(Math.abs((weights.threshold?.[j] ?? NaN) - thresholds[j] / norm / scale) < 1e-5);
      assert.ok(Math.abs(weights.b_enc[j] - file['b_E'][j] / scale) < 1e-6);
    }
  });

  test('skip connections: [dIn, dOut] in Gemma Scope 2, and read so', async () => {
    const { weights, config } = await loaded('gemma-scope-2-transcoder');
    assert.deepEqual(
      weights.W_skip,
      (await tensorsOf('gemma-scope-2-transcoder', 'params.safetensors'))['affine_skip_connection'],
    );
    assert.equal(config.targetHookName, 'model.layers.3.mlp.output');
    assert.equal((await loaded('gemma-scope-2')).config.targetHookName, undefined);
  });
});

describe('SAELens before version 6', () => {
  const flat = (architecture: string, more: object) => ({
    ...{
      architecture,
      metadata: undefined,
      d_in: D_IN,
      d_sae: D_SAE,
      activation_fn_str: 'relu',
      hook_point: 'a.b',
    },
    ...{ apply_b_dec_to_input: true, finetuning_scaling_factor: false, normalize_activations: null, ...more },
  });
  for (const [name, architecture, more] of [
    ['saelens-standard', 'standard', {}],
    ['saelens-gated', 'gated', { normalize_activations: false }],
    ['saelens-jumprelu', 'jumprelu', { d_sae: undefined, expansion_factor: D_SAE / D_IN }],
  ] as const)
    test(`${architecture}: the same dictionary from the flat configuration`, async () => {
      const out = await copyOf(name, 'cfg.json', () => flat(architecture, more));
      const [old, now] = [await loadDictionary(out), await loaded(name)];
      assert.deepEqual(old.weights, now.weights);
      assert.deepEqual([old.config.architecture, old.config.hookName], [architecture, 'a.b']);
    });

  test('what a flat configuration says of model, hook, head and text is kept, and what is null is not', async () => {
    const said = {
      hook_point_head_index: 3,
      neuronpedia_id: 'a/0',
      prepend_bos: false,
      model_class_name: null,
    };
    const out = await copyOf('saelens-standard', 'cfg.json', () => flat('standard', said));
    const { metadata } = (await loadDictionary(out)).config;
    assert.deepEqual(metadata, {
      ...{ hook_name: 'a.b', hook_head_index: 3, neuronpedia_id: 'a/0', prepend_bos: false },
    });
  });

  test('a factor on inputs that is not there is asked for', async () => {
    const out = await copyOf('saelens-standard', 'cfg.json', () =>
      flat('standard', { normalize_activations: true }),
    );
    await assert.rejects(loadDictionary(out), {
      code: 'ERR_FORMAT',
      message: /activation_scaler\.json is missing/,
    });
    await writeFile(join(out, 'activation_scaler.json'), '{"scaling_factor":null}');
    await assert.rejects(loadDictionary(out), {
      code: 'ERR_FORMAT',
      message: /activation_scaler\.json is null/,
    });
  });
});

describe('bad files', () => {
  const refuse = async (path: string, says: RegExp, code = 'ERR_FORMAT') =>
    assert.rejects(loadDictionary(path), (error: MonosemeError) => {
      assert.equal(error.code, code, error.message);
      assert.match(error.message, says);
      return true;
    });

  for (const [name, config, changes, says] of [
    [
      'dictionary-learning-topk',
      'config.json',
      trainer({ dict_class: 'IdentityDict' }),
      /dict_class is "IdentityDict"/,
    ],
    ['dictionary-learning-topk', 'config.json', trainer({ k: 10 }), /k is 10/],
    ['dictionary-learning-topk', 'config.json', trainer({ k: 2 }), /k is 2, but its arrays are for 3/],
    [
      'dictionary-learning-jumprelu',
      'config.json',
      trainer({ dict_size: 10 }),
      /dict_size is 10, but its arrays are for 9/,
    ],
    ['dictionary-learning-new', 'config.json', trainer({ activation_dim: 6 }), /activation_dim is 6/],
    ['llamascopium-relu', 'config.json', () => ({ d_model: 6 }), /d_model is 6, but its arrays are for 5/],
    ['gemma-scope-2', 'config.json', () => ({ architecture: 'topk' }), /architecture is "topk".*jump_relu/],
    ['llama-scope', 'hyperparams.json', () => ({ d_sae: 10 }), /d_sae is 10, but its arrays are for 9/],
    ['sparsify', 'cfg.json', () => ({ d_in: 6 }), /d_in is 6, but its arrays are for 5/],
    ['sparsify', 'cfg.json', () => ({ num_latents: '9' }), /num_latents is "9", but its arrays are for 9/],
    [
      'dictionary-learning-topk',
      'config.json',
      trainer({ dict_class: 'BatchTopKSAE' }),
      /"threshold".* -1.*never set/,
    ],
    ['dictionary-learning-topk', 'config.json', trainer({ dict_class: 'AutoEncoder' }), /no tensor "bias"/],
    ['llamascopium-topk', 'config.json', () => ({ act_fn: 'batchtopk' }), /act_fn batchtopk/],
    ['llamascopium-topk', 'config.json', () => ({ top_k: 0 }), /top_k is 0/],
    [
      'llamascopium-relu',
      'config.json',
      () => ({ norm_activation: 'token-wise' }),
      /norm_activation "token-wise"/,
    ],
    ['llamascopium-relu', 'config.json', () => ({ sae_type: 'crosscoder' }), /sae_type "crosscoder"/],
    ['llamascopium-relu', 'config.json', () => ({ use_glu_encoder: true }), /use_glu_encoder/],
    ['llamascopium-relu', 'config.json', () => ({ use_decoder_bias: 'no' }), /use_decoder_bias is "no"/],
    [
      'llamascopium-topk',
      'config.json',
      () => ({ sparsity_include_decoder_norm: 0 }),
      /sparsity_include_decoder_norm is 0/,
    ],
    [
      'llamascopium-relu',
      'config.json',
      () => ({ act_fn: 'jumprelu' }),
      /no tensor "activation_function\.log_jump/,
    ],
    ['llama-scope', 'hyperparams.json', () => ({ jump_relu_threshold: 'x' }), /jump_relu_threshold is "x"/],
    [
      'llama-scope',
      'hyperparams.json',
      () => ({ dataset_average_activation_norm: { in: 0 } }),
      /average length.* 0/,
    ],
    ['sparsify', 'cfg.json', () => ({ k: D_SAE + 1 }), /k is 10/],
  ] as const)
    test(`${name} with another ${config}: ${says.source}`, async () => {
      await refuse(await copyOf(name, config, changes), says);
    });

  test('a matrix of the other orientation is refused with its name and both shapes', async () => {
    const out = await copyOf('dictionary-learning-topk', 'config.json', () => ({}));
    const tensors = await tensorsOf('dictionary-learning-topk', 'ae.pt');
    await rm(join(out, 'ae.pt'));
    const entry = (name: string, shape: number[]) => ({
      [name]: { dtype: 'F32' as const, shape, data: tensors[name] },
    });
    await writeSafetensors(join(out, 'ae.safetensors'), {
      ...entry('encoder.weight', [D_SAE, D_IN]),
      ...entry('encoder.bias', [D_SAE]),
      ...entry('b_dec', [D_IN]),
      ...entry('decoder.weight', [D_SAE, D_IN]),
    });
    await refuse(out, /"decoder\.weight".*\[9,5\], expected \[5,9\]/);
  });

  test('a NaN in any tensor is refused with the names of tensor and file, as they are there', async () => {
    let nRefused = 0;
    for (const name of DICTIONARIES) {
      const out = await mkdtemp(join(folder, 'nan-'));
      await cp(dictionaryPath(name), out, { recursive: true });
      const path = await weightsFile(out);
      if (!path.endsWith('.safetensors')) continue;
      const tensors = await writable(path);
      for (const [tensor, { data }] of Object.entries(tensors)) {
        if (tensor.startsWith('dataset_average_activation_norm')) continue; // a setting: ERR_FORMAT
        const at = data.length - 1;
        const before = data[at];
        data[at] = NaN;
        await writeSafetensors(path, tensors);
        await refuse(
          out,
          new RegExp(`^"${tensor}" of ${path} holds NaN at element ${at}\\.`),
          'ERR_NOT_FINITE',
        );
        data[at] = before;
        nRefused += 1;
      }
    }
    assert.ok(nRefused > 80, `${nRefused}`);
  });

  test('an infinity that only folding makes is refused with the name of the file', async () => {
    const out = await copyOf('llamascopium-jumprelu', 'config.json', () => ({}));
    const path = await weightsFile(out);
    const tensors = await writable(path);
    tensors['activation_function.log_jumprelu_threshold'].data[4] = 89;
    await writeSafetensors(path, tensors);
    await refuse(out, new RegExp(`^threshold of ${path} holds Infinity at element 4\\.`), 'ERR_NOT_FINITE');
  });

  test('a NaN in a .pt is refused with the names of tensor and file', async () => {
    const out = await copyOf('dictionary-learning-topk', 'config.json', () => ({}));
    const { weights } = await loadDictionary(out);
    const bytes = await readFile(join(out, 'ae.pt'));
    const first = Buffer.from(weights.b_enc.buffer, weights.b_enc.byteOffset, 4 * D_SAE);
    bytes.writeFloatLE(NaN, bytes.indexOf(first));
    await writeFile(join(out, 'ae.pt'), bytes);
    await refuse(out, /^"encoder\.bias" of .*ae\.pt holds NaN at element 0/, 'ERR_NOT_FINITE');
  });

  test('decoders over several layers are refused by their shape', async () => {
    const out = await copyOf('gemma-scope-2', 'config.json', () => ({}));
    const path = join(out, 'params.safetensors');
    const tensors = await writable(path);
    tensors['w_dec'].shape = [D_SAE, 1, D_IN];
    await writeSafetensors(path, tensors);
    await refuse(out, /"w_dec".*\[9,1,5\], not that of a matrix/);
  });

  test('a configuration of megabytes is not read', async () => {
    const copy = await mkdtemp(join(folder, 'large-'));
    await cp(dictionaryPath('openai-relu'), copy, { recursive: true });
    await writeFile(join(copy, 'config.json'), `{"a":"${'x'.repeat(2 ** 20)}"}`);
    await refuse(copy, /config\.json has 1048\d+ bytes/, 'ERR_LIMIT');
  });
});
