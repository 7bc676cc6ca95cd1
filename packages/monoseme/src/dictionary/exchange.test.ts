/**
 * Dictionaries written by the Python packages are read to their own numbers, and what is written back gives them
 * again. (`npm run test:peers` reads what is written with the packages themselves.)
 */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { MonosemeError } from '../errors.ts';
import { readSafetensors, writeNpz, writeSafetensors } from '../formats/index.ts';
import { selectBackend } from '../kernels/index.ts';
import {
  D_IN,
  D_SAE,
  dense,
  DICTIONARIES,
  dictionaryPath,
  expectClose,
  golden,
  ROWS,
} from '../testing/dictionary-fixtures.ts';
import { hasPlace, isFolded, WRITERS } from '../testing/dictionary-writers.ts';
import { fixture } from '../testing/fixtures.ts';
import { decode, type Dictionary, encode } from './dictionary.ts';

import { loadDictionary } from './load.ts';
import { saveDictionary } from './saelens.ts';

const backend = await selectBackend({ name: 'reference' });
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monoseme-exchange-'));
});
after(async () => {
  await rm(folder, { recursive: true });
});

/** The rows from `from` on have the golden values, . */
async function expectGolden(dictionary: Dictionary, name: string, from = 0): Promise<void> {
  const { x, acts, xhat } = await golden(name);
  const codes = await encode(dictionary, backend, x, ROWS);
  expectClose(dense(codes).subarray(from * D_SAE), acts.subarray(from * D_SAE), `${name} acts`);
  const reconstructed = await decode(dictionary, backend, codes, x);
  const width = xhat.length / ROWS;
  expectClose(reconstructed.subarray(from * width), xhat.subarray(from * width), `${name} xhat`);
}

describe('golden values of the packages', () => {
  for (const name of DICTIONARIES) {
    test(`${name}: read from its folder`, async () => {
      await expectGolden(await loadDictionary(dictionaryPath(name)), name);
    });

    for (const [format, save] of Object.entries(WRITERS)) {
      test(`${name}: written as ${format} and read again, or refused`, async () => {
        const dictionary = await loadDictionary(dictionaryPath(name));
        const out = join(folder, format, name);
        if (!hasPlace(format, dictionary))
          return assert.rejects(save(out, dictionary), { code: 'ERR_OPTION' });
        await save(out, dictionary);
        // Folding rounds differently, so row 0, whose pre-activations stand on the thresholds, may fall either way.
        await expectGolden(await loadDictionary(out), name, isFolded(format, dictionary) ? 1 : 0);
      });
    }
  }

  test('there are fixtures of every format and kind', () => {
    assert.ok(DICTIONARIES.length >= 41, `${DICTIONARIES.length}`);
  });
});

/** A copy of a fixture with its cfg.json changed. */
async function changed(name: string, changes: object): Promise<string> {
  const out = await mkdtemp(join(tmpdir(), 'monoseme-bad-'));
  await cp(fixture('dictionaries', name), out, { recursive: true });
  const config = JSON.parse(await readFile(join(out, 'cfg.json'), 'utf8')) as object;
  await writeFile(join(out, 'cfg.json'), JSON.stringify({ ...config, ...changes }));
  return out;
}

