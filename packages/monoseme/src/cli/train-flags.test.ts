import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command } from 'commander';
import { ARCHITECTURES } from '../dictionary/index.ts';
import { OPTION_NAMES } from '../training/index.ts';
import { flagOf } from './options.ts';
import { addTrainFlags, type TrainFlags, trainOptions } from './train-flags.ts';

test('every flag of training sets an option that there is', () => {
  const names = addTrainFlags(new Command()).options.map((option) => option.attributeName());
  for (const name of names) {
    let message = '';
    try {
      trainOptions({ [name]: 0.5 });
    } catch (error) {
      ({ message } = error as Error);
    }
    assert.doesNotMatch(message, /There is no option/, name);
  }
});

test('what is wrong with options is said by their flags, also of those that are one word', () => {
  const refused: [TrainFlags, RegExp][] = [
    [
      { architecture: 'topk', targetL0: 8 },
      /^--target-l0 is 8, but --architecture is topk, .* Give --k instead\.$/,
    ],
    [{ k: 8 }, /^--architecture is standard, which takes no --k, but --k is 8\. Leave --k out, or choose /],
    [
      { architecture: 'topk', k: 99, dSae: 64 },
      /^--k is 99, .* of --d-sae\. Give a smaller --k or a larger --d-sae\.$/,
    ],
    [
      { architecture: 'topk', initialK: 9, kWarmUp: 0 },
      /^--initial-k is 9, but --k-warm-up is 0, so --k is never/,
    ],
    [{ tokens: 10 }, /^--tokens is 10, .* Give more --tokens or a smaller --batch-rows\.$/],
    [
      { architecture: 'transcoder', normalize: 'layer-norm' },
      /^--normalize is layer-norm, but --architecture is /,
    ],
    [
      { preset: 'gao-2024', architecture: 'gated' },
      /^--architecture is gated, but the preset gao-2024 is of topk\./,
    ],
    [
      { architecture: 'matryoshka', prefixes: [1, 0.5] },
      /^--prefixes is 1,0\.5\. .* fractions of --d-sae above 0/,
    ],
  ];
  for (const [flags, message] of refused) assert.throws(() => trainOptions(flags), { message });
});

test('no message of an option holds its name as the code has it', () => {
  const flags = [...OPTION_NAMES].map(flagOf);
  for (const { name: architecture } of ARCHITECTURES)
    for (const name of OPTION_NAMES)
      for (const value of [NaN, -1, 0, 1e9]) {
        let message = '';
        try {
          trainOptions({ architecture, ...(name !== 'architecture' && { [name]: [value] }) });
        } catch (error) {
          ({ message } = error as Error);
        }
        const words = message.match(/(--)?[\w-]+/g) ?? [];
        for (const word of words) assert.ok(!OPTION_NAMES.has(word), message);
        for (const flag of words.filter((word) => word.startsWith('--')))
          assert.ok(flags.includes(flag), message);
      }
});
