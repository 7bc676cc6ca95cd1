/**
 * `npm run bench -- peers`: the same training steps in this toolkit, plain PyTorch, SAELens, dictionary_learning and
 * sparsify, in turns on this machine. `node bench/peers.js` runs it alone; `--help` lists the options.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { selectBackend } from '../packages/monoseme/dist/kernels/index.js';
import { benchOptions } from './command.js';
import { quality } from './dictionary-quality.js';
import { environmentText, grouped, jsonLine, mebibytes, summarize, table } from './measure.js';
import { activationsFile, D_IN, startWeights } from './peer-data.js';
import { fastestBlas, peerPython, torchPython } from './peer-environments.js';
import { RunnerProcess } from './runner-process.js';

const HELP = `Usage: npm run bench -- peers [options]

The same activations, start weights, batch order, steps and hyper-parameters for every contestant, in turns.
Peers are installed from PyPI into bench/peers/ when they are first needed. One case of one peer, in about a minute:
--peer sparsify --architecture topk --d-sae 4096 --rounds 1

  --peer <name>          torch, saelens, dictionary_learning or sparsify; may be repeated (default: all)
  --architecture <name>  standard (ReLU with L1) or topk; may be repeated (default: both)
  --d-sae <n>            numbers of latents; may be repeated (default: 4096 and 16384)
  --k <n>                k of topk (default: 32 up to 4096 latents, 64 above)
  --l0 <n>               L0 that standard is steered to (default: 64)
  --rounds <n>           turns of each contestant (default: 3)
  --steps <n>            timed steps of a turn, after one that is not timed (default: 2)
  --batch <n>            rows of a step (default: 4096)
  --rows <n>             rows of the training data, used in a circle (default: 131072)
  --data <kind>          model (the embedded model's MLP) or planted (default: model)
  --warm-up <n>          steps of 1,024 rows that make the common start weights; 0 starts untrained (default: 400)
  --lr <n>               learning rate (default: 3e-4)
  --threads <n>          threads of every contestant (default: all cores)
  --python <path>        an interpreter that has torch, numpy and safetensors, instead of installing them
  --stock-mkl            leave torch's MKL as it comes, also where it has faster code for this processor
  --quick                a tiny run, with the peers that are installed already
  --json                 lines of JSON on stdout, everything else on stderr`;

const OPTIONS = {
  peer: { type: 'string', multiple: true },
  architecture: { type: 'string', multiple: true },
  'd-sae': { type: 'string', multiple: true },
  k: { type: 'string' },
  l0: { type: 'string' },
  rounds: { type: 'string' },
  steps: { type: 'string' },
  batch: { type: 'string' },
  rows: { type: 'string' },
  data: { type: 'string' },
  'warm-up': { type: 'string' },
  lr: { type: 'string' },
  threads: { type: 'string' },
  python: { type: 'string' },
  'stock-mkl': { type: 'boolean' },
};

const RUNNERS = join(import.meta.dirname, 'peer-runners');
const OURS = 'monoseme';
/** Peers and the architectures that they have. */
const PEERS = {
  torch: ['standard', 'topk'],
  saelens: ['standard', 'topk'],
  dictionary_learning: ['standard', 'topk'],
  sparsify: ['topk'],
};
/** Losses closer than this count as equal quality. */
const EQUAL_LOSS = 0.01;
/** Below this share of the fp32 peak, torch's matrix product is not what this machine can do. */
const FAIR_SHARE = 0.6;

/** @param {string[]} args command-line options */
export async function peers(args) {
  const asked = benchOptions(args, HELP, OPTIONS);
  if (!asked) return;
  const { flags, log } = asked;
  const { settings, cases, names } = plan(flags);
  log(environmentText());
  warnOfLoad(log);
  const backend = await selectBackend({ threads: settings.threads });
  const contestants = openContestants(names, flags, log);
  const activations = await activationsFile(settings.dataKind, settings.nRows, log);
  for (const case_ of cases) {
    const start = await startWeights(case_, activations, backend, log);
    const results = await runCase(
      { ...case_, l1Coefficient: start.l1Coefficient },
      {
        contestants: contestants.filter(({ architectures }) => architectures.includes(case_.architecture)),
        activations,
        weights: start.path,
        backend,
        log,
      },
    );
    if (flags.json) printJson(case_, results);
    else console.log(`${resultTable(results)}\n`);
  }
}

