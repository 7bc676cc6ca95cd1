/**
 * Train a dictionary on vectors of your own: any object with the few members of `ActivationSource` will do.
 * Here the vectors are sums of a few of 48 hidden directions, and the dictionary has to find those again.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { selectBackend } from 'monoseme/kernels';
import { hashSeed, Random } from 'monoseme/random';
import { DEFAULT_OPTIONS, trainDictionary } from 'monoseme/training';

const dIn = 32;
const nDirections = 48;
const chunkRows = 4096;

const random = new Random(1);
const directions = Array.from({ length: nDirections }, () => {
  const direction = Float32Array.from({ length: dIn }, () => random.normal());
  return direction.map((value) => value / Math.hypot(...direction));
});

/** @type {import('monoseme/activations').ActivationSource} */
const source = {
  dIn,
  contextSize: 1,
  nChunks: 128,
  description: `${nDirections} hidden directions`,
  hash: 'own-activations-1',
  chunkRows: () => chunkRows,
  async readChunk(chunk) {
    const draw = new Random(hashSeed(1, 'chunk', chunk));
    const rows = new Float32Array(chunkRows * dIn);
    for (let row = 0; row < chunkRows; row++) {
      for (let active = 0; active < 2; active++) {
        const direction = directions[draw.integer(nDirections)];
        const amplitude = draw.uniform();
        for (let i = 0; i < dIn; i++) rows[row * dIn + i] += amplitude * direction[i];
      }
    }
    return rows;
  },
};

const out = await mkdtemp(join(tmpdir(), 'own-activations-'));
const { dictionary, last } = await trainDictionary({
  source,
  backend: await selectBackend(),
  options: {
    ...DEFAULT_OPTIONS,
    dSae: 96,
    tokens: 128 * chunkRows,
    batchRows: 512,
    learningRate: 5e-3,
    l1Coefficient: 2,
  },
  out,
  hookName: 'none',
  modelName: 'none',
  resume: false,
});
await rm(out, { recursive: true });

const { W_dec } = dictionary.weights;
const best = directions.map((direction) => {
  let largest = 0;
  for (let latent = 0; latent < 96; latent++) {
    let cosine = 0;
    for (let i = 0; i < dIn; i++) cosine += direction[i] * W_dec[latent * dIn + i];
    largest = Math.max(largest, cosine);
  }
  return largest;
});
const found = best.filter((cosine) => cosine > 0.9).length;
console.log(`L0 ${last.l0.toFixed(2)}, explained variance ${last.explainedVariance.toFixed(3)}`);
console.log(`${found} of ${nDirections} directions found (cosine above 0.9)`);
