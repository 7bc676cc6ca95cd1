/** The paper in one command, on tiny sizes. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import Ajv from 'ajv';

const BIN = fileURLToPath(new URL('../../bin/monoseme.js', import.meta.url));
const SCHEMA = fileURLToPath(new URL('../../../../docs/reproduction.schema.json', import.meta.url));

interface StoredClaim {
  readonly id: string;
  readonly value: number | null;
  readonly command: string;
}

test('reproduce: one report, every claim with its figure; a second run does nothing again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'monoseme-reproduce-'));
  const reproduce = () => {
    const args = [BIN, 'reproduce', '--quick', '--out', 'paper', '--json'];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    return { ...(JSON.parse(stdout) as Record<string, string>), stderr };
  };
  try {
    const first = reproduce() as unknown as Record<'report' | 'page' | 'stderr', string>;
    const bytes = await readFile(join(folder, first.report), 'utf8');
    const json = JSON.parse(bytes) as { claims: StoredClaim[] };
    const validate = new Ajv().compile(JSON.parse(await readFile(SCHEMA, 'utf8')) as object);
    assert.ok(validate(json), JSON.stringify(validate.errors));
    const page = await readFile(join(folder, first.page), 'utf8');
    assert.doesNotMatch(page, /NaN|undefined|https?:\/\/(?!www\.w3\.org)/);
    const claimed = new Map(json.claims.map((claim) => [claim.id, claim]));
    assert.equal(claimed.size, json.claims.length);

    // The command of a claim gives its figure.
    const { command, value } = claimed.get('loss-recovered')!;
    const args = [BIN, ...command.split(' ').slice(1), '--json'];
    const alone = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
    assert.equal(alone.status, 0, alone.stderr);
    assert.equal((JSON.parse(alone.stdout) as { ce_loss_score: number }).ce_loss_score, value);

    const step = join(folder, 'paper/steps/universality.json');
    const { mtimeMs } = await stat(step);
    const second = reproduce() as unknown as Record<'report' | 'stderr', string>;
    assert.equal((await stat(step)).mtimeMs, mtimeMs);
    assert.match(second.stderr, /^universality +unchanged/m);
    assert.doesNotMatch(second.stderr, /^train /m);
    assert.equal(await readFile(join(folder, second.report), 'utf8'), bytes);
  } finally {
    await rm(folder, { recursive: true });
  }
});