/** Threads that wait for each other suffer most from other programs: torch more than our kernels. */
function warnOfLoad(log) {
  const [load] = loadavg();
  if (load > 0.5)
    log(`Warning: other programs are running (load ${load.toFixed(1)}); figures will be too low.`);
}

function plan(flags) {
  const number = (name, fallback, isGood = (value) => Number.isInteger(value) && value > 0) => {
    const value = flags[name] === undefined ? fallback : Number(flags[name]);
    if (!isGood(value)) throw new Error(`--${name} is ${flags[name]}.`);
    return value;
  };
  const chosen = (name, allowed, fallback) => {
    for (const value of flags[name] ?? [])
      if (!allowed.includes(value)) throw new Error(`--${name} is ${value}; it takes ${allowed.join(', ')}.`);
    return flags[name] ?? fallback;
  };
  const quick = flags.quick === true;
  const settings = {
    dIn: D_IN,
    dataKind: chosenOne(flags.data ?? (quick ? 'planted' : 'model')),
    nRows: number('rows', quick ? 4096 : 131_072),
    batchRows: number('batch', quick ? 512 : 4096),
    rounds: number('rounds', quick ? 2 : 3),
    steps: number('steps', 2),
    warmUpSteps: number('warm-up', quick ? 20 : 400, (value) => Number.isInteger(value) && value >= 0),
    learningRate: number('lr', 3e-4, (value) => value > 0),
    threads: number('threads', availableParallelism()),
    l0: number('l0', 64),
    l1Coefficient: 4,
  };
  if (settings.batchRows > settings.nRows) throw new Error('--batch is larger than --rows.');
  const architectures = chosen('architecture', ['standard', 'topk'], ['standard', 'topk']);
  const names = chosen('peer', Object.keys(PEERS), Object.keys(PEERS)).filter((name) =>
    PEERS[name].some((architecture) => architectures.includes(architecture)),
  );
  const sizes = (flags['d-sae'] ?? (quick ? ['512'] : ['4096', '16384'])).map(Number);
  const cases = architectures.flatMap((architecture) =>
    sizes.map((dSae) => {
      const k = number('k', dSae <= 4096 ? 32 : 64);
      const name = architecture === 'topk' ? `topk k ${k}, d_sae ${dSae}` : `standard, d_sae ${dSae}`;
      return { ...settings, name, architecture, dSae, k };
    }),
  );
  return { settings, cases, names };
}

function chosenOne(kind) {
  if (kind === 'model' || kind === 'planted') return kind;
  throw new Error(`--data is ${kind}; it takes model or planted.`);
}

/** How to start each contestant. Those that cannot be installed are named and left out. */
function openContestants(names, { python, quick, 'stock-mkl': stockMkl }, log) {
  const ours = {
    name: OURS,
    architectures: ['standard', 'topk'],
    command: process.execPath,
    script: join(RUNNERS, 'monoseme.js'),
  };
  const open = { canInstall: quick !== true };
  const environment = stockMkl ? {} : fastestBlas(log);
  let base;
  const opened = names.flatMap((name) => {
    try {
      base ??= torchPython(python, open);
      const command = name === 'torch' ? base : peerPython(name, base, open);
      const script = join(RUNNERS, `run_${name}.py`);
      return [{ name, architectures: PEERS[name], command, script, environment }];
    } catch (error) {
      log(`${name} is left out: ${error.message}`);
      return [];
    }
  });
  return [ours, ...opened];
}

/** The contestants of a case. One that fails is named, ended and left out of what follows. */
class Contest {
  running;
  #log;

  constructor(contestants, log) {
    this.running = contestants.map((contestant) => ({ ...contestant, seconds: [], cpuSeconds: [] }));
    this.#log = log;
  }

  /** Do a piece of work with each, one after the other. */
  async each(work) {
    for (const entry of [...this.running]) {
      try {
        await work(entry);
      } catch (error) {
        this.#log(`${entry.name} is left out: ${error.message}`);
        entry.runner?.kill();
        this.running.splice(this.running.indexOf(entry), 1);
      }
    }
  }

  find(isWanted) {
    return this.running.find(({ name }) => isWanted(name));
  }

  kill() {
    for (const { runner } of this.running) runner?.kill();
  }
}

