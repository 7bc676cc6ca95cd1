import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { claimsOf, decode, doubtsOf, encode, loadDictionary } from '../dictionary/index.ts';
import type { MonosemeError } from '../errors.ts';
import { type KernelBackend, selectBackend } from '../kernels/index.ts';
import { ReconstructionSums } from '../evaluation/index.ts';
import { plantedSource, TINY } from '../testing/planted.ts';
import { DEFAULT_OPTIONS, type TrainOptions } from './options.ts';
import { trainDictionary, type TrainInput } from './train.ts';

const OPTIONS: TrainOptions = {
  ...DEFAULT_OPTIONS,
  dSae: 32,
  batchRows: 64,
  tokens: 64 * 40,
  l1Coefficient: 0.1,
  bufferRows: 512,
  resampleAt: [0.25, 0.5],
  resampleWindow: 0.1,
  resampleInputs: 300,
  checkpointEvery: 7,
  logEvery: 3,
};
const SOURCE = plantedSource({ nChunks: 12, chunkRows: 256, seed: 5 }, TINY);

let folder: string;
let backend: KernelBackend;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monoseme-train-'));
  backend = await selectBackend({ name: 'reference' });
});
after(() => rm(folder, { recursive: true }));

function input(out: string, changes: Partial<TrainInput> = {}): TrainInput {
  return {
    source: SOURCE,
    backend,
    options: OPTIONS,
    out: join(folder, out),
    hookName: 'planted',
    modelName: 'none',
    resume: false,
    ...changes,
  };
}

/** SHA-256 of every file below a folder, by its path. */
async function fingerprints(path: string): Promise<Record<string, string>> {
  const files = (await readdir(path, { recursive: true, withFileTypes: true })).filter((entry) =>
    entry.isFile(),
  );
  const entries = files.map(async (entry) => {
    const file = join(entry.parentPath, entry.name);
    return [
      file.slice(path.length),
      createHash('sha256')
        .update(await readFile(file))
        .digest('hex'),
    ];
  });
  return Object.fromEntries((await Promise.all(entries)).sort());
}

const rejectsWith = (code: string) => (error: MonosemeError) => {
  assert.equal(error.code, code, error.message);
  assert.ok(!error.message.includes('\n'));
  return true;
};

