import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { skipReason } from '../testing/every-backend.ts';

const PROGRAM = join(import.meta.dirname, '../testing/working-memory-process.js');
const MIB = 2 ** 20;

for (const [name, dIn, dSae, nDead] of [
  ['standard', 512, 8192, 0],
  ['topk', 512, 8192, 0],
  ['topk', 512, 8192, 2048],
  ['april-2024', 512, 8192, 0],
  ['standard', 1536, 8192, 0],
  ['gated', 1536, 8192, 0],
  ['topk', 1536, 8192, 2048],
] as const) {
  test(
    `${name}${nDead > 0 ? ' with AuxK' : ''}, ${dSae} latents of ${dIn}: a step holds less than 10 % of the weights and 64 MiB`,
    { skip: skipReason('portable') },
    () => {
      const answer = execFileSync(process.execPath, [PROGRAM, name, ...[dIn, dSae, nDead].map(String)]);
      const { l0, working, weights, batch } = JSON.parse(answer.toString()) as Record<string, number>;
      assert.ok(l0 > 30 && l0 < 130, `L0 ${l0}`);
      assert.ok(working > batch, `${working / MIB} MiB cannot hold the residuals`);
      const limit = 0.1 * weights + 64 * MIB;
      assert.ok(working < limit, `${(working / MIB).toFixed(1)} MiB of ${(limit / MIB).toFixed(1)}`);
    },
  );
}