describe('known traps', () => {
  test("constant_norm_rescale: rows at length √dIn, the reconstruction at the row's own again", async () => {
    for (const name of ['saelens-standard', 'saelens-topk', 'saelens-jumprelu']) {
      const plain = await loadDictionary(dictionaryPath(name));
      const rescaling = await loadDictionary(
        await changed(name, { normalize_activations: 'constant_norm_rescale' }),
      );
      const x = (await golden(name)).x.map((value, i) => (Math.floor(i / D_IN) + 1) * value);
      x.fill(0, 3 * D_IN, 4 * D_IN);
      const factors = Float64Array.from({ length: ROWS }, (_, row) => {
        const length = Math.hypot(...x.subarray(row * D_IN, (row + 1) * D_IN));
        return length > 0 ? Math.sqrt(D_IN) / length : 0;
      });
      const scaled = x.map((value, i) => value * factors[Math.floor(i / D_IN)]);
      const expected = await encode(plain, backend, scaled, ROWS);
      const codes = await encode(rescaling, backend, x, ROWS);
      expectClose(dense(codes), dense(expected), `${name} acts`);
      const z = await decode(plain, backend, expected);
      const found = await decode(rescaling, backend, codes, x);
      const brought = z.map((value, i) => {
        const factor = factors[Math.floor(i / D_IN)];
        return factor > 0 ? value / factor : 0;
      });
      expectClose(found, brought, `${name} xhat`);
      // What is written says so again.
      const out = join(folder, `rescaling-${name}`);
      await saveDictionary(out, rescaling);
      assert.equal((await loadDictionary(out)).config.normalization, 'constant_norm_rescale');
    }
  });

  test('stateful normalisation: what is decoded has the moments of its own rows, whatever was encoded since', async () => {
    for (const name of ['saelens-layer-norm', 'saelens-constant-norm']) {
      const dictionary = await loadDictionary(dictionaryPath(name));
      const { x, xhat } = await golden(name);
      const codes = await encode(dictionary, backend, x, ROWS);
      await encode(
        dictionary,
        backend,
        x.map((value) => 3 * value + 1),
        ROWS,
      );
      expectClose(await decode(dictionary, backend, codes, x), xhat, name);
    }
  });

  test('orientation: a square dictionary is told right by its numbers, where shapes cannot tell', async () => {
    const n = 4;
    const W_enc = Float32Array.from({ length: n * n }, (_, i) => i + 1);
    const weights = {
      W_enc,
      W_dec: W_enc.slice().reverse(),
      b_enc: new Float32Array(n),
      b_dec: new Float32Array(n),
    };
    const config = {
      architecture: 'standard' as const,
      dIn: n,
      dSae: n,
      hookName: '',
      modelName: '',
      contextSize: undefined,
      applyBDecToInput: true,
      metadata: {},
    };
    const out = join(folder, 'square');
    await saveDictionary(out, { config, weights });
    const file = await readSafetensors(join(out, 'sae_weights.safetensors'));
    // In the file W_enc is [dIn, dSae]: latent 1 of the row-major memory form is its column 1.
    const stored = await file.floats('W_enc', [n, n]);
    await file.close();
    assert.deepEqual([...stored.filter((_, i) => i % n === 1)], [5, 6, 7, 8]);
    assert.deepEqual((await loadDictionary(out)).weights.W_enc, W_enc);
    await rm(out, { recursive: true });
  });

  test('threshold strictness: a pre-activation equal to its threshold does not fire', async () => {
    const dictionary = await loadDictionary(fixture('dictionaries', 'saelens-jumprelu'));
    const { x, acts } = await golden('saelens-jumprelu');
    // Row 0 of x is b_dec, so its pre-activations are b_enc, and thresholds are |b_enc|.
    const { b_enc, threshold } = dictionary.weights;
    assert.ok(b_enc.some((value, j) => value > 0 && value === threshold?.[j]));
    assert.ok(acts.subarray(0, D_SAE).every((value) => value === 0));
    const codes = await encode(dictionary, backend, x, ROWS);
    assert.equal(codes.rowPointers[1], 0);
  });

  test('folding: a scalar BatchTopK threshold is in rescaled units and no decoder norm touches it', async () => {
    const { weights } = await loadDictionary(fixture('dictionaries', 'saelens-batchtopk'));
    assert.ok(weights.threshold?.every((value) => value === Math.fround(0.7)));
    for (let j = 0; j < D_SAE; j++)
      assert.ok(Math.abs(Math.hypot(...weights.W_dec.subarray(j * D_IN, (j + 1) * D_IN)) - 1) < 1e-6);
  });

  test('ReLU and top-k: kept values are positive, and a row may keep fewer than k', async () => {
    const dictionary = await loadDictionary(fixture('dictionaries', 'saelens-topk'));
    const { x } = await golden('saelens-topk');
    const { rowPointers, values } = await encode(dictionary, backend, x, ROWS);
    assert.ok(values.every((value) => value > 0));
    const counts = Array.from({ length: ROWS }, (_, row) => rowPointers[row + 1] - rowPointers[row]);
    assert.ok(Math.max(...counts) === 3 && Math.min(...counts) < 3, `${counts}`);
  });

  test('format: told from the tensors, not from the name of the file', async () => {
    const out = join(folder, 'misnamed');
    await cp(fixture('dictionaries', 'sparsify'), out, { recursive: true });
    await rename(join(out, 'sae.safetensors'), join(out, 'sae_weights.safetensors'));
    const { config } = await loadDictionary(out);
    assert.equal(config.architecture, 'topk');
    await rm(out, { recursive: true });
  });
});

