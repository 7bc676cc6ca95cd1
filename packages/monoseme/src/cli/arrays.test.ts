/** The way of a model that reads arrays: everything but what needs tokens. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openFeatureIndex } from '../features/index.ts';
import { writeSafetensors } from '../formats/index.ts';
import { Random } from '../random/index.ts';
import { fixture } from '../testing/fixtures.ts';

const BIN = fileURLToPath(new URL('../../bin/monoseme.js', import.meta.url));
const N = 200;
const AXES = ['--sample-axes', 'batch,channel,patch'];
let folder: string;
let recordings: string;
let hook: string[];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monoseme-cli-arrays-'));
  recordings = join(folder, 'recordings.safetensors');
  const random = new Random(1);
  const data = Float32Array.from({ length: N * 72 }, () => random.normal());
  await writeSafetensors(recordings, { recording: { dtype: 'F32', shape: [N, 3, 24], data } }, {});
  hook = ['--hook', 'blocks.0.hook_resid_mid'];
});
after(() => rm(folder, { recursive: true }));

function monoseme(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [BIN, ...args], { cwd: folder }, (error, stdout, stderr) =>
      error ? reject(new Error(stderr)) : resolve({ stdout, stderr }),
    );
  });
}

test('train, evaluate and index, live and from a store, with what has no meaning marked absent', async () => {
  const model = fixture('arrays/recording-torchscript.onnx');
  const input = ['--input', `recording=${recordings}`, ...AXES];
  const small = ['--tokens', '4k', '--d-sae', '32', '--batch-rows', '128', '--buffer-rows', '1024'];
  await monoseme('train', '--model', model, ...hook, ...input, ...small, '--out', 'dictionary');

  const live = await monoseme('evaluate', 'dictionary', ...input, '--json');
  const figures = JSON.parse(live.stdout);
  assert.equal(figures.n_tokens, N * 12);
  assert.ok(figures.l0 > 0 && figures.explained_variance > 0);
  assert.equal(figures.ce_loss_score, undefined);
  const report = JSON.parse(await readFile(join(folder, figures.report), 'utf8'));
  assert.ok(report.not_defined.includes('ce_loss_score') && report.not_defined.includes('kl_reconstructed'));
  assert.equal(report.n_documents, N);
  assert.deepEqual(
    report.by_position.map(({ name }: { name: string }) => name),
    ['channel 0', 'channel 1', 'channel 2', 'patch 0', 'patch 1', 'patch 2', 'patch 3'],
  );
  assert.equal(report.by_position[0].counts.tokens, N * 4);
  const page = await readFile(join(folder, figures.page), 'utf8');
  assert.match(page, /absent: no model was run on/);
  assert.doesNotMatch(page, /NaN|undefined/);

  await monoseme('harvest', model, ...hook, ...input, '--dtype', 'F32', '--out', 'store');
  const stored = await monoseme('evaluate', 'dictionary', '--store', 'store', '--json');
  for (const name of ['l0', 'mse', 'explained_variance', 'frac_dead'])
    assert.ok(Math.abs(JSON.parse(stored.stdout)[name] - figures[name]) < 1e-6, name);

  await monoseme('index', 'dictionary', ...input, '--out', 'index');
  await monoseme('index', 'dictionary', '--store', 'store', '--out', 'index-of-store');
  for (const name of ['index', 'index-of-store']) {
    const index = await openFeatureIndex(join(folder, name));
    const { corpus, logits, effects } = index.details;
    assert.deepEqual(corpus.axes, [
      { name: 'channel', size: 3 },
      { name: 'patch', size: 4 },
    ]);
    assert.deepEqual([corpus.n_contexts, corpus.vocab_size, logits, effects], [N, 12, null, null]);
    assert.equal((await index.vocabulary())[6], '⟨channel 1, patch 2⟩');
  }
});
