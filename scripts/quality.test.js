/** `npm run quality`, shortened: its output has the promised form, and what it trains learns. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ARCHITECTURES } from 'monoseme/dictionary';
import { qualitySets } from '../bench/quality-sets.js';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

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

describe('npm run quality', { timeout: 300_000 }, () => {
  test('a third of the steps on the planted set: the features are found, as sparsely as asked', () => {
    const architectures = ['topk', 'batchtopk', 'standard'].flatMap((name) => ['--architecture', name]);
    const { status, stdout, stderr } = quality(
      '--json',
      '--set',
      'planted',
      '--steps',
      '0.35',
      ...architectures,
    );
    assert.equal(status, / NOT$/m.test(stderr) ? 1 : 0, `exit code ${status}\n${stderr}`);
    const figures = figuresOf(stdout);
    for (const architecture of ['topk', 'batchtopk']) {
      const figure = (metric) => figures.get(`planted ${architecture} 256 ${metric}`);
      assert.ok(figure('mmcs') >= 0.95, `${architecture}: MMCS ${figure('mmcs')}`);
      assert.ok(figure('mcc') >= 0.93, `${architecture}: MCC ${figure('mcc')}`);
      assert.ok(figure('l0') > 2.5 && figure('l0') < 3.3, `${architecture}: L0 ${figure('l0')}`);
    }
    assert.ok(figures.get('planted standard 256 mmcs') >= 0.9, `${figures.get('planted standard 256 mmcs')}`);
    assert.match(stderr, /planted: .*\n.*MMCS[^]*SAELens|reference/, 'published rows beside ours');
    assert.match(stderr, /mmcs ≥ 0.99 .*(reached|NOT)/);
  });

  test('every architecture of one hook point is on every set', () => {
    const expected = ARCHITECTURES.filter(({ rows = 'activations' }) => rows === 'activations');
    for (const [name, { cases }] of Object.entries(qualitySets(0.1, 0.1)))
      for (const { name: architecture } of expected)
        assert.ok(architecture in cases, `${name}: ${architecture}`);
  });

  test('unknown names are refused with those there are', () => {
    const { status, stderr } = quality('--set', 'plante');
    assert.notEqual(status, 0);
    assert.match(stderr, /--set is plante; it takes planted, crowded/);
  });
});
