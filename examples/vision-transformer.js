/**
 * A model that reads images: harvest a vision transformer's activations patch by patch, train a dictionary on them, and
 * see where in which images its latents fire. The model is a tiny one with random weights; put your own in its place:
 *
 *     node examples/vision-transformer.js model.onnx images.safetensors
 *
 * where the file holds an array of the model's input, [images, channels, height, width], scaled as the model wants it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ActivationStore, arraySource, coordinatesOf } from 'monoseme/activations';
import { encode } from 'monoseme/dictionary';
import { writeSafetensors } from 'monoseme/formats';
import { selectBackend } from 'monoseme/kernels';
import { ArrayRunner, InputArrays, OnnxModel } from 'monoseme/model';
import { Random } from 'monoseme/random';
import { DEFAULT_OPTIONS, trainDictionary } from 'monoseme/training';

const out = await mkdtemp(join(tmpdir(), 'vision-transformer-'));
const [path = 'fixtures/arrays/vision-dynamo.onnx', images = await madeImages()] = process.argv.slice(2);

const [input] = (await OnnxModel.open(path)).inputs;
const inputs = await InputArrays.open({ [input.name]: images });
const model = await OnnxModel.open(path, { inputs: inputs.given });
const hook = 'blocks.1.hook_resid_post';
const runner = await ArrayRunner.start(model, { hook, sampleAxes: ['batch', 'patch'], featureAxis: -1 });
const store = await ActivationStore.writeFrom(join(out, 'store'), arraySource(runner, inputs), {
  dtype: 'F32',
});
console.log(store.description);

const backend = await selectBackend();
const { dictionary, last } = await trainDictionary({
  source: store,
  backend,
  options: {
    ...DEFAULT_OPTIONS,
    dSae: 2 * store.dIn,
    tokens: 40 * store.nRows,
    batchRows: 256,
    learningRate: 3e-3,
  },
  ...{ out: join(out, 'dictionary'), hookName: hook, modelName: path, resume: false },
});
console.log(`L0 ${last.l0.toFixed(1)}, explained variance ${last.explainedVariance.toFixed(3)}`);

/** The row at which each latent is largest. */
const strongest = new Map();
for (let chunk = 0; chunk < store.nChunks; chunk++) {
  const { activations, origins } = await store.readRows(chunk);
  const { rowPointers, latentIndices, values } = await encode(
    dictionary,
    backend,
    activations,
    store.chunkRows(chunk),
  );
  for (let row = 0; row < store.chunkRows(chunk); row++) {
    for (let pair = rowPointers[row]; pair < rowPointers[row + 1]; pair++) {
      const place = { image: origins.documents[row], ...coordinatesOf(origins.positions[row], store.axes) };
      const found = { value: values[pair], place };
      if (!(strongest.get(latentIndices[pair])?.value >= found.value))
        strongest.set(latentIndices[pair], found);
    }
  }
}
// Patch 0 is the token of the class, the others are patches of the image row by row.
for (const [latent, { value, place }] of [...strongest].sort(([a], [b]) => a - b).slice(0, 8))
  console.log(`latent ${latent}: ${value.toFixed(2)} in image ${place.image}, patch ${place.patch}`);

await inputs.close();
await runner.close();
await rm(out, { recursive: true });

/** 400 images of 8 × 8 with stripes, upright or lying, of some colour. */
async function madeImages() {
  const random = new Random(1);
  const data = new Float32Array(400 * 3 * 64);
  for (let image = 0; image < 400; image++) {
    const [colour, upright, phase] = [random.integer(3), random.integer(2), random.integer(4)];
    for (let i = 0; i < 64; i++) {
      const along = upright ? i % 8 : Math.floor(i / 8);
      data[(image * 3 + colour) * 64 + i] = Math.floor((along + phase) / 2) % 2 === 0 ? 1 : -1;
    }
  }
  const file = join(out, 'images.safetensors');
  await writeSafetensors(file, { pixel_values: { dtype: 'F32', shape: [400, 3, 8, 8], data } });
  return file;
}
