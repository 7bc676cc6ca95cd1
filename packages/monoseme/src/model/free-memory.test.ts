import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { free_ } from './free-memory.ts';

test('memory is free at once, before garbage is collected', async () => {
  await sleep(1); // the port closes in a turn of the event loop
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 64; i++) {
    const [first, second] = [new Uint8Array(2 ** 20), new Float32Array(2 ** 18)];
    free_([first, second]);
    assert.deepEqual([first.length, second.length], [0, 0]);
    assert.ok(process.memoryUsage().arrayBuffers < before + 2 ** 20);
  }
});
