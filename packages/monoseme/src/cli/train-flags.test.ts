import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command } from 'commander';
import { addTrainFlags, trainOptions } from './train-flags.ts';

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
