/**
 * Every architecture recovers the planted dictionary of `learning.test.ts`, in fewer steps where they suffice, and
 * encodes rows one by one as sparsely as it was trained to.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ARCHITECTURES, architectureNamed } from '../dictionary/index.ts';
import { type KernelBackend, selectBackend } from '../kernels/index.ts';
import { learn } from '../testing/learn.ts';
import { learnTwoHooks } from '../testing/learn-two-hooks.ts';
import type { TrainOptions } from './options.ts';

const nativeBackend = await selectBackend({ name: 'native' }).catch((error: Error) => error);
const skip =
  nativeBackend instanceof Error && process.env['REQUIRE_NATIVE'] !== '1'
    ? `the native kernels are not built: ${nativeBackend.message}`
    : false;
const backend = nativeBackend as KernelBackend;

interface Case {
  readonly steps: number;
  readonly changes: Partial<TrainOptions>;
  /** Active latents a row once trained, from … to. */
  readonly l0: readonly [number, number];
  /** Least MMCS and share above 0.9, where not 0.99 and 0.98. */
  readonly least?: readonly [number, number];
}

const CASES: Readonly<Record<string, Case>> = {
  'april-2024': { steps: 1500, changes: { l1Coefficient: 0.1 }, l0: [3, 12] },
  topk: { steps: 1500, changes: { k: 3 }, l0: [2.5, 3] },
  'multi-topk': { steps: 1500, changes: { k: 3 }, l0: [2.5, 3] },
  'matryoshka-random': { steps: 3000, changes: { k: 3 }, l0: [2.85, 3.15], least: [0.9, 0.7] },
  'january-2025': { steps: 3000, changes: {}, l0: [1.5, 3] },
  batchtopk: { steps: 3000, changes: { k: 3 }, l0: [2.85, 3.15] },
  matryoshka: { steps: 3000, changes: { k: 3, prefixes: [0.5, 1] }, l0: [2.85, 3.15], least: [0.97, 0.9] },
  jumprelu: { steps: 3000, changes: {}, l0: [2, 4] },
  gated: { steps: 2500, changes: { l1Coefficient: 0.6 }, l0: [2, 4] },
  'p-annealing': { steps: 2500, changes: { l1Coefficient: 0.2, resampleAt: [] }, l0: [2, 5] },
  transcoder: { steps: 2500, changes: { l1Coefficient: 0.1 }, l0: [3, 12] },
  'skip-transcoder': { steps: 2500, changes: { k: 3 }, l0: [2.5, 3], least: [0.98, 0.96] },
  crosscoder: { steps: 2500, changes: { l1Coefficient: 0.1 }, l0: [3, 12] },
  'batchtopk-crosscoder': { steps: 3000, changes: { k: 3 }, l0: [2.85, 3.15] },
};

describe('every architecture recovers the planted dictionary', { skip, timeout: 900_000 }, () => {
  for (const [architecture, { steps, changes, l0, least }] of Object.entries(CASES)) {
    test(`${architecture}, ${steps} steps`, async () => {
      const train = architectureNamed(architecture).rows === undefined ? learn : learnTwoHooks;
      const learned = await train(backend, steps, { architecture, ...changes });
      const [mmcs, above09] = least ?? [0.99, 0.98];
      assert.ok(learned.mmcs >= mmcs, `MMCS ${learned.mmcs}`);
      assert.ok(learned.above09 >= above09, `share above 0.9: ${learned.above09}`);
      assert.ok(learned.l0 >= l0[0] && learned.l0 <= l0[1], `L0 ${learned.l0}`);
    });
  }

  test('none is left out (the standard one has its own tests)', () => {
    const tested = ['standard', ...Object.keys(CASES)];
    assert.deepEqual(
      ARCHITECTURES.map(({ name }) => name).filter((name) => !tested.includes(name)),
      [],
    );
  });
});
