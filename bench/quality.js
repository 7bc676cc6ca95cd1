/**
 * `npm run quality`: how well every architecture recovers features that are known, beside what others publish and what is
 * to be reached.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Stage, standardProgress } from '../packages/monoseme/dist/cli/progress.js';
import { table } from '../packages/monoseme/dist/cli/table.js';
import { snakeCaseKeys } from 'monoseme/formats';
import { selectBackend } from 'monoseme/kernels';
import { dictionaryCoder, measureOnToy, ToySource, trainOnToy } from 'monoseme/toy';
import { checkOptions, resolveOptions } from 'monoseme/training';
import { asCommand } from './command.js';
import { environmentText } from './measure.js';
import { BY_SAELENS, PEER_ARCHITECTURES, trainedBySaeLens } from './quality-peers.js';
import { qualitySets } from './quality-sets.js';
import { judged } from './quality-targets.js';

const HELP = `Usage: npm run quality -- [options]

Trains every architecture on four synthetic sets whose features are known, and prints how well they were recovered
beside published rows and the targets. What is known is printed where more is to come, also with Ctrl-C.
Ends with exit code 1 where a target is missed in any seed.

  --set <name>           small, planted, crowded or synth-sae-bench; may be repeated (default: all)
  --architecture <name>  may be repeated (default: all)
  --seeds <n>            runs of each, with seeds 0 … n − 1 (default: 1)
  --scale <x>            sizes of SynthSAEBench-16k times x (default: 0.1; 1 is its full size, of many hours)
  --samples <x>          share of the 200 million samples of SynthSAEBench-16k (default: 0.1)
  --steps <x>            share of the steps of every run (default: 1)
  --threads <n>          threads (default: all cores)
  --peers                train topk, batchtopk and matryoshka with SAELens too, on the same rows
  --quick                what gates CI: the set small alone
  --json                 lines of JSON on stdout: set, architecture, dSae, seed, metric, value`;

const OPTIONS = {
  set: { type: 'string', multiple: true },
  architecture: { type: 'string', multiple: true },
  seeds: { type: 'string' },
  scale: { type: 'string' },
  samples: { type: 'string' },
  steps: { type: 'string' },
  threads: { type: 'string' },
  peers: { type: 'boolean' },
  quick: { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
};

const CHUNK_ROWS = 4096;
const METRICS = [
  'explained_variance',
  'l0',
  'frac_dead',
  'mmcs',
  'mmcs_reverse',
  'above_09',
  'mcc',
  'f1',
  'uniqueness',
];
const HEADINGS = ['EV', 'L0', 'dead', 'MMCS', 'reverse', '> 0.9', 'MCC', 'F1', 'unique'];

let flags;
await asCommand(quality);

async function quality() {
  ({ values: flags } = parseArgs({ options: OPTIONS }));
  if (flags.help) return console.log(HELP);
  const sets = chosenSets();
  const backend = await selectBackend({ threads: flags.threads && number('threads') });
  log(environmentText());
  log(`kernels  ${backend.description}\n`);
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  const results = [];
  try {
    for (const [name, set] of sets) await runSet({ name, set, backend, signal: stop.signal, results });
  } finally {
    printVerdicts(judged(results));
  }
}

/**
 * Every seed of a set. What is known is printed at once, where more is to come; at the end, or where it is cut off, all beside
 * each other. Adds to `results`.
 */
async function runSet({ name, set, backend, signal, results }) {
  const known = [];
  const nSeeds = number('seeds', 1);
  try {
    for (let seed = 0; seed < nSeeds; seed++)
      for await (const [what, found] of trainSet({ name, set, seed, backend, signal })) {
        known.push(...found);
        results.push(...found);
        found.forEach(printJson);
        if (flags.peers || nSeeds > 1) log(`${what}\n${tableOf(found.map(resultRow))}\n`);
      }
  } finally {
    if (known.length > 0) log(`${name}: ${set.title}\n${setTable(name, known)}\n`);
  }
}

function printVerdicts(verdicts) {
  if (verdicts.length === 0) return;
  log(table(['set', 'architecture', 'latents', 'target', 'mean', 'worst', ''], verdicts.map(verdictRow)));
  if (verdicts.some(({ isReached }) => !isReached)) process.exitCode = 1;
}

function chosenSets() {
  const sets = qualitySets(number('scale', 0.1), number('samples', 0.1));
  for (const name of flags.set ?? [])
    if (!(name in sets)) throw new Error(`--set is ${name}; it takes ${Object.keys(sets).join(', ')}.`);
  const architectures = new Set(Object.values(sets).flatMap(({ cases }) => Object.keys(cases)));
  for (const name of flags.architecture ?? [])
    if (!architectures.has(name))
      throw new Error(`--architecture is ${name}; it takes ${[...architectures].join(', ')}.`);
  const chosen = flags.set ?? (flags.quick ? ['small'] : Object.keys(sets));
  return Object.entries(sets).filter(([name]) => chosen.includes(name));
}

