/**
 * A model of recordings with several channels (EEG, say), whose tensors are [batch, channel, patch, d]: the command line
 * from inspect to a trained dictionary. Every patch of every channel is a row that knows its place.
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ActivationStore, coordinatesOf } from 'monoseme/activations';
import { writeNpz } from 'monoseme/formats';
import { Random } from 'monoseme/random';

const model = 'fixtures/arrays/recording-torchscript.onnx';
const out = await mkdtemp(join(tmpdir(), 'channels-and-patches-'));
const monoseme = (...args) => {
  console.log(`\nmonoseme ${args.join(' ').replaceAll(out, '.')}`);
  const { status, stdout, stderr } = spawnSync('node', ['packages/monoseme/bin/monoseme.js', ...args], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  console.log(stdout.replaceAll(out, '.').trim());
};

// 500 recordings of 3 channels and 24 points: waves of two rhythms that come and go, and noise.
const random = new Random(1);
const data = new Float32Array(500 * 3 * 24);
for (let channel = 0; channel < 500 * 3; channel++) {
  const [rhythm, start] = [random.integer(2), random.integer(24)];
  for (let t = 0; t < 24; t++) {
    const wave = t < start ? 0 : Math.sin((2 * Math.PI * t) / (rhythm ? 3 : 8));
    data[channel * 24 + t] = wave + 0.1 * random.normal();
  }
}
const recordings = join(out, 'recordings.npz');
await writeNpz(recordings, { recording: { shape: [500, 3, 24], data } });

monoseme('inspect', model);
const store = join(out, 'store');
monoseme(
  ...['harvest', model, '--input', `recording=${recordings}`, '--hook', 'blocks.0.hook_resid_post'],
  ...['--sample-axes', 'batch,channel,patch', '--feature-axis', '-1', '--dtype', 'F32', '--out', store],
);
const options = ['--d-sae', '32', '--tokens', '200k', '--batch-rows', '256', '--learning-rate', '3e-3'];
monoseme('train', '--store', store, ...options, '--out', join(out, 'dictionary'));

const { axes, nRows } = await ActivationStore.open(store);
console.log(`\n${nRows} rows; position 7 of a recording is`, coordinatesOf(7, axes));
await rm(out, { recursive: true });
