/** `npm run quality`, shortened: its output has the promised form, and every architecture learns. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ARCHITECTURES } from 'monoseme/dictionary';
import { qualitySets } from '../bench/quality-sets.js';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const ONE_HOOK_POINT = ARCHITECTURES.filter(({ rows = 'activations' }) => rows === 'activations');

function quality(...args) {
  return spawnSync(process.execPath, [join(root, 'bench/quality.js'), ...args], {
    cwd: root,
    encoding: 'utf8',
  });
}

/** Lines of `--json` as a map from "set architecture dSae metric" to the value. */
function figuresOf(stdout) {
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  for (const line of lines)
    assert.deepEqual(Object.keys(line), ['set', 'architecture', 'dSae', 'seed', 'metric', 'value']);
  return new Map(
    lines.map((line) => [`${line.set} ${line.architecture} ${line.dSae} ${line.metric}`, line.value]),
  );
}

describe('npm run quality', { timeout: 900_000 }, () => {
  test('--quick: every target of the small set is reached, by every architecture of one hook point', () => {
    const { status, stdout, stderr } = quality('--quick', '--json');
    assert.equal(status, 0, stderr);
    const figures = figuresOf(stdout);
    for (const { name } of ONE_HOOK_POINT) assert.ok(figures.has(`small ${name} 128 mcc`), name);
    assert.doesNotMatch(stderr, / NOT$/m);
    // Of each: MMCS, the share above 0.9 and L0; and three L0 that are steered.
    assert.equal(stderr.match(/ reached$/gm).length, 3 * ONE_HOOK_POINT.length + 3);
  });

  test('published rows stand beside ours', () => {
    const { stdout } = quality('--set', 'planted', '--architecture', 'topk', '--steps', '0.01');
    assert.match(stdout, /^monoseme +topk .*\n(\S.*\n)+Published: a reference implementation/m);
  });

  test('what is known is printed before the rest has ended, also where that is cut off', async () => {
    const args = ['--set', 'small', '--architecture', 'topk', '--steps', '0.1', '--seeds', '1000', '--json'];
    const child = spawn(process.execPath, [join(root, 'bench/quality.js'), ...args], { cwd: root });
    const ended = once(child, 'close');
    const printed = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'])
      child[name].on('data', (data) => {
        printed[name] += data;
        if (/"seed":1,/.test(printed.stdout) && !child.killed) child.kill('SIGINT');
      });
    assert.deepEqual(await ended, [1, null], printed.stderr);
    const seeds = printed.stdout.match(/(?<="mcc","value":)0\.\d+/g);
    assert.ok(seeds.length >= 2 && seeds.length < 1000);
    assert.match(printed.stderr, /^small, seed 0\n.*\nmonoseme +topk .*\n\n/m);
    const mean = seeds.reduce((sum, value) => sum + Number(value), 0) / seeds.length;
    const beside = /^small: 32 inputs.*\n.*\nmonoseme +topk +(?:\S+ +){7}(\S+)/m.exec(printed.stderr);
    assert.equal(beside[1], mean.toFixed(3));
    assert.match(printed.stderr, /^small +topk +128 +mmcs .*\n[^]*Interrupted\.\n$/m);
  });

  test('every architecture of one hook point is on every set', () => {
    for (const [name, { cases }] of Object.entries(qualitySets(0.1, 0.1)))
      for (const { name: architecture } of ONE_HOOK_POINT)
        assert.ok(architecture in cases, `${name}: ${architecture}`);
  });

  test('unknown names are refused with those there are', () => {
    const { status, stderr } = quality('--set', 'plante');
    assert.notEqual(status, 0);
    assert.match(stderr, /^--set is plante; it takes small, planted, crowded.*\n$/);
  });
});
