import assert from 'node:assert/strict';
import { test } from 'node:test';
import { architectureNamed } from '../dictionary/index.ts';
import { prepareRows_, rowLayout, sidesOf } from './row-layout.ts';

test('prepared rows of a transcoder are all inputs, then all targets, times their factors', () => {
  for (const [nRows, dIn, dOut] of [
    [1, 3, 2],
    [7, 4, 4],
    [5, 3, 7],
    [64, 12, 8],
    [33, 10, 5],
    [0, 2, 3],
  ]) {
    const widths = [dIn, dOut];
    const layout = rowLayout({ dIn: dIn + dOut, widths }, architectureNamed('transcoder'), [2, -1]);
    const inputs = Float32Array.from({ length: nRows * dIn }, (_, i) => 2 * i);
    const targets = Float32Array.from({ length: nRows * dOut }, (_, i) => -1 - i);
    const rows = new Float32Array(inputs.length + targets.length);
    for (let row = 0; row < nRows; row++) {
      const start = row * (dIn + dOut);
      for (let i = 0; i < dIn; i++) rows[start + i] = inputs[row * dIn + i] / 2;
      for (let i = 0; i < dOut; i++) rows[start + dIn + i] = -targets[row * dOut + i];
    }
    const { x, target } = sidesOf(prepareRows_(rows, layout), layout);
    assert.deepEqual(x, inputs);
    assert.deepEqual(target, targets);
    assert.equal(target.buffer, rows.buffer);
  }
});
