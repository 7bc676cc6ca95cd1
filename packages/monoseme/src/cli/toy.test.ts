import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { skipReason } from '../testing/every-backend.ts';

const MAIN = fileURLToPath(new URL('../../bin/monoseme.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'monoseme-toy-'));
after(() => rmSync(folder, { recursive: true }));

const monoseme = (...args: string[]) => spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });

test('classical methods and an architecture on known features: a table of figures and a plot', () => {
  const svg = join(folder, 'toy.svg');
  const sizes = ['--steps', '20', '--classical-rows', '200', '--d-sae', '48'];
  const chosen = ['--set', 'circle', '--architecture', 'topk'];
  const { status, stdout, stderr } = monoseme('toy', ...chosen, ...sizes, '--out', svg, '--json');
  assert.equal(status, 0, stderr);
  const { methods, k } = JSON.parse(stdout);
  assert.equal(k, 3);
  const by = new Map<string, Record<string, number>>(
    methods.map((one: { method: string; kind: string }) => [`${one.kind}: ${one.method}`, one]),
  );
  const classical = ['random', 'data-points', 'pca', 'fast-ica', 'mod', 'k-svd'];
  const truth = ['omp', 'ista', 'fista'];
  assert.deepEqual(
    [...by.keys()],
    [
      ...truth.map((name) => `true directions: ${name}`),
      ...classical.map((name) => `classical: ${name}`),
      'autoencoder: topk',
    ],
  );
  assert.ok(by.get('true directions: omp')!['mcc'] > 0.999);
  assert.ok(by.get('true directions: omp')!['f1'] > 0.7);
  const sae = by.get('autoencoder: topk')!;
  assert.equal(sae['d_sae'], 48);
  // A search with the same directions and as many of them explains at least as much as one linear step.
  assert.ok(sae['amortisation_gap'] > 0);
  assert.ok('in_plane' in sae);
  assert.match(readFileSync(svg, 'utf8'), /^<svg[^]*>topk<[^]*topk: MCC 0\.\d{3}</);
});

test('two tables, within 80 columns, with what their headings mean', () => {
  const sizes = ['--steps', '1', '--classical-rows', '100', '--d-sae', '24', '--no-architectures'];
  const { status, stdout, stderr } = monoseme('toy', '--set', 'circle', ...sizes);
  assert.equal(status, 0, stderr);
  for (const line of `${stdout}${stderr}`.split('\n')) assert.ok(line.length <= 80, line);
  assert.match(stdout, /^method +latents +dead +MMCS +reverse +> 0\.9 +MCC +circle\nrandom +24 +\d/m);
  assert.match(stdout, /^method +L0 +F1 +expl\. var\. +gap to OMP +seconds\nomp, true directions +\d/m);
  for (const heading of ['MMCS', 'reverse', '> 0.9', 'MCC', 'circle', 'F1', 'gap to OMP'])
    assert.ok(stdout.replaceAll('\n', ' ').includes(`${heading}: `), heading);
  assert.doesNotMatch(stderr, /^train/m);
});

test('contradictory flags, unknown names and sizes that cannot work are refused before any work', () => {
  const refused: [string[], RegExp][] = [
    [['--no-architectures', '--architecture', 'topk'], /--architecture topk and --no-architectures/],
    [['--set', 'plantd'], /nearest is planted/],
    [['--architecture', 'topkk'], /nearest is topk\./],
    [['--architecture', 'crosscoder'], /crosscoder reads several hook points/],
    [['--k', '600'], /ERR_OPTION: --k is 600, more than the 256 latents of --d-sae/],
    [['--steps', '0'], /'--steps <n>' argument '0' is invalid. It takes a whole number of at least 1/],
    [['--l1', '-1'], /'--l1 <λ>' argument '-1' is invalid. It takes a number of at least 0/],
  ];
  for (const [flags, message] of refused) {
    const { status, stderr } = monoseme('toy', ...flags);
    assert.equal(status, 2, stderr);
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /true codes/);
  }
});

test('--instruction-set forces a code path, or says why not', { skip: skipReason('portable') }, () => {
  const least = ['toy', '--set', 'circle', '--no-architectures', '--steps', '1', '--classical-rows', '100'];
  const forced = monoseme(...least, '--d-sae', '8', '--instruction-set', 'portable');
  assert.equal(forced.status, 0, forced.stderr);
  assert.match(forced.stderr + forced.stdout, /^kernels +native portable/m);
  const absent = monoseme(...least, '--instruction-set', 'mmx');
  assert.match(absent.stderr, /^ERR_BACKEND: The instruction set mmx is not available here/m);
  const reference = monoseme(...least, '--backend', 'reference', '--instruction-set', 'portable');
  assert.equal(reference.status, 2);
  assert.match(reference.stderr, /^ERR_OPTION: The reference has no instruction sets/m);
});
