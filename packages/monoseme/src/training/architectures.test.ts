/** Whole training runs of every architecture: resuming, folding of the input scale, and saving. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ActivationSource } from '../activations/index.ts';
import { ARCHITECTURES, architectureNamed, decode, type Dictionary } from '../dictionary/index.ts';
import { encode, loadDictionary, outputWidth } from '../dictionary/index.ts';
import { type KernelBackend, selectBackend } from '../kernels/index.ts';
import { plantedSource, TINY } from '../testing/planted.ts';
import { resolveOptions } from './presets.ts';
import { trainDictionary, type TrainInput } from './train.ts';

const ROWS = { nChunks: 12, chunkRows: 256, seed: 5 };
/** Where an architecture reads two hook points, these are the first ten and the last six numbers of a row. */
const WIDTHS = [10, 6];
const SIZES = {
  dSae: 32,
  batchRows: 64,
  tokens: 64 * 30,
  bufferRows: 512,
  checkpointEvery: 7,
  logEvery: 3,
  deadAfterTokens: 256,
};

let folder: string;
let backend: KernelBackend;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monoseme-architectures-'));
  backend = await selectBackend({ name: 'reference' });
});
after(() => rm(folder, { recursive: true }));

function input(architecture: string, out: string, changes: Partial<TrainInput> = {}): TrainInput {
  const takesK = ARCHITECTURES.some(
    ({ name, settings }) => name === architecture && settings.k !== undefined,
  );
  const options = resolveOptions({ ...SIZES, architecture, ...(takesK && { k: 3 }) });
  const names = { hookName: 'planted', modelName: 'none' };
  const hooks = ['planted', 'planted too'].map((hookName) => ({ hookName, modelName: 'none' }));
  const source = sourceOf(architecture);
  return { source, backend, options, out: join(folder, out), ...names, hooks, resume: false, ...changes };
}

/** The planted rows times a factor for each hook point. */
function sourceOf(architecture: string, factors = [1, 1]): ActivationSource {
  const planted = plantedSource(ROWS, TINY);
  const isSplit = architectureNamed(architecture).rows !== undefined;
  const hash = `${planted.hash} ${factors.join(' ')}`;
  return {
    ...{ dIn: 16, contextSize: 1, nChunks: 12, description: 'planted', hash },
    ...(isSplit && { widths: WIDTHS }),
    chunkRows: () => 256,
    readChunk: async (chunk) =>
      (await planted.readChunk(chunk)).map((value, i) => value * factors[i % 16 < WIDTHS[0] ? 0 : 1]),
  };
}

/** What a dictionary reads of the first chunk of a source. */
async function inputsOf(dictionary: Dictionary, source: ActivationSource): Promise<Float32Array> {
  const rows = await source.readChunk(0);
  return dictionary.config.dIn === 16 ? rows : rows.filter((_, i) => i % 16 < WIDTHS[0]);
}

const weightsOf = (out: string) => readFile(join(folder, out, 'sae_weights.safetensors'));

/** Reconstructions of rows. */
async function reconstruction(dictionary: Dictionary, x: Float32Array): Promise<Float32Array> {
  return decode(dictionary, backend, await encode(dictionary, backend, x, 256), x);
}

