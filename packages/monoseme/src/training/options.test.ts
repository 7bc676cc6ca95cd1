import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ARCHITECTURES } from '../dictionary/index.ts';
import type { MonosemeError } from '../errors.ts';
import { checkOptions, CHOICES, DEFAULT_OPTIONS, type TrainOptions } from './options.ts';
import { PRESETS, resolveOptions } from './presets.ts';

function refused(resolve: () => unknown, ...named: RegExp[]): void {
  assert.throws(resolve, (error: MonosemeError) => {
    assert.equal(error.code, 'ERR_OPTION', error.message);
    for (const pattern of named) assert.match(error.message, pattern);
    return true;
  });
}

describe('options', () => {
  test('nothing given means the defaults', () => {
    assert.deepEqual(resolveOptions({}), DEFAULT_OPTIONS);
  });

  for (const { name, settings } of ARCHITECTURES) {
    test(`${name} resolves to options that hold together, with its own defaults`, () => {
      const options = checkOptions(resolveOptions({ architecture: name }));
      assert.equal(options.architecture, name);
      for (const [key, value] of Object.entries(settings))
        assert.deepEqual(options[key as keyof TrainOptions], value, key);
    });
  }

  for (const [name, preset] of Object.entries(PRESETS)) {
    test(`the preset ${name} holds together and keeps what it says`, () => {
      const options = checkOptions(resolveOptions({}, name));
      for (const [key, value] of Object.entries(preset))
        assert.deepEqual(options[key as keyof TrainOptions], value, key);
      assert.equal(resolveOptions({ seed: 7 }, name).seed, 7, 'what is given counts more');
    });
  }
});

describe('contradictions are refused, naming both', () => {
  test('top-k with an L1 coefficient', () => {
    refused(() => resolveOptions({ architecture: 'topk', l1Coefficient: 2 }), /topk/, /l1Coefficient is 2/);
    refused(() => checkOptions({ ...DEFAULT_OPTIONS, architecture: 'topk', k: 4 }), /topk/, /l1Coefficient/);
  });
  test('k for an L1 architecture', () => {
    refused(() => resolveOptions({ k: 4 }), /standard/, /k is 4/, /batchtopk/);
    refused(() => checkOptions({ ...DEFAULT_OPTIONS, k: 4 }), /standard/, /k is 4/);
  });
  test('resampling for an architecture without it', () => {
    refused(() => resolveOptions({ architecture: 'gated', resampleAt: [0.5] }), /gated/, /resampleAt/);
  });
  test('a target for L0 above dSae', () => {
    const options = resolveOptions({ targetL0: 33, dSae: 32 });
    refused(() => checkOptions(options), /targetL0 is 33/, /32 latents of dSae/);
  });
  test('k above dSae', () => {
    const options = resolveOptions({ architecture: 'topk', k: 33, dSae: 32 });
    refused(() => checkOptions(options), /k is 33/, /32 latents of dSae/);
  });
  test('a k to start from above dSae, and one without a warm-up', () => {
    const options = resolveOptions({ architecture: 'topk', k: 4, dSae: 32, kWarmUp: 0.1 });
    checkOptions({ ...options, initialK: 32 });
    refused(() => checkOptions({ ...options, initialK: 33 }), /initialK is 33/, /32 latents of dSae/);
    refused(() => checkOptions({ ...options, kWarmUp: 0, initialK: 8 }), /initialK is 8/, /kWarmUp is 0/);
  });
  test('a target for L0 where nothing steers it', () => {
    const options = resolveOptions({ architecture: 'topk', k: 4, targetL0: 8 });
    refused(() => checkOptions(options), /targetL0 is 8/, /topk/);
  });
  test('a target for L0 with a coefficient of 0', () => {
    const l1 = resolveOptions({ targetL0: 8, l1Coefficient: 0 });
    refused(() => checkOptions(l1), /targetL0 is 8/, /l1Coefficient is 0/);
    const l0 = resolveOptions({ architecture: 'jumprelu', targetL0: 8, l0Coefficient: 0 });
    refused(() => checkOptions(l0), /targetL0 is 8/, /l0Coefficient is 0/);
  });
  test('layer norm of rows that hold two hook points', () => {
    const options = resolveOptions({ architecture: 'transcoder', normalize: 'layer-norm' });
    refused(() => checkOptions(options), /normalize is layer-norm/, /transcoder/);
  });
  test('a transcoder whose encoder starts as its decoder', () => {
    const options = resolveOptions({ architecture: 'transcoder', encoderInit: 'tied' });
    refused(() => checkOptions(options), /transcoder/, /encoderInit is tied/);
  });
  test('a preset of another architecture', () => {
    refused(() => resolveOptions({ architecture: 'gated' }, 'gao-2024'), /gated/, /gao-2024/);
  });
  test('nested dictionaries that do not grow to the whole', () => {
    for (const prefixes of [[], [0.5], [0.5, 0.5, 1], [0, 1], [0.5, 2]]) {
      const options = resolveOptions({ architecture: 'matryoshka', prefixes });
      refused(() => checkOptions(options), /prefixes/);
    }
  });
});

describe('unknown names', () => {
  test('a word that a setting does not take lists those it takes', () => {
    for (const [name, choices] of Object.entries(CHOICES)) {
      const options = { ...DEFAULT_OPTIONS, [name]: 'other' };
      refused(() => checkOptions(options), new RegExp(`${name} is other`), new RegExp(choices.join(' or ')));
    }
  });
  test('an unknown option names the nearest', () => {
    refused(
      () => resolveOptions({ learningRat: 1 } as Partial<TrainOptions>),
      /learningRat\b/,
      /learningRate/,
    );
  });
  test('an unknown architecture or preset lists those there are', () => {
    refused(() => resolveOptions({ architecture: 'tpok' }), /tpok/, /topk/);
    refused(() => resolveOptions({}, 'gao'), /gao-2024/);
  });
});