describe('bad files', () => {
  const refuse = async (path: string, code: string, says: RegExp) =>
    assert.rejects(loadDictionary(path), (error: MonosemeError) => {
      assert.equal(error.code, code, error.message);
      assert.match(error.message, says);
      assert.ok(!error.message.includes('\n'));
      return true;
    });

  for (const [name, changes, says] of [
    ['saelens-standard', { architecture: 'temporal' }, /architecture is "temporal".*attention/],
    ['saelens-topk', { architecture: 'abstopk' }, /architecture is "abstopk".*negative/],
    ['saelens-matching-pursuit', { residual_threshold: -1 }, /residual_threshold is -1/],
    ['saelens-matching-pursuit', { max_iterations: 0 }, /max_iterations is 0/],
    ['saelens-standard', { d_sae: 10 }, /"W_dec".*\[9,5\].*\[10,5\]/],
    ['saelens-standard', { architecture: [] }, /architecture is \[\]/],
    ['saelens-standard', { architecture: 'toString' }, /architecture is "toString"\. This version reads/],
    [
      'saelens-matching-pursuit',
      { architecture: 'matching_pursuit_transcoder', apply_b_dec_to_input: false, d_out: 4 },
      /architecture is "matching_pursuit_transcoder"/,
    ],
    ['saelens-standard', { architecture: 'gated\n\u001b[31m' }, /architecture is "gated \[31m"/],
    ['saelens-standard', { metadata: 'none' }, /metadata: it is not a JSON object/],
    [
      'saelens-standard',
      { normalize_activations: 'covariance_whitening' },
      /normalize_activations is "covariance_whitening".*fold_activation_whitening/,
    ],
    [
      'saelens-standard',
      { normalize_activations: 'constant_scalar_rescale' },
      /normalize_activations is "constant_scalar_rescale".*temporal/,
    ],
    ['saelens-standard', { normalize_activations: 'tanh' }, /normalize_activations is "tanh"/],
    [
      'saelens-transcoder-skip',
      { normalize_activations: 'layer_norm' },
      /"skip_transcoder", but normalize_activations is "layer_norm"/,
    ],
    [
      'saelens-transcoder',
      { normalize_activations: 'constant_norm_rescale' },
      /"transcoder", but normalize_activations is "constant_norm_rescale"/,
    ],
    ['saelens-standard', { architecture: 'transcoder', d_out: 5 }, /transcoder.*apply_b_dec_to_input/],
    ['saelens-standard', { apply_b_dec_to_input: 'false' }, /apply_b_dec_to_input is "false".*true or false/],
    ['saelens-topk-rescaled', { rescale_acts_by_decoder_norm: 1 }, /rescale_acts_by_decoder_norm is 1/],
    ['saelens-matching-pursuit', { stop_on_duplicate_support: 0 }, /stop_on_duplicate_support is 0/],
    ['sparsify-transcoder', { transcode: 'yes' }, /transcode is "yes"/],
    ['sparsify-transcoder', { skip_connection: [] }, /skip_connection is \[\]/],
    ['saelens-topk', { k: 10 }, /k is 10/],
    ['saelens-topk', { k: 0 }, /k is 0/],
    ['saelens-v3-topk', { activation_fn_str: 'tanh-relu' }, /activation_fn/],
    ['sparsify', { skip_connection: true }, /no tensor "W_skip"/],
    ['sparsify', { signed: true }, /signed is true/],
    ['sparsify', { activation: 'groupmax' }, /groupmax/],
  ] as const) {
    test(`${name} with ${JSON.stringify(changes)} is refused`, async () => {
      const path = await changed(name, changes);
      await refuse(path, 'ERR_FORMAT', says);
      await rm(path, { recursive: true });
    });
  }

  test('NaN weights are refused with the names of the tensor and the file', async () => {
    const out = join(folder, 'nan');
    await mkdir(out);
    const path = join(out, 'params.npz');
    const data = (n: number) => new Float32Array(n);
    await writeNpz(path, {
      W_enc: { shape: [2, 3], data: data(6) },
      W_dec: { shape: [3, 2], data: data(6) },
      b_enc: { shape: [3], data: Float32Array.of(0, NaN, 0) },
      b_dec: { shape: [2], data: data(2) },
      threshold: { shape: [3], data: data(3) },
    });
    await refuse(path, 'ERR_NOT_FINITE', /^"b_enc" of .*params\.npz holds NaN at element 1\./);
    await rm(out, { recursive: true });
  });

  test('a file that cannot be read beside a dictionary is no matter; alone it is the error', async () => {
    const out = join(folder, 'beside');
    await cp(fixture('dictionaries', 'saelens-topk'), out, { recursive: true });
    await writeFile(join(out, 'activations.pt'), Buffer.of(0x80, 2, 1, 0));
    await expectGolden(await loadDictionary(out), 'saelens-topk');
    await rm(join(out, 'sae_weights.safetensors'));
    await refuse(out, 'ERR_FORMAT', /activations\.pt is a bare pickle/);
    await rm(out, { recursive: true });
  });

  test('a folder with several dictionaries asks for one, instead of taking the first', async () => {
    const out = join(folder, 'layers');
    await cp(fixture('dictionaries', 'openai-relu'), out, { recursive: true });
    await cp(join(out, '3.pt'), join(out, '11.pt'));
    await refuse(out, 'ERR_FORMAT', /holds 2 dictionaries: 11\.pt, 3\.pt\. Name the file/);
    await loadDictionary(join(out, '3.pt'));
    await rm(out, { recursive: true });
  });

  test('a folder without a dictionary says what it holds', async () => {
    const out = join(folder, 'other');
    await writeSafetensors(join(out, 'model.safetensors'), {
      'wte.weight': { dtype: 'F32', shape: [1], data: Float32Array.of(1) },
    });
    await refuse(out, 'ERR_FORMAT', /wte\.weight/);
    await rm(out, { recursive: true });
    await refuse(join(folder, 'missing'), 'ERR_NOT_FOUND', /does not exist/);
    const above = /holds no weights .*, but folders: transcoder\./;
    await refuse(fixture('dictionaries', 'gemma-scope-2-transcoder'), 'ERR_NOT_FOUND', above);
  });

  test('no byte of an npz, changed or cut off, does more than a typed error', async () => {
    const bytes = await readFile(fixture('dictionaries', 'gemma-scope-deflated', 'params.npz'));
    const path = join(folder, 'fuzzed.npz');
    for (let i = 0; i < bytes.length; i += 1) {
      const copy = i % 2 === 0 ? Buffer.from(bytes) : bytes.subarray(0, i);
      if (i % 2 === 0) copy[i] ^= 0xff;
      await writeFile(path, copy);
      try {
        await loadDictionary(path);
      } catch (error) {
        assert.match(
          (error as MonosemeError).code,
          /^ERR_(FORMAT|LIMIT|NOT_FINITE)$/,
          `byte ${i}: ${String(error)}`,
        );
      }
    }
    await rm(path);
  });

  test('an npz that claims gigabytes is refused without allocating them', async () => {
    const bytes = await readFile(fixture('dictionaries', 'gemma-scope', 'params.npz'));
    const path = join(folder, 'huge.npz');
    const end = bytes.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
    const copy = Buffer.from(bytes);
    const entry = copy.readUInt32LE(end + 16);
    copy.writeUInt32LE(0xf0000000, entry + 20);
    copy.writeUInt32LE(0xf0000000, entry + 24);
    await writeFile(path, copy);
    const before = process.memoryUsage().arrayBuffers;
    await refuse(path, 'ERR_FORMAT', /overlaps/);
    assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 24);
    await rm(path);
  });
});
