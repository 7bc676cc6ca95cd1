import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { skipReason } from '../testing/every-backend.ts';

const PROGRAM = join(import.meta.dirname, '../testing/working-memory-process.js');
const MIB = 2 ** 20;

for (const [name, dIn, nDead] of [
  ['standard', 512, 0],
  ['april-2024', 512, 0],
  ['p-annealing', 512, 0],
  ['jumprelu', 512, 0],
  ['january-2025', 1536, 0],
  ['gated', 1536, 0],
  ['topk', 1536, 2048],
  ['batchtopk', 512, 2048],
  ['matryoshka', 512, 0],
  ['matryoshka', 1536, 2048],
  ['matryoshka-random', 512, 2048],
  ['multi-topk', 512, 2048],
  ['multi-topk', 1536, 0],
  ['multi-topk', 1536, 2048],
  ['transcoder', 1536, 0],
  ['skip-transcoder', 512, 2048],
  ['skip-transcoder', 1536, 2048],
  ['crosscoder', 512, 0],
] as const) {
  test(
    `${name}${nDead > 0 ? ' with AuxK' : ''}, 8192 latents of ${dIn}: a step holds less than 10 % of the weights and 64 MiB`,
    { skip: skipReason('portable') },
    () => {
      const answer = execFileSync(process.execPath, [PROGRAM, name, ...[dIn, 8192, nDead].map(String)]);
      const { l0, working, weights, residuals } = JSON.parse(answer.toString()) as Record<string, number>;
      assert.ok(l0 > 30 && l0 < 130, `L0 ${l0}`);
      assert.ok(working > residuals, `${working / MIB} MiB cannot hold the residuals`);
      const limit = 0.1 * weights + 64 * MIB;
      assert.ok(working < limit, `${(working / MIB).toFixed(1)} MiB of ${(limit / MIB).toFixed(1)}`);
    },
  );
}
