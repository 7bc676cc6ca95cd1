/** `monoseme convert`, `--check` and dictionaries of the hub, as a user meets them. */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Dictionary, loadDictionary, saveDictionary } from '../dictionary/index.ts';
import { Random } from '../random/index.ts';
import { ended, startMonoseme } from '../testing/command-line.ts';
import { dictionaryPath } from '../testing/dictionary-fixtures.ts';
import { HubServer } from '../testing/hub-server.ts';

const HOOK = 'blocks.0.mlp.hook_post';

let folder: string;
let server: HubServer;
let environment: NodeJS.ProcessEnv;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monoseme-convert-'));
  const bytes = (name: string, file: string) => readFile(join(dictionaryPath(name), file));
  server = new HubServer({
    'layer_1/params.npz': await bytes('gemma-scope', 'params.npz'),
    'trainer_0/ae.pt': await bytes('dictionary-learning-batchtopk', 'ae.pt'),
    'trainer_0/config.json': await bytes('dictionary-learning-batchtopk', 'config.json'),
    'trainer_0/optimizer.pt': Buffer.alloc(5000),
  });
  const endpoint = await server.start();
  environment = {
    ...process.env,
    HF_ENDPOINT: endpoint,
    HF_HOME: join(folder, 'hub'),
    HF_HUB_OFFLINE: '0',
    HF_TOKEN: '',
  };
});
after(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

const monoseme = (...args: string[]) => ended(startMonoseme(args, { cwd: folder, env: environment }));

describe('convert', () => {
  test('a .pt of the hub becomes a dictionary of SAELens with the same weights', async () => {
    const { code, stdout, stderr } = await monoseme('convert', 'hf:lab/open/trainer_0', 'saelens', '--json');
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^download +hf:lab\/open\/trainer_0/m);
    const result = JSON.parse(stdout) as Record<string, unknown>;
    assert.deepEqual(
      [result['from'], result['architecture'], result['d_sae']],
      ['dictionary_learning', 'jumprelu', 9],
    );
    const expected = await loadDictionary(dictionaryPath('dictionary-learning-batchtopk'));
    assert.deepEqual((await loadDictionary(join(folder, 'saelens'))).weights, expected.weights);
    assert.ok(server.requests.every(({ path }) => !path.includes('optimizer')));
  });

  for (const [format, file] of [
    ['gemma-scope', 'params.npz'],
    ['dictionary-learning', 'ae.safetensors'],
    ['onnx', 'dictionary.onnx'],
  ])
    test(`as ${format}`, async () => {
      const out = join(folder, `as-${format}`);
      const { code, stderr } = await monoseme(
        'convert',
        dictionaryPath('saelens-gated'),
        out,
        '--format',
        format,
      );
      assert.equal(code, 0, stderr);
      assert.ok((await readdir(out)).includes(file));
    });

  test('what a format has no place for, a folder that is full, a repository that is missing', async () => {
    const topK = dictionaryPath('saelens-topk');
    const refused = await monoseme('convert', topK, 'refused', '--format', 'gemma-scope');
    assert.match(refused.stderr, /^ERR_OPTION: A topk dictionary has no thresholds/m);
    const ofLayerNorm = dictionaryPath('saelens-layer-norm');
    for (const [format, says] of [
      [
        'gemma-scope',
        'The dictionary is one that normalises every input (layer_norm), which Gemma Scope cannot say.',
      ],
      [
        'dictionary-learning',
        'one that normalises every input (layer_norm), which dictionary_learning cannot say.',
      ],
      ['sparsify', 'from one width to the same; this is one that normalises every input (layer_norm).'],
    ]) {
      const { code, stderr } = await monoseme('convert', ofLayerNorm, 'refused', '--format', format);
      assert.equal(code, 2, stderr);
      assert.ok(stderr.includes(`${says} Write it as SAELens.`), stderr);
    }
    await mkdir(join(folder, 'full'));
    await writeFile(join(folder, 'full', 'mine.txt'), 'mine');
    assert.match((await monoseme('convert', topK, 'full')).stderr, /^ERR_EXISTS: full holds mine\.txt/m);
    assert.match((await monoseme('convert', 'hf:lab/missing', 'out')).stderr, /^ERR_NOT_FOUND: /m);
  });
});

test('a second dictionary may be one of the hub too', async () => {
  const { stderr } = await monoseme('analyze', 'universality', 'hf:lab/open/trainer_0', 'hf:lab/missing/x');
  assert.match(stderr, /^download +hf:lab\/open\/trainer_0/m);
  assert.match(stderr, /^ERR_NOT_FOUND: .*lab\/missing/m);
});

