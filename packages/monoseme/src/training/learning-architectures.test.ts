/**
 * Every architecture recovers planted features, and encodes rows one by one as sparsely as it was trained to. Here the
 * set is half as large as the published one, on which `npm run quality` trains them.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { ARCHITECTURES } from '../dictionary/index.ts';
import { type KernelBackend, selectBackend } from '../kernels/index.ts';
import { type Lesson, learnAll } from '../testing/learn-all.ts';
import { learnTwoHooks } from '../testing/learn-two-hooks.ts';
import type { Recovery, ToyFigures } from '../toy/index.ts';

const nativeBackend = await selectBackend({ name: 'native' }).catch((error: Error) => error);
const skip =
  nativeBackend instanceof Error && process.env['REQUIRE_NATIVE'] !== '1'
    ? `the native kernels are not built: ${nativeBackend.message}`
    : false;
const backend = nativeBackend as KernelBackend;

interface Case extends Lesson {
  /** Active latents a row once trained, from … to; 2 features are. */
  readonly l0: readonly [number, number];
}

const ONE_HOOK: Readonly<Record<string, Case>> = {
  'april-2024': { steps: 1000, changes: { l1Coefficient: 0.1 }, l0: [2, 10] },
  topk: { steps: 800, changes: { k: 2 }, l0: [1.5, 2] },
  'multi-topk': { steps: 800, changes: { k: 2 }, l0: [1.5, 2] },
  'matryoshka-random': { steps: 1000, changes: { k: 2 }, l0: [1.9, 2.1] },
  'january-2025': { steps: 1200, changes: {}, l0: [0.9, 2] },
  batchtopk: { steps: 1000, changes: { k: 2 }, l0: [1.9, 2.1] },
  matryoshka: { steps: 1500, changes: { k: 2, prefixes: [0.5, 1] }, l0: [1.9, 2.1] },
  jumprelu: { steps: 3000, changes: {}, l0: [1.2, 2.5] },
  gated: { steps: 2000, changes: { l1Coefficient: 0.6 }, l0: [1.2, 2.5] },
  'p-annealing': { steps: 2500, changes: { l1Coefficient: 0.2, resampleAt: [] }, l0: [1.5, 4] },
};

const TWO_HOOKS: Readonly<Record<string, Case>> = {
  transcoder: { steps: 1500, changes: { l1Coefficient: 0.1 }, l0: [2, 10] },
  'skip-transcoder': { steps: 1500, changes: { k: 2 }, l0: [1.5, 2] },
  crosscoder: { steps: 800, changes: { l1Coefficient: 0.1 }, l0: [2, 10] },
  'batchtopk-crosscoder': { steps: 1000, changes: { k: 2 }, l0: [1.9, 2.1] },
};

type Figures = Pick<Recovery, 'mmcs' | 'above09'> & { readonly l0: number };

function expectRecovered({ mmcs, above09, l0 }: Figures, [least, most]: Case['l0']): void {
  assert.ok(mmcs >= 0.98, `MMCS ${mmcs}`);
  assert.ok(above09 >= 0.92, `share above 0.9: ${above09}`);
  assert.ok(l0 >= least && l0 <= most, `L0 ${l0}`);
}

describe('every architecture recovers planted features', { skip, timeout: 900_000 }, () => {
  let learned: Awaited<ReturnType<typeof learnAll>>;
  before(async () => {
    learned = await learnAll(backend, ONE_HOOK);
  });

  for (const [architecture, { steps, l0 }] of Object.entries(ONE_HOOK)) {
    test(`${architecture}, ${steps} steps`, () =>
      expectRecovered(learned.get(architecture) as ToyFigures, l0));
  }

  for (const [architecture, { steps, changes, l0 }] of Object.entries(TWO_HOOKS)) {
    test(`${architecture}, ${steps} steps`, async () => {
      expectRecovered(await learnTwoHooks(backend, steps, { architecture, ...changes }), l0);
    });
  }

  test('none is left out (the standard one has its own tests)', () => {
    const tested = ['standard', ...Object.keys(ONE_HOOK), ...Object.keys(TWO_HOOKS)];
    assert.deepEqual(
      ARCHITECTURES.map(({ name }) => name).filter((name) => !tested.includes(name)),
      [],
    );
  });
});
