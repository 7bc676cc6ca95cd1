/**
 * Learning is tested, not only code: the gates of the planted-dictionary experiment, each with what the method loses without
 * one of its parts, at half its sizes (32 inputs, 64 true features, 2 active on average). `npm run quality` has it whole.
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

const STEPS = 2000;

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
    assert.ok(full.mmcs >= 0.98, `MMCS ${full.mmcs}`);
    assert.ok(full.above09 >= 0.96, `share above 0.9: ${full.above09}`);
    assert.ok(full.last.l0 < 8, `L0 ${full.last.l0}`);
  });

  test('moments in bf16 learn as those in f32', async () => {
    const half = await learn(STEPS, { moments: 'bf16' });
    assert.ok(half.mmcs >= 0.98, `MMCS ${half.mmcs}`);
    // A bound of ours: dithered rounding moves every weight a little, and the loss with it.
    assert.ok(Math.abs(half.last.loss / full.last.loss - 1) < 0.03, `${half.last.loss}, ${full.last.loss}`);
  });

  test('with λ too small codes are not sparse: L0 exceeds the number of inputs', async () => {
    const { last } = await learn(1000, { l1Coefficient: 0.01 });
    assert.ok(last.l0 > 32, `L0 ${last.l0}`);
  });

  test('the geometric-median bias makes up for an offset; without a bias recovery falls by 0.3', async () => {
    const withBias = await learn(1000, {}, 3);
    const without = await learn(1000, { decoderBiasInit: 'none' }, 3);
    assert.ok(withBias.mmcs >= 0.93, `with: ${withBias.mmcs}`);
    assert.ok(withBias.mmcs - without.mmcs >= 0.3, `with ${withBias.mmcs}, without ${without.mmcs}`);
  });

  test('without unit-norm directions recovery falls by 0.12', async () => {
    const free = await learn(STEPS, { unitNormDecoder: false });
    assert.ok(full.mmcs - free.mmcs >= 0.12, `with ${full.mmcs}, without ${free.mmcs}`);
  });

  test('resampling revives latents that start dead', async () => {
    const killHalf = (state: TrainState) => state.encoderBias.values.fill(-100, 0, 32);
    const changes = { dSae: 64, resampleWindow: 0.1 };
    const without = await learn(STEPS, changes, 0, killHalf);
    const resampleAt = [0.2, 0.3, 0.4, 0.5];
    const resampled = await learn(STEPS, { ...changes, resampleAt }, 0, killHalf);
    assert.ok(without.mmcs < 0.8, `without: ${without.mmcs}`);
    assert.ok(resampled.mmcs >= 0.96, `with: ${resampled.mmcs}`);
    assert.ok(resampled.resampled >= 32 && resampled.resampled <= 36, `${resampled.resampled} resampled`);
  });
});
