import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ARCHITECTURES, type Architecture } from '../dictionary/index.ts';
import type { KernelBackend } from '../kernels/index.ts';
import { Random } from '../random/index.ts';
import { denseGradient } from '../testing/dense-gradient.ts';
import { EVERY_BACKEND } from '../testing/every-backend.ts';
import { isMostlyZeros } from './centering.ts';
import { trainState, type TrainState } from './parameters.ts';
import { rowLayout } from './row-layout.ts';
import { gradientsOf_ } from './step.ts';

const [B, D, F] = [90, 40, 60];
const SHIFT = 0.5;

/** Rows of which one number in ten is not 0, as behind a ReLU. */
function sparseBatch(random: Random): Float32Array {
  return new Float32Array(B * D).map(() => (random.integer(10) === 0 ? Math.abs(random.normal()) : 0));
}

/** A state seen from elsewhere: the same weights with b_dec moved. */
function stateAt(architecture: Architecture, shift: number): TrainState {
  const random = new Random(3);
  const normals = (n: number) => new Float32Array(n).map(() => 0.3 * random.normal());
  const weights = { W_enc: normals(F * D), b_enc: normals(F), W_dec: normals(F * D), b_dec: normals(D) };
  weights.b_dec.forEach((value, i) => (weights.b_dec[i] = value + shift));
  const start = architecture.start?.(F, 1, architecture.settings);
  for (const vector of Object.values(start?.further ?? {})) vector.set(normals(F));
  const state = trainState(weights, rowLayout({ dIn: D }, architecture), start);
  state.step = 100;
  // The first tenth is dead.
  state.lastFiredStep.fill(100, F / 10);
  return state;
}

function gradientsAt(backend: KernelBackend, architecture: Architecture, shift: number) {
  const batch = sparseBatch(new Random(4)).map((value) => value + shift);
  assert.equal(isMostlyZeros(batch), shift === 0);
  return gradientsOf_(stateAt(architecture, shift), backend, batch, {
    l1Coefficient: 0.3,
    adam: { learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, step: 1 },
    unitNormDecoder: false,
    trainDecoderBias: true,
    architecture,
    settings: { ...architecture.settings, k: 5, kAux: 2, auxCoefficient: 1 },
    progress: 0.9,
    deadAfterSteps: 50,
  });
}

function assertClose(name: string, a: ArrayLike<number>, b: ArrayLike<number>): void {
  const scale = Math.max(...Array.from(a, Math.abs));
  assert.ok(scale > 0, `${name} is 0`);
  for (let i = 0; i < a.length; i++)
    assert.ok(Math.abs(a[i] - b[i]) < 1e-4 * scale, `${name}[${i}]: ${a[i]}, centred ${b[i]}`);
}

for (const { name: backendName, options, open } of EVERY_BACKEND) {
  describe(`rows that are mostly zeros, ${backendName}`, options, () => {
    for (const architecture of ARCHITECTURES.filter(({ centersInput }) => centersInput)) {
      test(`${architecture.name}: the gradients of rows from which b_dec is subtracted`, async () => {
        // Moved together, rows and b_dec leave x − b_dec as it is, but the moved rows have no zeros.
        const backend = await open();
        const asTheyAre = await gradientsAt(backend, architecture, 0);
        const centred = await gradientsAt(backend, architecture, SHIFT);
        assertClose('W_enc', denseGradient(asTheyAre.encoder, F, D), denseGradient(centred.encoder, F, D));
        assertClose('W_dec', denseGradient(asTheyAre.decoder, F, D), denseGradient(centred.decoder, F, D));
        assertClose('b_enc', asTheyAre.b_enc, centred.b_enc);
        assertClose('loss', [asTheyAre.sums.loss], [centred.sums.loss]);
      });
    }
  });
}
