/** What benchmarks share: their options, and `monoseme` run as a user runs it, in a process of its own. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const BIN = fileURLToPath(new URL('../packages/monoseme/bin/monoseme.js', import.meta.url));
/** Reports the peak memory of the process it is loaded into. */
const REPORT_PEAK = `data:text/javascript,process.on('exit',()=>process.stderr.write('\\npeak '+process.resourceUsage().maxRSS*1024+'\\n'))`;

/** @returns what `--json` printed, with seconds and peak memory of the whole process */
export function monoseme(args) {
  const start = performance.now();
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', REPORT_PEAK, BIN, ...args, '--json'],
    { encoding: 'utf8' },
  );
  if (status !== 0) {
    const why = stderr.split('\n').findLast((line) => line.trim() !== '' && !line.startsWith('peak '));
    throw new Error(`monoseme ${args[0]} failed: ${why}`);
  }
  const seconds = (performance.now() - start) / 1000;
  return { ...JSON.parse(stdout), seconds, peak_memory_bytes: Number(/^peak (\d+)$/m.exec(stderr)[1]) };
}

/** A dictionary of the embedded model, trained into a folder. */
export function trained(out, quick, dSae = 4096) {
  const small = quick
    ? ['--tokens', '20k', '--d-sae', '64', '--batch-rows', '256']
    : ['--tokens', '1.5M', '--d-sae', String(dSae)];
  monoseme(['train', '--model', 'one-layer-a', '--hook', 'blocks.0.mlp.hook_post', ...small, '--out', out]);
  return out;
}

/**
 * The options of a benchmark: its own, `quick`, `json` and `help`.
 *
 * @returns what was given, and where lines for a reader go (beside lines of JSON: to stderr); undefined where help was asked
 * for, which it has printed
 */
export function benchOptions(args, help, own) {
  const common = {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean' },
    help: { type: 'boolean' },
  };
  const { values: flags } = parseArgs({ args, options: { ...own, ...common } });
  if (flags.help) return void console.log(help);
  return { flags, log: (line) => (flags.json ? console.error(line) : console.log(line)) };
}

/**
 * Do what was asked on the command line. What was wrong with it, or with what was measured, is one line and exit code 1; an
 * error in the code keeps its stack.
 */
export async function asCommand(work) {
  try {
    await work();
  } catch (error) {
    console.error(error.constructor === Error || error.code ? error.message : error);
    process.exitCode = 1;
  }
}

/** Work in a folder that goes when it is done. */
export async function withFolder(name, work) {
  const folder = mkdtempSync(join(tmpdir(), `monoseme-bench-${name}-`));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The same with Chromium. */
export async function withBrowser(name, work) {
  const { launchBrowser } = await import('../packages/explorer/test/browser.js');
  const { browser, reason } = await launchBrowser();
  if (!browser) throw new Error(`No browser starts: ${reason}`);
  try {
    await withFolder(name, (folder) => work(browser, folder));
  } finally {
    await browser.close();
  }
}
