/**
 * `npm run bench -- demo`: the main job from nothing to the index, in a process of its own, against the figures it has
 * to reach.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { benchOptions } from './command.js';
import { environmentText, jsonLine, summarize, table } from './measure.js';

const HELP = `Usage: npm run bench -- demo [options]

The whole of \`npm start\` without serving the page: seconds, peak memory, and how good the dictionary is.

  --rounds <n>    runs (default: 1)
  --quick         a tiny run that checks the benchmark itself
  --json          lines of JSON on stdout, everything else on stderr`;

const BIN = fileURLToPath(new URL('../packages/monoseme/bin/monoseme.js', import.meta.url));

/** Figure, unit, and what it has to be on a 2-core machine. */
const FIGURES = [
  ['seconds', 's', 'at most 240'],
  ['peak_memory_bytes', 'byte', 'under 2147483648'],
  ['tokens', 'token', 'at least 1500000'],
  ['d_sae', 'latent', '4096'],
  ['l0', 'latent', '10 to 40'],
  ['ce_loss_score', 'share', 'at least 0.9'],
  ['frac_dead', 'share', 'under 0.1'],
];

/** @param {string[]} args command-line options */
export async function demo(args) {
  const options = {
    rounds: { type: 'string', default: '1' },
  };
  const asked = benchOptions(args, HELP, options);
  if (!asked) return;
  const { flags, log } = asked;
  log(`${environmentText()}\n`);
  const results = Array.from({ length: Number(flags.rounds) }, () => runDemo(flags.quick));
  const rows = FIGURES.map(([metric, unit, target]) => {
    const summary = summarize(results.map((result) => result[metric]));
    if (flags.json) console.log(jsonLine('demo', 'npm start', results[0].backend, metric, unit, summary));
    return [
      metric,
      ...[summary.min, summary.median, summary.max].map((value) => String(Number(value.toFixed(4)))),
      target,
    ];
  });
  log(table(['figure', 'min', 'median', 'max', 'to reach'], rows));
}

function runDemo(quick) {
  const out = mkdtempSync(join(tmpdir(), 'monoseme-bench-demo-'));
  try {
    const small = quick ? ['--tokens', '20k', '--d-sae', '64', '--batch-rows', '256'] : [];
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [BIN, 'demo', '--no-serve', '--json', '--out', out, ...small],
      { encoding: 'utf8' },
    );
    if (status !== 0) throw new Error(`The demo failed: ${stderr.trim().split('\n').at(-1)}`);
    return JSON.parse(stdout);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}
