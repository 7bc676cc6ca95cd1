import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compact } from './progress.ts';

test('numbers are rounded before their unit is chosen', () => {
  const numbers = [0, 0.12345, 12.345, 100.4, 999.4, 999.6, 1234567, 999_936, -2500, 1e12];
  const texts = ['0', '0.123', '12.3', '100', '999', '1.00 k', '1.23 M', '1.00 M', '-2.50 k', '1.00 T'];
  assert.deepEqual(numbers.map(compact), texts);
});