test('the report of a dictionary of the hub does not go into its cache', async () => {
  const { code, stderr } = await monoseme('evaluate', 'hf:lab/open/trainer_0', '--model', 'one-layer-a');
  assert.equal(code, 2, stderr);
  assert.match(stderr, /^ERR_USAGE: The report .* --out\.$/m);
});

describe('--check', () => {
  /** Latents that reconstruct: one for each input, as it is and negated. */
  async function saveIdentity(
    changes: (weights: { W_dec: Float32Array }) => void,
    metadata = {},
  ): Promise<string> {
    const dIn = 512;
    const W_enc = new Float32Array(2 * dIn * dIn);
    for (let i = 0; i < dIn; i++) [W_enc[i * dIn + i], W_enc[(dIn + i) * dIn + i]] = [1, -1];
    const weights = {
      W_enc,
      W_dec: W_enc.slice(),
      b_enc: new Float32Array(2 * dIn),
      b_dec: new Float32Array(dIn),
    };
    changes(weights);
    const config: Dictionary['config'] = {
      ...{ architecture: 'standard', dIn, dSae: 2 * dIn, hookName: HOOK, modelName: 'one-layer-a' },
      ...{ contextSize: 64, applyBDecToInput: false, metadata },
    };
    const out = await mkdtemp(join(folder, 'identity-'));
    await saveDictionary(out, { config, weights });
    return out;
  }
  const check = async (path: string, ...options: string[]) => {
    const out = await mkdtemp(join(folder, 'checked-'));
    const { code, stdout, stderr } = await monoseme('convert', path, out, '--check', '--json', ...options);
    assert.equal(code, 0, stderr);
    const { check } = JSON.parse(stdout) as {
      check: { l0: number; explained_variance: number; doubts: string[] };
    };
    const warnings = stderr.split('\n').filter((line) => line.startsWith('warning: '));
    assert.equal(warnings.length, check.doubts.length);
    return check;
  };

  test('nothing to say of one that reconstructs, a warning where L0 or the variance is not what it should be', async () => {
    const good = await check(await saveIdentity(() => {}));
    assert.ok(good.explained_variance > 0.999, `${good.explained_variance}`);
    assert.deepEqual(good.doubts, []);

    const random = new Random(1);
    const scrambled = await check(
      await saveIdentity(({ W_dec }) => W_dec.forEach((_, i) => (W_dec[i] = random.normal()))),
    );
    assert.match(scrambled.doubts.join(), /Explained variance is -/);

    const half = await check(
      await saveIdentity(({ W_dec }) => W_dec.forEach((value, i) => (W_dec[i] = value / 2)), {
        explained_variance: 0.99,
      }),
    );
    assert.match(half.doubts.join(), /^Explained variance is \d\d\.\d %, and its files say 99\.0 %\.$/);

    const lying = await check(await saveIdentity(() => {}, { l0: 10 }));
    assert.match(lying.doubts.join(), /L0 is \d+\.\d, and its files say 10\./);
  });

  test('the sample is spread over the text, and is not its first document', async () => {
    const identity = await saveIdentity(() => {});
    await writeFile(join(folder, 'zeros.txt'), '0 '.repeat(20_000));
    await writeFile(
      join(folder, 'words.txt'),
      'A sample of words that differ from one another. '.repeat(1200),
    );
    const l0Of = async (...names: string[]) => {
      const texts = names.flatMap((name) => ['--text', join(folder, name)]);
      return (await check(identity, '--split', 'all', ...texts)).l0;
    };
    const [zeros, words] = [await l0Of('zeros.txt'), await l0Of('words.txt')].sort((a, b) => a - b);
    const both = await l0Of('zeros.txt', 'words.txt');
    assert.ok(both > zeros + 1 && both < words - 1, `${zeros} ${both} ${words}`);
  });

  test('tokens that the dictionary was trained without are not in the sample', async () => {
    const short = await check(await saveIdentity(() => {}, { left_out: { max_norm_ratio: 1.01 } }));
    const all = await check(await saveIdentity(() => {}));
    assert.ok(short.l0 < all.l0, `${short.l0} of the shorter half, ${all.l0} of all`);
  });

  test('another width than the hook has', async () => {
    await cp(dictionaryPath('saelens-standard'), join(folder, 'narrow'), { recursive: true });
    const { stderr } = await monoseme(
      'convert',
      'narrow',
      'x',
      '--check',
      '--model',
      'one-layer-a',
      '--hook',
      HOOK,
    );
    assert.match(stderr, /^ERR_MISMATCH: The dictionary reads 5 inputs/m);
  });
});
