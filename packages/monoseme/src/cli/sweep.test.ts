import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../bin/monoseme.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'monoseme-sweep-'));
after(() => rmSync(folder, { recursive: true }));

test('a sweep in which a run fails, and a model cannot be opened, trains the others, writes the table of all and ends with an error', () => {
  const config = join(folder, 'sweep.json');
  writeFileSync(
    config,
    JSON.stringify({
      models: ['no-such-model', 'one-layer-a'],
      hooks: ['blocks.0.mlp.hook_post'],
      architectures: [{ architecture: 'topk', k: [8], learning_rate: [1e-3, 1e30] }],
      d_sae: [64],
      seeds: [0],
      tokens: 8192,
      evaluation_tokens: 2048,
    }),
  );
  const out = join(folder, 'out');
  const sweep = (...flags: string[]) =>
    spawnSync(process.execPath, [MAIN, 'sweep', config, '--out', out, ...flags], { encoding: 'utf8' });
  const { status, stdout, stderr } = sweep('--json');
  assert.equal(status, 1, stderr);
  assert.match(stderr, /ERR_SWEEP: 3 of 4 runs failed/);
  const { runs, failed, table } = JSON.parse(stdout);
  // What cannot be used, and what the others will take, is said before anything is read.
  assert.match(
    stderr,
    /^measure +2 hook points .*\nfailed +blocks.0.mlp.hook_post of no-such-model: Could not open.*\nplan +2 dictionaries of one-layer-a at blocks.0.mlp.hook_post \[512\],\n +side by side: \d.*B of memory, \d.*B of disk\n +2 dictionaries in about \d.*\ntokens /m,
  );
  assert.equal(failed, 3);
  assert.deepEqual(
    runs.map(({ error }: { error: string }) => error === ''),
    [false, false, true, false],
  );
  const csv = table.find((file: string) => file.endsWith('.csv'));
  assert.equal(readFileSync(csv, 'utf8').trim().split('\n').length, 5);

  // Again: what is finished is not made again, and a line says what its run differs in, not what all share.
  const again = sweep();
  assert.match(again.stdout, /^1 of 4 dictionaries are finished/m);
  assert.match(again.stderr, /^plan +1 dictionary of one-layer-a /m);
  assert.match(again.stdout, /^model +architecture +settings +latents +L0 /m);
  assert.match(again.stdout, /^one-layer-a +topk +k 8, learning_rate 0\.001 +64 +8\.0 /m);
  assert.match(again.stdout, /^one-layer-a +topk +k 8, learning_rate 1e\+30 +64 +(– +){5}failed/m);
});
