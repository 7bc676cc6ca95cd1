import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Architecture, architectureNamed } from '../dictionary/index.ts';
import { Random } from '../random/index.ts';
import { EVERY_BACKEND } from '../testing/every-backend.ts';
import { normals } from '../testing/kernel-cases.ts';
import { trainState, type TrainState } from './parameters.ts';
import { rowLayout } from './row-layout.ts';
import { trainStep_ } from './step.ts';

const [B, D, F] = [50, 24, 96];

/** The architecture with so many arrays of residuals in memory at once. */
function holding(name: string, nHeld: number): Architecture {
  const architecture = architectureNamed(name);
  return { ...architecture, gradients: (step) => architecture.gradients({ ...step, nHeld }) };
}

/** States after three steps on the same batches, in which a third of the latents hardly fires and counts as dead. */
async function trained(
  open: (typeof EVERY_BACKEND)[number]['open'],
  architecture: Architecture,
  gradientClipNorm?: number,
): Promise<TrainState> {
  const backend = await open();
  const random = new Random(9);
  const weights = {
    W_enc: normals(random, F * D),
    b_enc: new Float32Array(F).fill(-8, 0, F / 3),
    W_dec: normals(random, F * D),
    b_dec: normals(random, D),
  };
  const settings = { ...architecture.settings, k: 8 };
  const layout = rowLayout({ dIn: D }, architecture);
  const state = trainState(weights, layout, architecture.start?.(F, 1, settings));
  state.step = 100;
  for (let step = 1; step <= 3; step++) {
    state.lastFiredStep.fill(state.step).fill(0, 0, F / 3);
    await trainStep_(state, backend, normals(random, B * D), {
      l1Coefficient: 0,
      adam: { learningRate: 1e-2, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, step },
      unitNormDecoder: true,
      trainDecoderBias: true,
      architecture,
      settings,
      gradientClipNorm,
      deadAfterSteps: 50,
      progress: 0.9,
    });
  }
  return state;
}

const matricesOf = ({ encoder, decoder, encoderBias, decoderBias }: TrainState) =>
  [encoder.weights, decoder.weights, encoderBias.values, decoderBias.values] as const;

for (const { name, options, open } of EVERY_BACKEND) {
  test(`steps are the same bytes however many residuals are held: ${name}`, options, async () => {
    for (const architecture of ['matryoshka', 'matryoshka-random', 'multi-topk']) {
      const all = matricesOf(await trained(open, holding(architecture, 6)));
      for (const nHeld of [2, 3, 4])
        assert.deepEqual(matricesOf(await trained(open, holding(architecture, nHeld))), all);
    }
  });
}

test('clipping knows the whole gradient where the decoder takes turns', async () => {
  const [{ open }] = EVERY_BACKEND;
  for (const [architecture, nHeld] of [
    ['matryoshka', 3],
    ['multi-topk', 2],
  ] as const) {
    const free = matricesOf(await trained(open, holding(architecture, 6)));
    const all = matricesOf(await trained(open, holding(architecture, 6), 0.01));
    const turns = matricesOf(await trained(open, holding(architecture, nHeld), 0.01));
    assert.notDeepEqual(all, free);
    for (const [i, matrix] of all.entries())
      matrix.forEach((value, at) => assert.ok(Math.abs(value - turns[i][at]) < 1e-6, `${i}, ${at}`));
  }
});
