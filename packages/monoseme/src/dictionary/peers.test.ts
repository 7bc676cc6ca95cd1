/**
 * What is written is loaded by the Python packages themselves, which find their own golden values in it again. Run by
 * `npm run test:peers`, which installs them and says where they are; without it every test says why it is skipped.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DICTIONARIES, dictionaryPath } from '../testing/dictionary-fixtures.ts';
import { hasPlace, WRITERS } from '../testing/dictionary-writers.ts';
import { fixture } from '../testing/fixtures.ts';
import { loadDictionary } from './load.ts';

/** Package → the Python that has it, or why there is none. */
const PEERS = JSON.parse(process.env['MONOSEME_PEERS'] ?? '{}') as Record<
  string,
  { python?: string; why?: string }
>;

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monoseme-peers-'));
});
after(async () => {
  await rm(folder, { recursive: true });
});

/** SAELens has transcoders of ReLU and JumpReLU alone. */
const NOT_IN_SAELENS = ['sparsify-transcoder'];

for (const [peer, format] of [
  ['saelens', 'saelens'],
  ['sparsify', 'sparsify'],
  ['dictionary_learning', 'dictionary-learning'],
] as const) {
  const { python, why = 'npm run test:peers runs it' } = PEERS[peer] ?? {};
  test(`${peer} loads what is written for it`, { skip: python === undefined && why }, async () => {
    const written: string[] = [];
    for (const name of DICTIONARIES) {
      const dictionary = await loadDictionary(dictionaryPath(name));
      if (!hasPlace(format, dictionary) || (format === 'saelens' && NOT_IN_SAELENS.includes(name))) continue;
      await WRITERS[format](join(folder, format, name), dictionary);
      written.push(name);
    }
    const args = [fixture('make-dictionaries.py'), 'check', join(folder, format)];
    const { status, stdout, stderr } = spawnSync(python as string, args, { encoding: 'utf8' });
    assert.equal(status, 0, stderr.slice(-2000));
    for (const name of written)
      assert.match(stdout, new RegExp(`^${name}: [1-9]\\d* activations agree$`, 'm'));
  });
}
