/** Crosscoders of two models, from the command line. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../../bin/monoseme.js', import.meta.url));
const HOOK = 'blocks.0.mlp.hook_post';
const MODELS = ['one-layer-a', 'one-layer-b'];
const storeOf = (model: string): string => `store of ${model}`;
let folder: string;
let text: string[];

function monoseme(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...args, '--json'], {
    cwd: folder,
    encoding: 'utf8',
  });
  return { status, stdout, last: stderr.trimEnd().split('\n').at(-1)! };
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monoseme-crosscoder-'));
  const words = ['the cat sat', 'on a mat', 'and 1 2 3', 'return x; }'];
  const path = join(folder, 'text.txt');
  await writeFile(path, Array.from({ length: 3000 }, (_, i) => words[(i * i + i) % 4]).join('\n'));
  text = ['--text', path, '--split', 'all', '--tokens', '8k'];
  for (const model of MODELS) {
    const harvested = monoseme('harvest', model, '--hook', HOOK, ...text, '--out', storeOf(model));
    assert.equal(harvested.status, 0, harvested.last);
  }
  const size = [
    '--architecture',
    'crosscoder',
    '--d-sae',
    '64',
    '--batch-rows',
    '256',
    '--buffer-rows',
    '4096',
  ];
  const models = MODELS.flatMap((model) => ['--model', model]);
  const trained = monoseme('train', ...models, '--hook', HOOK, ...text, ...size, '--out', 'dictionary');
  assert.equal(trained.status, 0, trained.last);
});
after(() => rm(folder, { recursive: true }));

test('a report for each source, on the models and on stores', () => {
  const onModels = monoseme('evaluate', 'dictionary', ...text);
  assert.equal(onModels.status, 0, onModels.last);
  const { sources } = JSON.parse(onModels.stdout);
  assert.deepEqual(
    sources.map((source: Record<string, string>) => [source['hook_name'], source['model_name']]),
    MODELS.map((model) => [HOOK, model]),
  );
  const stores = MODELS.flatMap((model) => ['--store', storeOf(model)]);
  const onStores = monoseme('evaluate', 'dictionary', ...stores, '--out', 'alone');
  assert.equal(onStores.status, 0, onStores.last);
  JSON.parse(onStores.stdout).sources.forEach((source: Record<string, number>, i: number) => {
    assert.ok(Number.isFinite(sources[i]['ce_loss_score']) && source['ce_loss_score'] === undefined);
    // The stores are in half precision.
    assert.ok(Math.abs(source['explained_variance'] - sources[i]['explained_variance']) < 1e-3);
    assert.ok(existsSync(join(folder, `dictionary/source-${i + 1}/evaluation.html`)));
  });
});

test('other stores, other models, what does not go with a crosscoder', async () => {
  const refused = (code: string, message: RegExp, ...args: string[]) => {
    const { status, stdout, last } = monoseme('evaluate', 'dictionary', ...args);
    assert.notEqual(status, 0);
    assert.equal(stdout, '');
    assert.ok(last.startsWith(code), last);
    assert.match(last, message);
  };
  refused(
    'ERR_MISMATCH',
    /source 1 of the crosscoder/,
    ...['--store', storeOf(MODELS[1]), '--store', storeOf(MODELS[0])],
  );
  refused('ERR_USAGE', /reads 2 hook points, but there are 1 stores/, '--store', storeOf(MODELS[0]));
  refused('ERR_USAGE', /names one model, but the crosscoder reads 2/, '--model', MODELS[0]);
  refused('ERR_USAGE', /--hook/, '--hook', HOOK);
  const path = join(folder, 'dictionary/cfg.json');
  const config = JSON.parse(await readFile(path, 'utf8'));
  config.sources[1].model_sha256 = '0'.repeat(64);
  await writeFile(path, JSON.stringify(config));
  refused('ERR_MISMATCH', /source 2 of the crosscoder was trained on/, ...text);
});