for (const { name } of ARCHITECTURES) {
  describe(name, () => {
    test('interrupted and resumed, a run ends with the same bytes', async () => {
      await trainDictionary(input(name, `${name}-whole`));
      const abort = new AbortController();
      const onStep = (step: number) => {
        if (step === 17) abort.abort();
      };
      const out = `${name}-stopped`;
      await assert.rejects(trainDictionary(input(name, out, { signal: abort.signal, onStep })), {
        code: 'ERR_INTERRUPTED',
      });
      const { startedAtStep } = await trainDictionary(input(name, out, { resume: true }));
      assert.equal(startedAtStep, 17);
      assert.deepEqual(await weightsOf(out), await weightsOf(`${name}-whole`));
    });

    test('what is saved is what was trained: codes after loading are those before', async () => {
      const { dictionary } = await trainDictionary(input(name, `${name}-saved`));
      const loaded = await loadDictionary(join(folder, `${name}-saved`));
      assert.deepEqual(loaded.config, { ...dictionary.config, metadata: loaded.config.metadata });
      const x = await inputsOf(loaded, sourceOf(name));
      const codes = await encode(loaded, backend, x, 256);
      assert.deepEqual(codes, await encode(dictionary, backend, x, 256));
      assert.ok(codes.values.length > 0, 'something is active');
      const decoded = await decode(loaded, backend, codes, x);
      assert.deepEqual(decoded, await decode(dictionary, backend, codes, x));
      if (dictionary.config.sources) return;
      const { W_dec } = loaded.weights;
      const width = W_dec.length / 32;
      for (let j = 0; j < 32; j++)
        assert.ok(Math.abs(Math.hypot(...W_dec.subarray(j * width, (j + 1) * width)) - 1) < 1e-5, `row ${j}`);
    });

    test('trap: the scale of the inputs is folded into the weights', async () => {
      // Larger data with normalised inputs is the same training: reconstructions are as much larger.
      const factors = architectureNamed(name).rows === undefined ? [1000, 1000] : [1000, 10];
      const large = sourceOf(name, factors);
      const { dictionary } = await trainDictionary(input(name, `${name}-one`));
      const other = await trainDictionary(input(name, `${name}-large`, { source: large }));
      const small = await reconstruction(dictionary, await inputsOf(dictionary, sourceOf(name)));
      const big = await reconstruction(other.dictionary, await inputsOf(dictionary, large));
      const width = outputWidth(dictionary);
      let difference = 0;
      let square = 0;
      small.forEach((value, i) => {
        const factor = factors[width === WIDTHS[1] || i % width >= WIDTHS[0] ? 1 : 0];
        difference += (value - big[i] / factor) ** 2;
        square += value * value;
      });
      assert.ok(square > 0.1, `${square}`);
      // Rounding differs, so a pair on the edge of its threshold may fall the other way.
      assert.ok(difference / square < 0.01, `${difference / square}`);
    });
  });
}

for (const normalize of ['none', 'expected-norm'] as const)
  test(`a crosscoder says the scale of its sources' activations, with normalize ${normalize} too`, async () => {
    const name = 'batchtopk-crosscoder';
    const source = sourceOf(name, [100, 10]);
    const options = resolveOptions({ ...SIZES, architecture: name, k: 3, normalize });
    const { dictionary } = await trainDictionary(input(name, `scale-${normalize}`, { source, options }));
    const { sources = [], dIn } = dictionary.config;
    const sums = [0, 0];
    for (let chunk = 0; chunk < source.nChunks; chunk++) {
      const rows = await source.readChunk(chunk);
      for (let at = 0; at < rows.length; at += dIn) {
        const middle = at + WIDTHS[0];
        sums[0] += Math.hypot(...rows.subarray(at, middle));
        sums[1] += Math.hypot(...rows.subarray(middle, at + dIn));
      }
    }
    for (const [part, { width, scale }] of sources.entries()) {
      const expected = (Math.sqrt(width) * source.nChunks * 256) / sums[part];
      assert.ok(Math.abs(scale / expected - 1) < 0.05, `${scale} of source ${part}, not ${expected}`);
    }
  });

test('an architecture refuses rows of another number of hook points, naming both', async () => {
  const two = { source: { ...sourceOf('standard'), widths: WIDTHS } };
  const one = { source: sourceOf('standard') };
  for (const [name, changes] of [
    ['standard', two],
    ['transcoder', one],
    ['crosscoder', one],
  ] as const)
    await assert.rejects(trainDictionary(input(name, `${name}-refused`, changes)), {
      code: 'ERR_MISMATCH',
      message: new RegExp(name),
    });
});
