/**
 * One dictionary size in a process of its own, so that its peak memory is that of the size. See sizes.js.
 *
 * The data are Gaussian and the encoder bias is such that L0 is as asked; a tiny learning rate holds it there.
 */
import { createInterface } from 'node:readline';
import { selectBackend } from '../packages/monoseme/dist/kernels/index.js';
import { standard } from '../packages/monoseme/dist/dictionary/index.js';
import { rowLayout } from '../packages/monoseme/dist/training/row-layout.js';
import { trainState } from '../packages/monoseme/dist/training/parameters.js';
import { trainStep_ } from '../packages/monoseme/dist/training/step.js';
import { encodeData } from './kernel-data.js';
import { peakMemory, residentMemory } from './measure.js';

const OPTIONS = { l1Coefficient: 0, unitNormDecoder: true, trainDecoderBias: true };
const ADAM = { learningRate: 1e-7, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

const shape = JSON.parse(process.argv[2]);
const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
const idle = residentMemory();
const backend = await selectBackend({ threads: shape.threads });
const { state, x } = start(shape);
say({ ready: true, version: backend.description, idleMemory: idle });
for await (const line of createInterface({ input: process.stdin })) {
  const seconds = [];
  let l0 = 0;
  for (let i = 0; i < JSON.parse(line).count; i++) {
    const start = performance.now();
    const sums = await trainStep_(state, backend, x, { ...OPTIONS, adam: { ...ADAM, step: state.step + 1 } });
    seconds.push((performance.now() - start) / 1000);
    l0 = sums.l0 / shape.nRows;
  }
  say({ seconds, l0, peakMemory: peakMemory() });
}

/** A state that owns its matrices: what it was made from is garbage, as after the start of a run. */
function start({ dIn, ...rest }) {
  const { x, W_enc, b_enc } = encodeData({ dIn, ...rest });
  const weights = { W_enc, b_enc, W_dec: unitRows_(W_enc.slice(), dIn), b_dec: new Float32Array(dIn) };
  return { x, state: trainState(weights, rowLayout({ dIn }, standard), undefined, 'f32', backend) };
}

function unitRows_(matrix, width) {
  for (let start = 0; start < matrix.length; start += width) {
    let square = 0;
    for (let i = start; i < start + width; i++) square += matrix[i] ** 2;
    const scale = 1 / Math.sqrt(square);
    for (let i = start; i < start + width; i++) matrix[i] *= scale;
  }
  return matrix;
}
