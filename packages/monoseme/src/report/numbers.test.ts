import assert from 'node:assert/strict';
import { test } from 'node:test';
import { figureText, percentText } from './index.ts';

test('shares are percentages, without a sign where they round to 0', () => {
  assert.equal(percentText(0.0123, 2), '1.23 %');
  assert.equal(percentText(-0.0123), '-1.2 %');
  assert.equal(percentText(-0.0004), '0.0 %');
  assert.equal(percentText(-0.004, 0), '0 %');
  assert.equal(percentText(NaN), '–');
});

test('figures have four significant digits', () => {
  assert.equal(figureText(0.054_057), '0.05406');
  assert.equal(figureText(0.000_012_34), '1.234e-5');
  assert.equal(figureText(0.000_012_000_01), '1.200e-5');
  assert.equal(figureText(53.998), '54.00');
  assert.equal(figureText(12_345.6), '12350');
  assert.equal(figureText(512), '512');
  assert.equal(figureText(0), '0');
  assert.equal(figureText(undefined), '–');
});
