/**
 * The toolkit's own training step, served to the driver in the same way as the peers (see common.py).
 *
 * TopK without its auxiliary loss has the gradients of the L1 step at λ = 0 on other codes: the same step, with
 * `encode` told to select the k largest.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { loadBinding } from '@monoseme/kernels-native';
import { readSafetensors, writeSafetensors } from '../../packages/monoseme/dist/formats/index.js';
import { selectBackend } from '../../packages/monoseme/dist/kernels/index.js';
import { standard } from '../../packages/monoseme/dist/dictionary/index.js';
import { rowLayout } from '../../packages/monoseme/dist/training/row-layout.js';
import { trainState } from '../../packages/monoseme/dist/training/parameters.js';
import { trainStep_ } from '../../packages/monoseme/dist/training/step.js';
import { peakMemory, residentMemory } from '../measure.js';

export function topKBackend(backend, k) {
  return { ...backend, encode: (input) => backend.encode({ ...input, selection: { kind: 'topK', k } }) };
}

export function stepOptions(job, step) {
  return {
    l1Coefficient: job.architecture === 'standard' ? job.l1Coefficient : 0,
    unitNormDecoder: true,
    trainDecoderBias: true,
    adam: { learningRate: job.learningRate, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, step },
  };
}

export async function readWeights(path, dIn, dSae) {
  const file = await readSafetensors(path);
  try {
    return {
      W_enc: await file.floats('W_enc', [dSae, dIn]),
      b_enc: await file.floats('b_enc', [dSae]),
      W_dec: await file.floats('W_dec', [dSae, dIn]),
      b_dec: await file.floats('b_dec', [dIn]),
    };
  } finally {
    await file.close();
  }
}

export async function writeWeights(path, weights, metadata = {}) {
  const { W_enc, b_enc, W_dec, b_dec } = weights;
  const shape = [b_enc.length, b_dec.length];
  const tensor = (data, shape) => ({ dtype: 'F32', shape, data });
  await writeSafetensors(
    path,
    {
      W_enc: tensor(W_enc, shape),
      W_dec: tensor(W_dec, shape),
      b_enc: tensor(b_enc, [shape[0]]),
      b_dec: tensor(b_dec, [shape[1]]),
    },
    metadata,
  );
}

/** Rows `from` … `to − 1` of the activations of a file, f32. */
export async function readActivations(path, from, to) {
  const file = await readSafetensors(path);
  try {
    const { bytes } = await file.rows('activations', from, to);
    return new Float32Array(bytes.buffer);
  } finally {
    await file.close();
  }
}

function weightsOf({ encoder, decoder, encoderBias, decoderBias }) {
  return {
    W_enc: encoder.weights,
    b_enc: encoderBias.values,
    W_dec: decoder.weights,
    b_dec: decoderBias.values,
  };
}

async function trainSteps(job, state, backend, count) {
  const [seconds, cpuSeconds] = [[], []];
  for (let i = 0; i < count; i++) {
    const first = (state.step % Math.floor(job.nRows / job.batchRows)) * job.batchRows;
    const batch = await readActivations(job.activations, first, first + job.batchRows);
    const [start, cpuStart] = [performance.now(), process.cpuUsage()];
    await trainStep_(state, backend, batch, stepOptions(job, state.step + 1));
    seconds.push((performance.now() - start) / 1000);
    const { user, system } = process.cpuUsage(cpuStart);
    cpuSeconds.push((user + system) / 1e6);
  }
  return { seconds, cpu_seconds: cpuSeconds, peak_memory: peakMemory() };
}

/** The machine's fp32 peak as the native kernels measure it: the best of some tries, GFLOP/s. */
async function fmaPeak({ threads }) {
  const { Kernels } = loadBinding();
  const kernels = new Kernels(threads);
  let best = 0;
  for (let i = 0; i < 5; i++) best = Math.max(best, await kernels.fmaFlopsPerSecond(100));
  return best / 1e9;
}

async function serve(jobPath) {
  const job = JSON.parse(readFileSync(jobPath, 'utf8'));
  const base = residentMemory();
  const native = await selectBackend({ threads: job.threads });
  const backend = job.architecture === 'topk' ? topKBackend(native, job.k) : native;
  const state = trainState(
    await readWeights(job.weights, job.dIn, job.dSae),
    rowLayout({ dIn: job.dIn }, standard),
    undefined,
    'f32',
    native,
  );
  const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
  say({ ready: true, version: native.description, base_memory: base });
  for await (const line of createInterface({ input: process.stdin })) {
    const question = JSON.parse(line);
    if (question.do === 'steps') say(await trainSteps(job, state, backend, question.count));
    else if (question.do === 'peak') say({ gflops: await fmaPeak(job) });
    else if (question.do === 'save') {
      await writeWeights(job.out, weightsOf(state));
      say({ saved: job.out });
    }
  }
}

if (process.argv[1] && import.meta.filename === process.argv[1]) await serve(process.argv[2]);