describe('a training run', () => {
  test('gives the same bytes for the same seed, and others for another', async () => {
    const { seconds } = await trainDictionary(input('a'));
    for (const [stage, value] of Object.entries(seconds ?? {})) assert.ok(value > 0, `${stage}: ${value}`);
    assert.equal(Object.keys(seconds ?? {}).length, 6);
    await trainDictionary(input('b'));
    await trainDictionary(input('c', { options: { ...OPTIONS, seed: 1 } }));
    const a = await fingerprints(join(folder, 'a'));
    assert.deepEqual(await fingerprints(join(folder, 'b')), a);
    const c = await fingerprints(join(folder, 'c'));
    assert.notEqual(c['/sae_weights.safetensors'], a['/sae_weights.safetensors']);
    assert.deepEqual(Object.keys(a), [
      '/cfg.json',
      '/manifest.json',
      '/sae_weights.safetensors',
      '/training/metrics.jsonl',
    ]);
  });

  for (const stopAt of [1, 10, 11, 20, 39]) {
    test(`interrupted at step ${stopAt} and resumed, it ends with the same bytes`, async () => {
      const out = `stopped-${stopAt}`;
      const options = { ...OPTIONS, moments: stopAt === 11 ? 'bf16' : 'f32' } as const;
      const abort = new AbortController();
      const interruptedRun = trainDictionary(
        input(out, {
          options,
          signal: abort.signal,
          onStep: (step) => {
            if (step === stopAt) abort.abort();
          },
        }),
      );
      await assert.rejects(interruptedRun, rejectsWith('ERR_INTERRUPTED'));
      const files = await readdir(join(folder, out));
      assert.deepEqual(files, ['training'], 'nothing under a final name');
      await assert.rejects(trainDictionary(input(out, { options })), rejectsWith('ERR_EXISTS'));
      const { startedAtStep } = await trainDictionary(input(out, { options, resume: true }));
      assert.equal(startedAtStep, stopAt);
      await trainDictionary(input('whole', { options, replace: true }));
      assert.deepEqual(await fingerprints(join(folder, out)), await fingerprints(join(folder, 'whole')));
    });
  }

  test('a finished dictionary says its L0 and explained variance, as it is used', async () => {
    const options = { ...OPTIONS, emaDecay: 0.9 };
    await trainDictionary(input('figures', { options }));
    const path = join(folder, 'figures');
    const dictionary = await loadDictionary(path);
    // The source has fewer rows than the sample.
    const sums = new ReconstructionSums(dictionary.config.dIn, dictionary.config.dSae);
    for (let chunk = 0; chunk < SOURCE.nChunks; chunk++) {
      const x = await SOURCE.readChunk(chunk);
      const codes = await encode(dictionary, backend, x, 256);
      sums.add(x, await decode(dictionary, backend, codes, x), codes);
    }
    const claims = await claimsOf(path, dictionary);
    const figures = sums.figures();
    assert.ok(figures.explainedVariance > 0.2, `${figures.explainedVariance}`);
    assert.equal(claims.l0, figures.l0);
    assert.ok(Math.abs((claims.explainedVariance ?? NaN) - figures.explainedVariance) < 1e-6);
    assert.deepEqual(doubtsOf(dictionary, claims, figures), []);
    const fallen = { ...figures, explainedVariance: figures.explainedVariance - 0.2 };
    assert.match(doubtsOf(dictionary, claims, fallen).join(), /^Explained variance is .*, and its files say/);
  });

  test('a finished run is read back, and another one does not overwrite it', async () => {
    const first = await trainDictionary(input('finished'));
    const again = await trainDictionary(input('finished'));
    assert.equal(again.startedAtStep, again.nSteps);
    assert.deepEqual(again.last, first.last);
    const changed = { options: { ...OPTIONS, l1Coefficient: 0.2 } };
    await assert.rejects(trainDictionary(input('finished', changed)), {
      code: 'ERR_EXISTS',
      message: /: l1Coefficient was 0.1 and is 0.2\./,
    });
    const spelt = (name: string) => `-${name}`;
    await assert.rejects(trainDictionary(input('finished', { ...changed, spelt })), {
      message: /: -l1Coefficient was 0.1 and is 0.2\./,
    });
    const replaced = await trainDictionary(input('finished', { ...changed, replace: true }));
    assert.equal(replaced.startedAtStep, 0);
    const abort = new AbortController();
    const onStep = () => abort.abort();
    const stopped = trainDictionary(input('finished', { replace: true, signal: abort.signal, onStep }));
    await assert.rejects(stopped, rejectsWith('ERR_INTERRUPTED'));
    // The dictionary of before is not taken for that of the run.
    await assert.rejects(loadDictionary(join(folder, 'finished')), {
      message: /has not ended.*training.checkpoint/,
    });
    await loadDictionary(join(folder, 'finished/training/checkpoint'));
  });

  test('a checkpoint of other options is refused', async () => {
    const abort = new AbortController();
    abort.abort();
    const stopped = trainDictionary(input('other', { signal: abort.signal }));
    await assert.rejects(stopped, rejectsWith('ERR_INTERRUPTED'));
    const onStep = (step: number) => {
      if (step === 2) abort2.abort();
    };
    const abort2 = new AbortController();
    await assert.rejects(trainDictionary(input('other', { signal: abort2.signal, onStep })));
    const options = { ...OPTIONS, learningRate: 1e-4 };
    const spelt = (name: string) => `-${name}`;
    await assert.rejects(trainDictionary(input('other', { options, resume: true, spelt })), {
      code: 'ERR_MISMATCH',
      message: /another run: -learningRate was 0.002 and is 0.0001\./,
    });
  });

  test('what is saved encodes raw activations as training did, and survives loading', async () => {
    const { dictionary } = await trainDictionary(input('folded'));
    const loaded = await loadDictionary(join(folder, 'folded'));
    const x = await SOURCE.readChunk(0);
    const before = await encode(dictionary, backend, x, 256);
    const after = await encode(loaded, backend, x, 256);
    assert.deepEqual(after, before);
    assert.ok(before.values.length > 0);
    for (let j = 0; j < 32; j++) {
      const row = loaded.weights.W_dec.subarray(j * 16, (j + 1) * 16);
      const norm = Math.sqrt(row.reduce((square, value) => square + value * value, 0));
      assert.ok(Math.abs(norm - 1) < 1e-5, `decoder row ${j} has length ${norm}`);
    }
  });
});

describe('bad input', () => {
  for (const [name, options] of [
    ['d_sae 0', { dSae: 0 }],
    ['a fraction above 1', { l1WarmUp: 1.5 }],
    ['a negative λ', { l1Coefficient: -1 }],
    ['a learning rate that is no number', { learningRate: NaN }],
    ['resampling outside the run', { resampleAt: [1] }],
    ['fewer tokens than a batch', { tokens: 63 }],
  ] as const) {
    test(`${name} is refused before anything is made`, async () => {
      const out = `bad ${name}`;
      await assert.rejects(
        trainDictionary(input(out, { options: { ...OPTIONS, ...options } })),
        rejectsWith('ERR_OPTION'),
      );
      assert.ok(!(await readdir(folder)).includes(out));
    });
  }

  test('a dictionary too large for memory is refused before allocating', async () => {
    const options = { ...OPTIONS, dSae: 1 << 24, bufferRows: 1 << 28, tokens: 2 ** 40 };
    const huge = plantedSource({ nChunks: 4, chunkRows: 4, seed: 1 }, HUGE);
    const before = process.memoryUsage().rss;
    await assert.rejects(
      trainDictionary(input('huge', { options, source: huge })),
      rejectsWith('ERR_MEMORY'),
    );
    assert.ok(process.memoryUsage().rss - before < 2 ** 28);
  });

  test('activations that blow up end the run with a typed error', async () => {
    const options = { ...OPTIONS, learningRate: 1e30, normalize: 'none' as const };
    await assert.rejects(trainDictionary(input('diverged', { options })), rejectsWith('ERR_DIVERGED'));
  });
});

const HUGE = { ...TINY, dIn: 4096 };
