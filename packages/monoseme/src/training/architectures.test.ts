/** Whole training runs of every architecture: resuming, folding of the input scale, and saving. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ARCHITECTURES, decode, type Dictionary, encode, loadDictionary } from '../dictionary/index.ts';
import { type KernelBackend, selectBackend } from '../kernels/index.ts';
import { plantedSource, TINY } from '../testing/planted.ts';
import { ToySource, toySet } from '../toy/index.ts';
import { resolveOptions } from './presets.ts';
import { trainDictionary, type TrainInput } from './train.ts';

const ROWS = { nChunks: 12, chunkRows: 256, seed: 5 };
const SOURCE = plantedSource(ROWS, TINY);
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
  return { source: SOURCE, backend, options, out: join(folder, out), ...names, resume: false, ...changes };
}

const weightsOf = (out: string) => readFile(join(folder, out, 'sae_weights.safetensors'));

/** Reconstructions of rows. */
async function reconstruction(dictionary: Dictionary, x: Float32Array): Promise<Float32Array> {
  return decode(dictionary, backend, await encode(dictionary, backend, x, x.length / SOURCE.dIn));
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
      const x = await SOURCE.readChunk(0);
      const codes = await encode(loaded, backend, x, 256);
      assert.deepEqual(codes, await encode(dictionary, backend, x, 256));
      assert.ok(codes.values.length > 0, 'something is active');
      const { W_dec } = loaded.weights;
      for (let j = 0; j < 32; j++)
        assert.ok(Math.abs(Math.hypot(...W_dec.subarray(j * 16, (j + 1) * 16)) - 1) < 1e-5, `row ${j}`);
    });

    test('trap: the scale of the inputs is folded into biases and thresholds', async () => {
      // A thousand times the data with normalised inputs is the same training: reconstructions a thousand times.
      const large = new Scaled(1000);
      const { dictionary } = await trainDictionary(input(name, `${name}-one`));
      const other = await trainDictionary(input(name, `${name}-thousand`, { source: large }));
      const x = await SOURCE.readChunk(0);
      const small = await reconstruction(dictionary, x);
      const big = await reconstruction(
        other.dictionary,
        x.map((value) => value * 1000),
      );
      let difference = 0;
      let square = 0;
      small.forEach((value, i) => {
        difference += (value - big[i] / 1000) ** 2;
        square += value * value;
      });
      assert.ok(square > 0.1, `${square}`);
      // Rounding differs, so a pair on the edge of its threshold may fall the other way.
      assert.ok(difference / square < 0.01, `${difference / square}`);
    });
  });
}

/** The planted rows times a factor. */
class Scaled extends ToySource {
  readonly #factor: number;

  constructor(factor: number) {
    super({ ...toySet('planted'), ...TINY, ...ROWS });
    this.#factor = factor;
  }

  override async readChunk(index: number): Promise<Float32Array> {
    return (await super.readChunk(index)).map((value) => value * this.#factor);
  }
}
