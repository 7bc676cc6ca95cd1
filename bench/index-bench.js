/**
 * `npm run bench -- index`: the feature index of a dictionary, with and without ablations, its memory at two lengths of
 * text, and beside it SAEDashboard on the same dictionary and tokens.
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openFeatureIndex } from 'monoseme/features';
import { OnnxModel } from 'monoseme/model';
import { benchOptions, monoseme, trained, withFolder } from './command.js';
import { environmentText, jsonLine, summarize, table } from './measure.js';
import { embeddedModel } from './peer-data.js';
import { peerPython, torchPython } from './peer-environments.js';
import { RunnerProcess } from './runner-process.js';

const HELP = `Usage: npm run bench -- index [options]

Seconds, peak memory and size of \`monoseme index\` on the embedded model; a tenth of the text shows whether memory grows
with it.

  --dictionary <folder>  a trained one (default: 4,096 latents are trained first, in 1 to 3 minutes)
  --tokens <n>           tokens of the text (default: 2000000)
  --rounds <n>           runs (default: 1)
  --case <name>          tenth (of the text), plain or ablated; may be repeated (default: all)
  --peers                SAEDashboard too, on the tenth of the text; it is installed where it is not there
  --peer-latents <n>     latents that it makes; its time is scaled to all of them (default: 256, its batch)
  --python <path>        a Python that has torch, numpy and safetensors
  --quick                a tiny run that checks the benchmark itself
  --json                 lines of JSON on stdout, everything else on stderr`;

const MODEL = fileURLToPath(new URL('../models/one-layer-a', import.meta.url));
const HOOK = 'blocks.0.mlp.hook_post';

/** Case, figure, unit, and what it has to be on a 2-core machine. */
const FIGURES = [
  ['plain', 'seconds', 's', 'at most 60'],
  ['plain', 'peak_memory_bytes', 'byte', 'under 2147483648'],
  ['plain', 'bytes_per_latent', 'byte', 'at most 2000'],
  ['ablated', 'seconds', 's', 'at most 180'],
  ['ablated', 'peak_memory_bytes', 'byte', 'under 2147483648'],
  ['ablated', 'bytes_per_latent', 'byte', 'at most 6000'],
  ['tenth', 'seconds', 's', ''],
  ['tenth', 'peak_memory_bytes', 'byte', 'as with all of the text'],
  ['saedashboard', 'times_slower', 'times', 'at least 10'],
];

/** @param {string[]} args command-line options */
export async function index(args) {
  const options = {
    dictionary: { type: 'string' },
    tokens: { type: 'string', default: '2000000' },
    rounds: { type: 'string', default: '1' },
    case: { type: 'string', multiple: true, default: ['tenth', 'plain', 'ablated'] },
    peers: { type: 'boolean' },
    'peer-latents': { type: 'string', default: '256' },
    python: { type: 'string' },
  };
  const asked = benchOptions(args, HELP, options);
  if (!asked) return;
  const { flags, log } = asked;
  log(`${environmentText()}\n`);
  await withFolder('index', async (folder) => {
    const dictionary = flags.dictionary ?? trained(join(folder, 'dictionary'), flags.quick);
    const found = {};
    for (let round = 0; round < Number(flags.rounds); round++)
      for (const [case_, result] of Object.entries(await measured(dictionary, folder, flags, log)))
        (found[case_] ??= []).push(result);
    report(found, flags, log);
  });
}

async function measured(dictionary, folder, flags, log) {
  const tokens = flags.quick ? 40_960 : Number(flags.tokens);
  const built = (name, nTokens, ...options) => {
    const args = ['--tokens', String(nTokens), '--out', join(folder, name), ...options];
    return monoseme(['index', dictionary, ...args]);
  };
  const found = {};
  if (flags.case.includes('tenth') || flags.peers)
    found.tenth = built('tenth', Math.ceil(tokens / 10), '--ablations', '0');
  if (flags.case.includes('plain')) found.plain = built('plain', tokens, '--ablations', '0');
  if (flags.case.includes('ablated')) found.ablated = built('ablated', tokens);
  if (flags.peers) found.saedashboard = await peer(dictionary, folder, found.tenth, flags, log);
  return found;
}

/** SAEDashboard on the text of the small index: some latents, checked against the index, and the time for all. */
async function peer(dictionary, folder, ours, flags, log) {
  const built = await openFeatureIndex(join(folder, 'tenth'));
  const { n_tokens, context_size } = built.details.corpus;
  const tokens = join(folder, 'peer-tokens');
  writeFileSync(tokens, new Uint8Array((await built.tokens(0, n_tokens)).buffer));
  const python = peerPython('saedashboard', torchPython(flags.python, { canInstall: true }), {
    canInstall: true,
  });
  const settings = {
    ...(await embeddedModel(folder, await OnnxModel.open(MODEL))),
    ...{ dictionary, tokens, context_size, hook: HOOK, threads: availableParallelism() },
  };
  const script = fileURLToPath(new URL('peer-runners/run_saedashboard.py', import.meta.url));
  const runner = await RunnerProcess.start(python, [script, JSON.stringify(settings)]);
  const features = (await built.features()).filter(({ n_fired }) => n_fired >= 100);
  const n = Math.min(features.length, flags.quick ? 8 : Number(flags['peer-latents']));
  const chosen = Array.from({ length: n }, (_, i) => features[Math.floor((i * features.length) / n)]);
  const { seconds, found } = await runner.ask({ latents: chosen.map((row) => row.latent_index) });
  await runner.close();
  const same = await expectSame(built, chosen, found);
  const all = (seconds * built.dSae) / n;
  log(
    `SAEDashboard ${runner.ready.version}: ${n} latents of ${n_tokens} tokens in ${seconds.toFixed(1)} s, ` +
      `all ${built.dSae} would take ${all.toFixed(0)} s; the same densities, ` +
      `the same strongest activation in ${same} of ${n}`,
  );
  return { seconds: all, times_slower: all / ours.seconds };
}

/** @returns latents with the same strongest activation: not every place in a context can be an example there */
async function expectSame(built, chosen, found) {
  let same = 0;
  for (const [i, row] of chosen.entries()) {
    const theirs = found[i];
    const examples = await built.examplesOf(row.latent_index);
    const density = Math.abs(Number(theirs.density) / 100 - row.density);
    const max = Math.abs(theirs.max - row.max_activation) / row.max_activation;
    if (density > 6e-6 || theirs.max > row.max_activation * 1.002)
      throw new Error(
        `Latent ${row.latent_index}: density ${row.density} and maximum ${row.max_activation} here, ` +
          `${theirs.density} % and ${theirs.max} in SAEDashboard.`,
      );
    if (max < 2e-3 && Math.abs(examples[0].activation - theirs.max) < 2e-3 * theirs.max) same++;
  }
  return same;
}

function report(found, flags, log) {
  const rows = FIGURES.filter(([case_]) => case_ in found).map(([case_, metric, unit, target]) => {
    const summary = summarize(found[case_].map((result) => result[metric]));
    const contestant = case_ === 'saedashboard' ? case_ : 'monoseme';
    if (flags.json) console.log(jsonLine('index', case_, contestant, metric, unit, summary));
    const values = [summary.min, summary.median, summary.max];
    return [`${case_} ${metric}`, ...values.map((value) => String(Number(value.toFixed(2)))), target];
  });
  log(table(['figure', 'min', 'median', 'max', 'to reach'], rows));
}
