/**
 * What all contestants get: one file of activations in one order, held-out rows, and one set of start weights.
 * Everything is made once and kept in bench/peers/data/.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { MixingBuffer, modelSource } from '../packages/monoseme/dist/activations/index.js';
import { packContexts, readSources, Tokenizer } from '../packages/monoseme/dist/corpus/index.js';
import { readSafetensors, writeSafetensors } from '../packages/monoseme/dist/formats/index.js';
import { ModelRunner, OnnxModel } from '../packages/monoseme/dist/model/index.js';
import { hashSeed, Random } from '../packages/monoseme/dist/random/index.js';
import { standard } from '../packages/monoseme/dist/dictionary/index.js';
import { rowLayout } from '../packages/monoseme/dist/training/row-layout.js';
import { trainState } from '../packages/monoseme/dist/training/parameters.js';
import { trainStep_ } from '../packages/monoseme/dist/training/step.js';
import { PEERS_FOLDER } from './peer-environments.js';
import { readActivations, stepOptions, topKBackend, writeWeights } from './peer-runners/monoseme.js';

const DATA_FOLDER = join(PEERS_FOLDER, 'data');
const MODEL = join(import.meta.dirname, '../models/one-layer-a');
const HOOK = 'blocks.0.mlp.hook_post';
export const D_IN = 512;
/** Rows on which quality is measured, after the training rows in the file. */
export const HELD_OUT_ROWS = 8192;

/**
 * Activations [nRows + HELD_OUT_ROWS, D_IN] f32 in random order, scaled to a mean length of √D_IN.
 *
 * @param kind `model`: the embedded model's MLP. `planted`: sums of few of many random directions.
 * @returns the path
 */
export async function activationsFile(kind, nRows, log) {
  const model = kind === 'model' ? await OnnxModel.open(MODEL) : undefined;
  const source = model ? `model-${model.sha256.slice(0, 8)}` : 'planted';
  const path = join(DATA_FOLDER, `activations-${source}-${nRows}.safetensors`);
  if (existsSync(path)) return path;
  mkdirSync(DATA_FOLDER, { recursive: true });
  log(`Making ${path} …`);
  const total = nRows + HELD_OUT_ROWS;
  const data = model ? await modelRows(model, total) : plantedRows(total);
  scaleToMeanLength_(data, Math.sqrt(D_IN));
  await writeSafetensors(path, { activations: { dtype: 'F32', shape: [total, D_IN], data } });
  return path;
}

async function modelRows(model, nRows) {
  const tokenizer = await Tokenizer.open(model.tokenizerPath);
  const { contextSize } = model;
  const maxTokens = Math.ceil(nRows / contextSize) * contextSize;
  const documents = readSources(['default'], { seed: 0 });
  const tokens = await packContexts(documents, tokenizer, {
    contextSize,
    maxTokens,
    split: 'train',
    seed: 0,
  });
  const runner = await ModelRunner.start(model, { hook: HOOK });
  try {
    const source = modelSource(runner, tokens);
    const mixed = new MixingBuffer(source, { batchRows: nRows, bufferRows: maxTokens, seed: 0 });
    for await (const rows of mixed.batches()) return rows;
  } finally {
    await runner.close();
  }
  throw new Error(`The built-in text has fewer than ${nRows} tokens: ask for fewer with --rows.`);
}

/** Rows that are sums of 32 of 4,096 random directions with exponential weights, and a little noise. */
function plantedRows(nRows) {
  const [nDirections, nActive, noise] = [4096, 32, 0.02];
  const random = new Random(hashSeed(0, 'planted'));
  const directions = Float32Array.from(
    { length: nDirections * D_IN },
    () => random.normal() / Math.sqrt(D_IN),
  );
  const rows = new Float32Array(nRows * D_IN);
  for (let start = 0; start < rows.length; start += D_IN) {
    for (let active = 0; active < nActive; active++) {
      const first = random.integer(nDirections) * D_IN;
      const weight = -Math.log(1 - random.uniform());
      for (let i = 0; i < D_IN; i++) rows[start + i] += weight * directions[first + i];
    }
    for (let i = 0; i < D_IN; i++) rows[start + i] += noise * random.normal();
  }
  return rows;
}

function scaleToMeanLength_(rows, length) {
  let total = 0;
  for (let start = 0; start < rows.length; start += D_IN) {
    let square = 0;
    for (let i = start; i < start + D_IN; i++) square += rows[i] ** 2;
    total += Math.sqrt(square);
  }
  const factor = length / (total / (rows.length / D_IN));
  for (let i = 0; i < rows.length; i++) rows[i] *= factor;
}