/** Train with every contestant in turns. @returns one result for each that came through */
async function runCase(case_, { contestants, activations, weights, backend, log }) {
  const lambda = case_.architecture === 'standard' ? `, λ ${case_.l1Coefficient.toPrecision(3)}` : '';
  log(`\n${case_.name}: d_in ${case_.dIn}, batch ${case_.batchRows}, ${case_.threads} threads${lambda}`);
  const folder = mkdtempSync(join(tmpdir(), 'monoseme-peers-'));
  const contest = new Contest(contestants, log);
  try {
    await contest.each(async (entry) => {
      entry.out = join(folder, `${entry.name}.safetensors`);
      const jobPath = join(folder, `${entry.name}.json`);
      writeFileSync(jobPath, JSON.stringify({ ...case_, activations, weights, out: entry.out }));
      entry.runner = await RunnerProcess.start(entry.command, [entry.script, jobPath], entry.environment);
      log(`  ${entry.name}: ${entry.runner.ready.version}`);
    });
    await reportMatmul(contest, log);
    for (let round = 0; round < case_.rounds; round++)
      await contest.each((entry) => turn_(entry, case_.steps));
    await contest.each(async (entry) => {
      await entry.runner.ask({ do: 'save' });
      await entry.runner.close();
      entry.quality = await quality(case_, entry.out, activations, backend);
    });
    return contest.running.map((entry) => resultOf(entry, case_));
  } finally {
    contest.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function turn_(entry, steps) {
  await entry.runner.ask({ do: 'steps', count: 1 });
  const { seconds, cpu_seconds, peak_memory } = await entry.runner.ask({ do: 'steps', count: steps });
  entry.seconds.push(...seconds);
  entry.cpuSeconds.push(...cpu_seconds);
  entry.peakMemory = peak_memory;
}

/** A slow BLAS would make every torch figure worthless: compare its matrix product with the machine's peak. */
async function reportMatmul(contest, log) {
  const ours = contest.find((name) => name === OURS);
  const peer = contest.find((name) => name !== OURS);
  if (!ours || !peer) return;
  const { gflops: peak } = await ours.runner.ask({ do: 'peak' });
  const { gflops } = await peer.runner.ask({ do: 'matmul' });
  const share = `${((100 * gflops) / peak).toFixed(0)} %`;
  log(`  fp32 peak ${peak.toFixed(0)} GFLOP/s, torch's matrix product ${gflops.toFixed(0)} (${share})`);
  if (gflops < FAIR_SHARE * peak) log('  Warning: torch is far from the peak; do not trust its figures.');
}

function resultOf({ name, seconds, cpuSeconds, peakMemory, runner, quality }, { batchRows }) {
  return {
    contestant: name,
    tokensPerSecond: summarize(seconds.map((time) => batchRows / time)),
    cpuTime: summarize(cpuSeconds),
    peakMemory,
    baseMemory: runner.ready.base_memory,
    ...quality,
  };
}

function resultTable(results) {
  const ours = results.find(({ contestant }) => contestant === OURS);
  const rows = results.map((result) => {
    const { min, median, max } = result.tokensPerSecond;
    const difference = ours ? result.loss / ours.loss - 1 : NaN;
    return [
      result.contestant,
      grouped(min),
      grouped(median),
      grouped(max),
      ours ? `${(ours.tokensPerSecond.median / median).toFixed(1)}×` : '',
      `${(1000 * result.cpuTime.min).toFixed(0)}`,
      mebibytes(result.peakMemory),
      mebibytes(result.baseMemory),
      result.loss.toFixed(2),
      `${(100 * difference).toFixed(2)} %${Math.abs(difference) <= EQUAL_LOSS ? '' : ' !'}`,
      result.l0.toFixed(1),
      `${(100 * result.explainedVariance).toFixed(2)} %`,
    ];
  });
  const header = [
    '',
    'tokens/s min',
    'median',
    'max',
    'ours is',
    'CPU ms a step',
    'peak MiB',
    'idle MiB',
    'loss',
    'against ours',
    'L0',
    'expl. var.',
  ];
  return table(header, rows);
}

function printJson(case_, results) {
  for (const { contestant, tokensPerSecond, cpuTime, ...single } of results) {
    const print = (metric, unit, summary) =>
      console.log(jsonLine('peers', case_.name, contestant, metric, unit, summary));
    print('speed', 'tokens/s', tokensPerSecond);
    print('CPU time of a step', 's', cpuTime);
    const units = { peakMemory: 'bytes', baseMemory: 'bytes', loss: '', l0: '', explainedVariance: '' };
    for (const [metric, unit] of Object.entries(units)) print(metric, unit, summarize([single[metric]]));
  }
}

if (process.argv[1] === import.meta.filename) {
  await peers(process.argv.slice(2)).catch((error) => {
    console.error(`bench peers: ${error.message}`);
    process.exitCode = 1;
  });
}
