/**
 * Every architecture that reads two hook points recovers planted features, and encodes rows one by one as sparsely as it was
 * trained to. Those that read one are judged by scripts/quality.test.js on the same set.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ARCHITECTURES } from '../dictionary/index.ts';
import { type KernelBackend, selectBackend } from '../kernels/index.ts';
import { learnTwoHooks } from '../testing/learn-two-hooks.ts';
import type { Recovery } from '../toy/index.ts';
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
  /** Active latents a row once trained, from … to; 2 features are. */
  readonly l0: readonly [number, number];
}

const TWO_HOOKS: Readonly<Record<string, Case>> = {
  transcoder: { steps: 1500, changes: { l1Coefficient: 0.1 }, l0: [2, 10] },
  'skip-transcoder': { steps: 1500, changes: { k: 2 }, l0: [1.5, 2] },
  crosscoder: { steps: 800, changes: { l1Coefficient: 0.1 }, l0: [2, 10] },
  'batchtopk-crosscoder': { steps: 1000, changes: { k: 2 }, l0: [1.9, 2.1] },
};

type Figures = Recovery & { readonly l0: number };

function expectRecovered({ mmcs, above09, l0 }: Figures, [least, most]: Case['l0']): void {
  assert.ok(mmcs >= 0.98, `MMCS ${mmcs}`);
  assert.ok(above09 >= 0.92, `share above 0.9: ${above09}`);
  assert.ok(l0 >= least && l0 <= most, `L0 ${l0}`);
}

describe(
  'every architecture of two hook points recovers planted features',
  { skip, timeout: 900_000 },
  () => {
    for (const [architecture, { steps, changes, l0 }] of Object.entries(TWO_HOOKS)) {
      test(`${architecture}, ${steps} steps`, async () => {
        expectRecovered(await learnTwoHooks(backend, steps, { architecture, ...changes }), l0);
      });
    }

    test('none is left out', () => {
      const names = ARCHITECTURES.filter(({ rows = 'activations' }) => rows !== 'activations').map(
        ({ name }) => name,
      );
      assert.deepEqual(Object.keys(TWO_HOOKS).sort(), names.sort());
    });
  },
);