/**
 * Start weights of a case, and the λ that belongs to them.
 *
 * Decoder rows uniform on the sphere, the encoder a copy, b_dec the geometric median. With `warmUpSteps` above 0 the
 * toolkit first trains so many steps of 1,024 rows, so that what is timed is the sparse regime in which a run spends
 * nearly all its time; for L1, λ is steered in the second half until L0 is near `l0`.
 *
 * @returns {Promise<{path: string, l1Coefficient: number}>}
 */
export async function startWeights(case_, activations, backend, log) {
  const { name, architecture, dSae, k, l0, warmUpSteps, nRows } = case_;
  const goal = architecture === 'topk' ? `k${k}` : `l0-${l0}`;
  const source = basename(activations, '.safetensors').replace('activations-', '');
  const path = join(
    DATA_FOLDER,
    `start-${source}-${architecture}-${dSae}-${goal}-${warmUpSteps}.safetensors`,
  );
  if (!existsSync(path)) {
    log(`Making the start weights of ${name} (${warmUpSteps} steps) …`);
    const state = trainState(
      await untrainedWeights(dSae, activations, nRows, backend),
      rowLayout({ dIn: D_IN }, standard),
    );
    const l1Coefficient = await warmUp_(state, case_, activations, backend);
    const { encoder, decoder, encoderBias, decoderBias } = state;
    const weights = {
      W_enc: encoder.weights,
      b_enc: encoderBias.values,
      W_dec: decoder.weights,
      b_dec: decoderBias.values,
    };
    await writeWeights(path, weights, { l1_coefficient: String(l1Coefficient) });
  }
  const file = await readSafetensors(path);
  await file.close();
  return { path, l1Coefficient: Number(file.metadata['l1_coefficient']) };
}

async function untrainedWeights(dSae, activations, nRows, backend) {
  const random = new Random(hashSeed(0, 'W_dec'));
  const W_dec = new Float32Array(dSae * D_IN);
  for (let start = 0; start < W_dec.length; start += D_IN) {
    let square = 0;
    for (let i = start; i < start + D_IN; i++) square += (W_dec[i] = random.normal()) ** 2;
    for (let i = start; i < start + D_IN; i++) W_dec[i] /= Math.sqrt(square);
  }
  const sampleRows = Math.min(nRows, 16_384);
  const points = await readActivations(activations, 0, sampleRows);
  const median = { points, nRows: sampleRows, width: D_IN, maxIterations: 100, tolerance: 1e-5 };
  return {
    W_enc: W_dec.slice(),
    b_enc: new Float32Array(dSae),
    W_dec,
    b_dec: await backend.geometricMedian(median),
  };
}

async function warmUp_(state, case_, activations, backend) {
  const { architecture, k, l0, warmUpSteps, l1Coefficient, nRows } = case_;
  const batchRows = 1024;
  const used = architecture === 'topk' ? topKBackend(backend, k) : backend;
  let steered = l1Coefficient;
  for (let step = 0; step < warmUpSteps; step++) {
    const first = (step % Math.floor(nRows / batchRows)) * batchRows;
    const batch = await readActivations(activations, first, first + batchRows);
    const ramp = Math.min(1, (step + 1) / (0.25 * warmUpSteps));
    const options = {
      architecture,
      learningRate: 1e-3 * Math.min(1, (step + 1) / 20),
      l1Coefficient: steered * ramp,
    };
    const sums = await trainStep_(state, used, batch, stepOptions(options, step + 1));
    if (architecture === 'standard' && step > 0.5 * warmUpSteps)
      steered *= (sums.l0 / batchRows / l0) ** (4 / warmUpSteps);
  }
  return steered;
}

/** The embedded model as TransformerLens takes it: `weights`, written into a folder, and `config`. */
export async function embeddedModel(folder, model) {
  const weights = join(folder, 'weights.safetensors');
  const tensors = {};
  for (const { name, dims, rawData, floatData } of model.graph.graph.initializer) {
    const data = rawData.length > 0 ? new Float32Array(rawData.slice().buffer) : Float32Array.from(floatData);
    if (/^(W_|b_|ln_|blocks)/.test(name)) tensors[name] = { dtype: 'F32', shape: dims.map(Number), data };
  }
  await writeSafetensors(weights, tensors);
  return { config: join(MODEL, 'config.json'), weights };
}
