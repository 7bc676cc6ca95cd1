import assert from 'node:assert/strict';
import { test } from 'node:test';
import { selectBackend } from '../kernels/index.ts';
import { oneNode } from './cut.ts';
import type { Feed } from './model-inputs.ts';
import { WorkerClient } from './worker-client.ts';

const { name } = await selectBackend();
const flushes = name === 'native' && process.arch === 'x64';

test(
  'all threads of the runtime take numbers below 1.2e-38 for 0; this thread does not',
  { skip: !flushes && 'not with these kernels on this processor' },
  async () => {
    const x = new Float32Array(2 ** 20).fill(1e-39);
    x[7] = 1.5;
    const worker = new WorkerClient();
    const part = {
      bytes: oneNode('float32'),
      folder: '',
      threads: 2,
      device: 'cpu',
      optimize: true,
    } as const;
    const session = { ...part, inputs: [], reads: new Map(), gives: [], edits: [], cpuNodes: [] };
    await worker.ask('load', { as: 'part sum', session });
    const feeds: Record<string, Feed> = { x: { type: 'float32', data: x, dims: [x.length] } };
    const { y } = await worker.ask('runFeeds', { session: 'part sum', feeds });
    await worker.close();
    assert.deepEqual([y.values[7], new Set(y.values)], [3, new Set([0, 3])]);
    assert.ok(x[0] > 0 && x[0] + x[0] > x[0]);
  },
);
