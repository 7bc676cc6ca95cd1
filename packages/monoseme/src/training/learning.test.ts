/**
 * Learning is tested, not only code: the gates of the planted-dictionary experiment (64 inputs, 128 true features, 3
 * active on average, amplitudes uniform in (0, 1)), each with what the method loses without one of its parts. In half the
 * published steps, as `npm run quality -- --quick` has them, or fewer where that shows enough: `npm run quality` trains them whole.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { type KernelBackend, selectBackend } from '../kernels/index.ts';
import { learn as learnPlanted, type Learned } from '../testing/learn.ts';
import type { TrainOptions } from './options.ts';
import type { TrainState } from './parameters.ts';

const nativeBackend = await selectBackend({ name: 'native' }).catch((error: Error) => error);
const skip =
  nativeBackend instanceof Error && process.env['REQUIRE_NATIVE'] !== '1'
    ? `the native kernels are not built: ${nativeBackend.message}`
    : false;

/** The paper's autoencoder as the experiment has it. */
const L1: Partial<TrainOptions> = {
  l1Coefficient: 0.1,
  l1WarmUp: 0,
  encoderInit: 'kaiming',
  resampleAt: [],
};

const STEPS = 3000;

const learn = (
  steps: number,
  changes: Partial<TrainOptions>,
  offset = 0,
  prepare: (state: TrainState) => void = () => {},
): Promise<Learned> =>
  learnPlanted(nativeBackend as KernelBackend, steps, { ...L1, ...changes }, { offset, prepare });

describe('planted dictionary', { skip, timeout: 600_000 }, () => {
  let full: Learned;
  before(async () => {
    full = await learn(STEPS, {});
  });

  test('L1 at λ 0.1 recovers the dictionary', () => {
    assert.ok(full.mmcs >= 0.99, `MMCS ${full.mmcs}`);
    assert.ok(full.above09 >= 0.99, `share above 0.9: ${full.above09}`);
    assert.ok(full.last.l0 < 12, `L0 ${full.last.l0}`);
  });

  test('moments in bf16 learn as those in f32', async () => {
    const half = await learn(STEPS, { moments: 'bf16' });
    assert.ok(half.mmcs >= 0.99, `MMCS ${half.mmcs}`);
    // A bound of ours: dithered rounding moves every weight a little, and the loss with it.
    assert.ok(Math.abs(half.last.loss / full.last.loss - 1) < 0.03, `${half.last.loss}, ${full.last.loss}`);
  });

  test('with λ too small codes are not sparse: L0 exceeds the number of inputs', async () => {
    const { last } = await learn(1000, { l1Coefficient: 0.01 });
    assert.ok(last.l0 > 64, `L0 ${last.l0}`);
  });

  test('the geometric-median bias makes up for an offset; without a bias recovery falls by 0.15', async () => {
    const withBias = await learn(2000, {}, 3);
    const without = await learn(2000, { decoderBiasInit: 'none' }, 3);
    assert.ok(withBias.mmcs >= 0.98, `with: ${withBias.mmcs}`);
    assert.ok(withBias.mmcs - without.mmcs >= 0.15, `with ${withBias.mmcs}, without ${without.mmcs}`);
  });

  test('without unit-norm directions recovery falls by 0.08', async () => {
    const free = await learn(2000, { unitNormDecoder: false });
    assert.ok(full.mmcs - free.mmcs >= 0.08, `with ${full.mmcs}, without ${free.mmcs}`);
  });

  test('resampling revives latents that start dead', async () => {
    const killHalf = (state: TrainState) => state.encoderBias.values.fill(-100, 0, 64);
    const changes = { dSae: 128, resampleWindow: 0.1 };
    const without = await learn(STEPS, changes, 0, killHalf);
    const resampleAt = [0.2, 0.3, 0.4, 0.5];
    const resampled = await learn(STEPS, { ...changes, resampleAt }, 0, killHalf);
    assert.ok(without.mmcs < 0.8, `without: ${without.mmcs}`);
    assert.ok(resampled.mmcs >= 0.98, `with: ${resampled.mmcs}`);
    assert.ok(resampled.resampled >= 64 && resampled.resampled <= 70, `${resampled.resampled} resampled`);
  });
});