/** Every architecture and width of one set, on the same rows: ours, which end together, then every peer as it ends. */
async function* trainSet({ name, set, seed, backend, signal }) {
  const steps = Math.max(...Object.values(set.cases).map((case_) => case_.steps ?? set.steps));
  const nChunks = Math.ceil((steps * number('steps', 1) * batchRowsOf(set)) / CHUNK_ROWS) + 1;
  const source = new ToySource({ ...set.model, nChunks, chunkRows: CHUNK_ROWS, seed }, backend);
  const k = set.k ?? Math.max(1, Math.round(set.kOfTrueL0 * (await trueL0(source))));
  const cases = casesOf(set, { k, seed });
  if (cases.length === 0) return;
  const run = `${name}, seed ${seed}`;
  const measured = async (trained) => {
    const coders = trained.map(({ dictionary }) => dictionaryCoder(dictionary, backend));
    const nChunks = Math.ceil(set.evaluationRows / CHUNK_ROWS);
    const figures = await measureOnToy(coders, backend, source, nChunks, signal);
    return trained.map(({ architecture, dSae }, i) => ({
      set: name,
      architecture,
      dSae,
      seed,
      figures: snakeCaseKeys({ ...figures[i], l0OfTarget: figures[i].l0 / k }),
    }));
  };
  yield [run, await measured(await trainOurs({ run, cases, source, backend, signal }))];
  if (!flags.peers) return;
  for (const { architecture, dSae, options } of cases) {
    if (!PEER_ARCHITECTURES.includes(architecture)) continue;
    const peer = `${run}, ${architecture} ${dSae} by SAELens`;
    const dictionary = await staged(peer, (onStep) =>
      trainedBySaeLens({ source, options, threads: backend.threads, signal, onStep }),
    );
    yield [peer, await measured([{ architecture: architecture + BY_SAELENS, dSae, dictionary }])];
  }
}

function casesOf(set, { k, seed }) {
  return Object.entries(set.cases)
    .filter(([architecture]) => flags.architecture?.includes(architecture) ?? true)
    .flatMap(([architecture, case_]) =>
      (case_.widths ?? set.widths).map((dSae) => ({
        architecture,
        dSae,
        options: optionsOf(set, architecture, case_, { dSae, k, seed }),
      })),
    );
}

async function trainOurs({ run, cases, source, backend, signal }) {
  const runs = cases.map(({ options }) => options);
  const outcomes = await staged(run, (onStep) => trainOnToy({ source, backend, runs, signal, onStep }));
  return outcomes.map(({ dictionary, error }, i) => {
    if (error) throw new Error(`${run}, ${cases[i].architecture}: ${error.message}`);
    return { ...cases[i], dictionary };
  });
}

/** Work in steps, with a line of how far it is and of the time left. */
async function staged(what, work) {
  const stage = new Stage(standardProgress(), what, 'steps');
  try {
    const result = await work((done, total) => stage.update(done, total));
    stage.finish('trained');
    return result;
  } catch (error) {
    stage.abandon();
    throw error;
  }
}

function batchRowsOf({ batchRows = 1024 }) {
  return batchRows;
}

function optionsOf(set, name, case_, { dSae, k, seed }) {
  const {
    architecture = name,
    steps = set.steps,
    isSteered = false,
    initialKOfK,
    widths: _,
    ...changes
  } = case_;
  const takesK = resolveOptions({ architecture }).k !== undefined;
  return checkOptions(
    resolveOptions({
      architecture,
      dSae,
      seed,
      batchRows: batchRowsOf(set),
      tokens: Math.round(steps * number('steps', 1)) * batchRowsOf(set),
      logEvery: 1000,
      checkpointEvery: 1 << 24,
      ...set.training,
      ...(takesK && { k }),
      ...(initialKOfK && { initialK: initialKOfK * k }),
      ...(isSteered && { targetL0: k }),
      ...changes,
    }),
  );
}

async function trueL0(source) {
  const truth = await source.truth(source.nChunks);
  return truth.values.length / truth.nRows;
}

function setTable(name, ours) {
  const { source, rows } = JSON.parse(readFileSync(new URL('quality-peers.json', import.meta.url), 'utf8'));
  const groups = groupBy(ours, ({ architecture, dSae }) => `${architecture} ${dSae}`);
  const our = [...groups.values()].map((runs) => {
    const figures = Object.fromEntries(METRICS.map((metric) => [metric, meanOf(runs, metric)]));
    return resultRow({ ...runs[0], figures });
  });
  const widths = new Set(ours.map(({ dSae }) => dSae));
  const peers = rows
    .filter(({ set, dSae }) => set === name && (name !== 'crowded' || widths.has(dSae)))
    .map(({ library, setting, dSae, metrics }) => [library, setting, String(dSae), ...cells(metrics)]);
  return `${tableOf([...our, ...peers])}${source[name] ? `\nPublished: ${source[name]}.` : ''}`;
}

function resultRow({ architecture, dSae, figures }) {
  const library = architecture.endsWith(BY_SAELENS) ? 'SAELens, here' : 'monoseme';
  return [library, architecture.replace(BY_SAELENS, ''), String(dSae), ...cells(figures)];
}

function cells(figures) {
  return METRICS.map((metric) => figures[metric]?.toFixed(metric === 'l0' ? 1 : 3) ?? '–');
}

function tableOf(rows) {
  return table(['', 'architecture', 'latents', ...HEADINGS], rows);
}

/** Values by a key, in order of their first appearance. */
function groupBy(values, keyOf) {
  const groups = new Map();
  for (const value of values) groups.set(keyOf(value), [...(groups.get(keyOf(value)) ?? []), value]);
  return groups;
}

function meanOf(runs, metric) {
  return runs.reduce((sum, { figures }) => sum + figures[metric], 0) / runs.length;
}

function verdictRow({ set, architecture, dSae, what, mean, worst, isReached }) {
  const figures = [mean, worst].map((value) => value.toFixed(3));
  return [set, architecture, String(dSae), what, ...figures, isReached ? 'reached' : 'NOT'];
}

function printJson({ figures, ...run }) {
  if (!flags.json) return;
  for (const [metric, value] of Object.entries(figures))
    console.log(JSON.stringify({ ...run, metric, value }));
}

function log(text) {
  (flags.json ? console.error : console.log)(text);
}

function number(name, fallback) {
  const value = Number(flags[name] ?? fallback);
  if (Number.isFinite(value) && value > 0) return value;
  throw new Error(`--${name} is ${flags[name]}; it takes a number above 0.`);
}
