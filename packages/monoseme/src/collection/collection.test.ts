import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { selectBackend } from '../kernels/index.ts';
import { addOtherModel, buildSmallCollection, SMALL_MEMBERS } from '../testing/small-collection.ts';
import { type Collection, openCollection, pairsOfSite } from './index.ts';
import { MATCHES_PER_LATENT } from './matches.ts';

let folder: string;
let collection: Collection;
const open = async (...paths: string[]) => openCollection(paths, await selectBackend({ name: 'reference' }));
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monoseme-collection-'));
  await buildSmallCollection(folder);
  collection = await open(folder);
});
after(() => rm(folder, { recursive: true, force: true }));

function unpacked(bytes: Uint8Array<ArrayBuffer>): [number, number][][] {
  const view = new DataView(bytes.buffer);
  const rows = bytes.length / (8 * MATCHES_PER_LATENT);
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: MATCHES_PER_LATENT }, (_, i): [number, number] => {
      const at = 8 * (row * MATCHES_PER_LATENT + i);
      return [view.getInt32(at, true), view.getFloat32(at + 4, true)];
    }),
  );
}

test('the indexes below a folder are its members, named by their folders, with their figures', () => {
  const { members, matches } = collection.manifest.details;
  assert.deepEqual(
    members.map(({ name }) => name),
    [...SMALL_MEMBERS].sort(),
  );
  const small = members.find(({ name }) => name === 'small')!;
  assert.equal(small.l0, 3.25);
  assert.equal(small.loss_recovered, 0.95);
  // One of 24 latents never fires.
  assert.ok(Math.abs(small.dead! - 1 / 24) < 1e-9);
  assert.equal(
    small.densities!.counts.reduce((a, b) => a + b),
    23,
  );
  assert.equal(new Set(members.map(({ corpus }) => corpus)).size, 1);
  assert.equal(matches.length, 6);
});

test('matches are the nearest directions by cosine, as a comparison of all pairs finds them', async () => {
  const rows = unpacked(await collection.matches('coarse--small.bin'));
  assert.equal(rows.length, 12);
  rows.forEach((row, latent) => {
    const best = row.slice(0, 2);
    // Direction 6 of the small dictionary leans on input 7, so it is nearer to the coarse 3 than 7 is.
    assert.deepEqual(
      best.map(([other]) => other).sort((a, b) => a - b),
      [2 * latent, 2 * latent + 1],
    );
    for (const [other, cosine] of best) {
      const expected = other === 6 ? 1.5 / Math.sqrt(2.5) : Math.SQRT1_2;
      assert.ok(Math.abs(cosine - expected) < 1e-6, `${latent} ${other} ${cosine}`);
    }
    assert.deepEqual(row[2], [-1, 0]);
  });
  const back = unpacked(await collection.matches('fine--small.bin'));
  assert.deepEqual(
    back.map(([[best]]) => best),
    Array.from({ length: 48 }, (_, latent) => Math.floor(latent / 2)),
  );
  await assert.rejects(collection.matches('small--small.bin'), { code: 'ERR_OPTION' });
});

test('a run without an index has its figures, a damaged index its problem, and neither is matched', async () => {
  const sweep = join(folder, '../', `${folder.split('/').at(-1)}-sweep`);
  try {
    await mkdir(join(sweep, 'dictionaries/run-1'), { recursive: true });
    const row = { architecture: 'topk', model: 'models/tiny', hook: 'h', d_sae: 64, k: 8, l0: 8, dead: 16 };
    await writeFile(join(sweep, 'dictionaries/run-1/result.json'), JSON.stringify({ settings: '', row }));
    await mkdir(join(sweep, 'dictionaries/run-2/index'), { recursive: true });
    const manifest = join(folder, 'small/index/manifest.json');
    await copyFile(manifest, join(sweep, 'dictionaries/run-2/index/manifest.json'));
    const { members, matches } = (await open(sweep, join(folder, 'fine'))).manifest.details;
    const [first, second, third] = members;
    assert.equal(first.indexed, false);
    assert.equal(first.problem, null);
    assert.equal(first.dead, 0.25);
    assert.equal(first.model_name, 'tiny');
    assert.match(second.problem!, /is missing/);
    assert.equal(third.indexed, true);
    assert.deepEqual(matches, []);
    assert.equal(new Set(members.map(({ name }) => name)).size, 3);
  } finally {
    await rm(sweep, { recursive: true, force: true });
  }
});

test('a dictionary that changed since is not compared; a folder without indexes is an error', async () => {
  const other = await mkdtemp(join(tmpdir(), 'monoseme-collection-'));
  try {
    await assert.rejects(open(other), { code: 'ERR_NOT_FOUND' });
    await buildSmallCollection(other);
    const opened = await open(other);
    await copyFile(join(other, 'fine/sae_weights.safetensors'), join(other, 'small/sae_weights.safetensors'));
    await assert.rejects(opened.matches('small--coarse.bin'), { code: 'ERR_MISMATCH' });
    await truncate(join(other, 'small/sae_weights.safetensors'), 10);
    await assert.rejects(opened.matches('small--coarse.bin'));
    assert.equal((await opened.matches('coarse--fine.bin')).length, 12 * 8 * MATCHES_PER_LATENT);
  } finally {
    await rm(other, { recursive: true, force: true });
  }
});

test('an analysis of universality in the folder matches two members, by the hashes of their dictionaries', async () => {
  const runs = join(folder, 'two-models');
  await buildSmallCollection(runs);
  await addOtherModel(runs);
  const found = await open(runs);
  const { members, correlations, matches } = found.manifest.details;
  const place = (name: string) => members.findIndex((member) => member.name === name);
  assert.deepEqual(correlations, [[place('small'), place('other')]]);
  assert.ok(matches.every((pair) => !pair.includes(place('other'))));
  const rows = unpacked(await found.matches('small--other.activation.bin'));
  assert.deepEqual(rows[3].slice(0, 2), [
    [3, Math.fround(0.97)],
    [-1, 0],
  ]);
  assert.deepEqual(rows[4][0], [-1, 0]);
  const path = join(runs, 'analyses/universality.json');
  const analysis = JSON.parse(await readFile(path, 'utf8'));
  for (const changed of [[[24, 0.5]], [['1', 0.5]], Array(24).fill([0, 'x']), 'none']) {
    await writeFile(path, JSON.stringify({ ...analysis, latents: { matches: changed } }));
    await assert.rejects(found.matches('small--other.activation.bin'), { code: 'ERR_FORMAT' });
  }
  await writeFile(path, '{');
  assert.deepEqual((await open(runs)).manifest.details.correlations, []);
});

test('a site of many dictionaries has the pairs that differ in one thing', () => {
  const { details } = collection.manifest;
  assert.deepEqual(pairsOfSite(details), details.matches);
  const [first] = details.members;
  const members = [512, 1024, 2048].flatMap((d_sae) =>
    [1, 2, 3, 4, 5].map((sparsity) => ({ ...first, d_sae, sparsity, name: `${d_sae}-${sparsity}` })),
  );
  const all = members.flatMap((_, a) =>
    members.flatMap((_, b): [number, number][] => (a === b ? [] : [[a, b]])),
  );
  const kept = pairsOfSite({ ...details, members, matches: all });
  assert.equal(kept.length, 15 * (4 + 2));
  for (const [a, b] of kept)
    assert.ok((members[a].d_sae === members[b].d_sae) !== (members[a].sparsity === members[b].sparsity));
});
