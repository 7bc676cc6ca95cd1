/**
 * `npm run bench -- sizes`: memory and time a million tokens of training, for ten dictionary sizes. Each size runs in
 * a process of its own. `node bench/sizes.js` runs it alone.
 */
import { availableParallelism, freemem } from 'node:os';
import { join } from 'node:path';
import { benchOptions } from './command.js';
import { environmentText, grouped, jsonLine, mebibytes, summarize, table } from './measure.js';
import { RunnerProcess } from './runner-process.js';

const HELP = `Usage: npm run bench -- sizes [options]

Memory and time a million tokens of training steps, for ten dictionary sizes. Reading activations and the mixing
buffer (2 · 4 · d_in bytes a row) are not part of it.

  --size <d_in>x<d_sae>  a size; may be repeated (default: ten, from 512x512 to 512x131072 and 2304x65536)
  --batch <n>            rows of a step (default: 4096)
  --l0 <n>               active latents a row (default: 64)
  --steps <n>            timed steps, after one that is not timed (default: 3)
  --threads <n>          threads (default: all cores)
  --quick                a tiny run that checks the benchmark itself
  --json                 lines of JSON on stdout, everything else on stderr`;

const OPTIONS = {
  size: { type: 'string', multiple: true },
  batch: { type: 'string' },
  l0: { type: 'string' },
  steps: { type: 'string' },
  threads: { type: 'string' },
};

const SIZES = [512, 2048, 4096, 8192, 16384, 32768, 65536, 131072].map((dSae) => `512x${dSae}`);
const WIDE_SIZES = ['2304x16384', '2304x65536'];

/** @param {string[]} args command-line options */
export async function sizes(args) {
  const asked = benchOptions(args, HELP, OPTIONS);
  if (!asked) return;
  const { flags, log } = asked;
  const { shapes, steps } = plan(flags);
  log(environmentText());
  log(`batch    ${shapes[0].nRows} rows, L0 ${shapes[0].l0}, ${shapes[0].threads} threads\n`);
  const rows = [];
  for (const shape of shapes) {
    const needed = stateBytes(shape) * 1.1;
    const name = `d_in ${shape.dIn}, d_sae ${shape.dSae}`;
    if (needed > freemem()) {
      log(`${name} is left out: it needs ${mebibytes(needed)} MiB, and ${mebibytes(freemem())} are free.`);
      continue;
    }
    const result = await measure(shape, steps);
    if (flags.json) printJson(name, result);
    process.stderr.write(`  ${name}: ${(result.step.median * 1000).toFixed(0)} ms a step\n`);
    rows.push(tableRow(shape, result));
  }
  if (!flags.json) console.log(`\n${table(HEADER, rows)}`);
}

function plan(flags) {
  const number = (name, fallback) => {
    const value = Number(flags[name] ?? fallback);
    if (Number.isInteger(value) && value > 0) return value;
    throw new Error(`--${name} is ${flags[name]}; it takes a whole number above 0.`);
  };
  const quick = flags.quick === true;
  const common = {
    nRows: number('batch', quick ? 200 : 4096),
    l0: number('l0', quick ? 16 : 64),
    threads: number('threads', availableParallelism()),
  };
  const named = flags.size ?? (quick ? ['64x256', '64x512'] : [...SIZES, ...WIDE_SIZES]);
  const shapes = named.map((size) => {
    const [, dIn, dSae] = /^(\d+)x(\d+)$/.exec(size) ?? [];
    if (!(dIn > 0 && dSae > 0)) throw new Error(`--size is ${size}; it is given as <d_in>x<d_sae>.`);
    return { ...common, dIn: Number(dIn), dSae: Number(dSae) };
  });
  return { shapes, steps: number('steps', quick ? 2 : 3) };
}

/** Both weight matrices with their two moments, and the batch. */
function stateBytes({ dIn, dSae, nRows }) {
  return 4 * dIn * (6 * dSae + nRows);
}

async function measure(shape, steps) {
  const runner = await RunnerProcess.start(process.execPath, [
    join(import.meta.dirname, 'size-runner.js'),
    JSON.stringify(shape),
  ]);
  try {
    await runner.ask({ count: 1 });
    const { seconds, l0, peakMemory } = await runner.ask({ count: steps });
    return {
      contestant: runner.ready.version,
      step: summarize(seconds),
      million: summarize(seconds.map((time) => (time * 1e6) / shape.nRows)),
      l0,
      peakMemory,
      working: peakMemory - runner.ready.idleMemory - stateBytes(shape),
    };
  } finally {
    runner.kill();
  }
}

const HEADER = [
  'd_in',
  'd_sae',
  'ms a step',
  'tokens/s',
  'a million tokens',
  'peak MiB',
  'weights and moments',
  'working',
  'of at most',
  'L0',
];

/** What a step may hold beyond weights, moments and batch: a tenth of the weights and 64 MiB. */
function workingLimit({ dIn, dSae }) {
  return 0.1 * 8 * dIn * dSae + 64 * 2 ** 20;
}

function tableRow({ dIn, dSae, nRows }, { step, million, peakMemory, working, l0 }) {
  const weights = 24 * dIn * dSae;
  return [
    String(dIn),
    grouped(dSae),
    (step.median * 1000).toFixed(0),
    grouped(nRows / step.median),
    duration(million.median),
    mebibytes(peakMemory),
    mebibytes(weights),
    mebibytes(working),
    mebibytes(workingLimit({ dIn, dSae })),
    l0.toFixed(1),
  ];
}

function duration(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
}

function printJson(case_, { contestant, step, million, peakMemory, working, l0 }) {
  const print = (metric, unit, summary) =>
    console.log(jsonLine('sizes', case_, contestant, metric, unit, summary));
  print('step', 's', step);
  print('million tokens', 's', million);
  print('peak memory', 'bytes', summarize([peakMemory]));
  print('working memory', 'bytes', summarize([working]));
  print('l0', '', summarize([l0]));
}

if (process.argv[1] === import.meta.filename) {
  await sizes(process.argv.slice(2)).catch((error) => {
    console.error(`bench sizes: ${error.message}`);
    process.exitCode = 1;
  });
}
