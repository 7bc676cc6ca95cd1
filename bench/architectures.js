/**
 * `npm run bench -- architectures`: whole training steps of every architecture at the same number of active latents, as a
 * share of the standard one's speed.
 * Before anything is timed, native and reference take the same step from the same state, and every architecture must
 * have as many active latents as were asked for.
 */
import { availableParallelism } from 'node:os';
import { selectBackend } from '../packages/monoseme/dist/kernels/index.js';
import { ARCHITECTURES } from '../packages/monoseme/dist/dictionary/index.js';
import { resolveOptions } from '../packages/monoseme/dist/training/index.js';
import { rowLayout, totalWidth } from '../packages/monoseme/dist/training/row-layout.js';
import { trainState } from '../packages/monoseme/dist/training/parameters.js';
import { trainStep_ } from '../packages/monoseme/dist/training/step.js';
import { benchOptions } from './command.js';
import { encodeData, normals } from './kernel-data.js';
import { Random } from '../packages/monoseme/dist/random/index.js';
import { environmentText, grouped, jsonLine, summarize, table } from './measure.js';

const HELP = `Usage: npm run bench -- architectures [options]

Whole training steps of every architecture at the same L0, no latent dead. A crosscoder reads two hook points of half the
width, a transcoder reconstructs another one of the same width.

  --d-in <n>             inputs (default: 512)
  --d-sae <n>            latents (default: 4096)
  --batch <n>            rows (default: 4096)
  --l0 <n>               active latents a row (default: 32)
  --architecture <name>  beside standard; may be repeated (default: all)
  --threads <n>          threads (default: all cores)
  --rounds <n>           steps of each, after five that are not timed (default: 9)
  --quick                a tiny run that checks the benchmark itself
  --json                 lines of JSON on stdout, everything else on stderr`;

const OPTIONS = {
  'd-in': { type: 'string' },
  'd-sae': { type: 'string' },
  batch: { type: 'string' },
  l0: { type: 'string' },
  architecture: { type: 'string', multiple: true },
  threads: { type: 'string' },
  rounds: { type: 'string' },
};

/** Rows of the step in which both backends must agree. */
const VERIFIED_ROWS = 64;
/** Active latents may differ from those asked for by this share. */
const TOLERANCE = 0.1;
/** Rounds before any is timed: code that goes over pairs is compiled for good by then, as in all but the start of a run. */
const WARM_UP = 5;
/** The share of the standard architecture's speed that every other is to reach. */
const LEAST_SHARE = 0.8;

/** What the formulas of the slower ones need beside one encode and one reconstruction. */
const FURTHER_WORK = {
  'multi-topk': 'encodes and reconstructs with 4k latents too',
  matryoshka: 'an error for each prefix',
  'matryoshka-random': 'an error for each prefix',
  gated: 'reconstructs a second time, from the gate',
  'skip-transcoder': 'two dense products, there and back',
  jumprelu: 'encodes silent pairs of the window too',
  'january-2025': 'encodes silent pairs of the window too; pulls every silent latent',
};

/** @param {string[]} args command-line options */
export async function architectures(args) {
  const asked = benchOptions(args, HELP, OPTIONS);
  if (!asked) return;
  const { flags, log } = asked;
  const quick = flags.quick;
  const shape = {
    dIn: Number(flags['d-in'] ?? (quick ? 64 : 512)),
    dSae: Number(flags['d-sae'] ?? (quick ? 256 : 4096)),
    nRows: Number(flags.batch ?? (quick ? 512 : 4096)),
    l0: Number(flags.l0 ?? (quick ? 8 : 32)),
  };
  const names = ARCHITECTURES.map(({ name }) => name);
  for (const name of flags.architecture ?? [])
    if (!names.includes(name)) throw new Error(`--architecture is ${name}; it takes ${names.join(', ')}.`);
  const chosen = ARCHITECTURES.filter(
    ({ name }) => name === 'standard' || (flags.architecture?.includes(name) ?? true),
  );
  log(environmentText());
  const native = await selectBackend({
    name: 'native',
    threads: Number(flags.threads ?? availableParallelism()),
  });
  const reference = await selectBackend({ name: 'reference' });
  const caseName = `B ${shape.nRows}, d_in ${shape.dIn}, d_sae ${shape.dSae}, L0 ${shape.l0}`;
  log(`kernels  ${native.description}\n\n${caseName}`);
  for (const architecture of chosen) await verify(architecture, native, reference, shape);
  log(`verified: the weights of both backends agree after a step on ${VERIFIED_ROWS} rows`);
  const rounds = Number(flags.rounds ?? (quick ? 2 : 9));
  const times = await measure(chosen, native, shape, { rounds, warmUp: quick ? 0 : WARM_UP });
  report({ log, json: flags.json, caseName, chosen, times, nRows: shape.nRows });
}

/** Rows, and a state in which every latent fires on as large a share of them. */
function start(architecture, shape, backend) {
  const widths = widthsOf(architecture, shape.dIn);
  const layout = rowLayout({ dIn: shape.dIn, widths }, architecture);
  const [dIn, dOut] = [totalWidth(layout.inputs), totalWidth(layout.outputs)];
  const { x, W_enc, b_enc } = encodeData({ ...shape, dIn });
  const random = new Random(2);
  const takesK = architecture.settings.k !== undefined;
  const settings = resolveOptions({
    architecture: architecture.name,
    dSae: shape.dSae,
    ...(takesK && { k: shape.l0 }),
  });
  const { further, memory } = architecture.start?.(shape.dSae, 1, settings) ?? { further: {}, memory: [] };
  // The k largest are k only where as many are positive; where a threshold decides, it is put at b_enc.
  if (takesK) b_enc.fill(0);
  further.log_threshold?.forEach((value, j) => (b_enc[j] += Math.exp(value)));
  further.b_mag?.set(b_enc);
  const W_dec = normals(random, shape.dSae * dOut, 1 / Math.sqrt(dOut));
  const skip = architecture.hasSkip && { W_skip: new Float32Array(dIn * dOut) };
  const weights = { W_enc, b_enc, W_dec, b_dec: new Float32Array(dOut), ...skip };
  const state = trainState(weights, layout, { further, memory }, 'f32', backend);
  const batch = layout.inputs === layout.outputs ? x : withTargets(x, dIn, dOut, random);
  return { state, batch, settings };
}

/** As wide as the rows of the standard one: halves of them, or a target beside them. */
function widthsOf({ rows }, dIn) {
  if (rows === 'sources') return [dIn / 2, dIn / 2];
  return rows === 'input-and-target' ? [dIn, dIn] : [dIn];
}

/** Prepared rows: all inputs, then all targets. */
function withTargets(x, dIn, dOut, random) {
  const batch = normals(random, (x.length / dIn) * (dIn + dOut));
  batch.set(x);
  return batch;
}

/** Steps so small that L0 stays, near the end of a run. */
const stepOptions = (architecture, settings, learningRate = 1e-7, epsilon = 1e-8) => ({
  l1Coefficient: architecture.coefficient ? 1e-3 : 0,
  adam: { learningRate, beta1: 0.9, beta2: 0.999, epsilon, step: 1 },
  unitNormDecoder: settings.unitNormDecoder,
  trainDecoderBias: true,
  architecture,
  settings,
  progress: 0.9,
});

/** Throws where the backends disagree after one step by more than rounding. */
async function verify(architecture, native, reference, shape) {
  const few = { ...shape, nRows: Math.min(VERIFIED_ROWS, shape.nRows) };
  const states = [];
  for (const backend of [native, reference]) {
    const { state, batch, settings } = start(architecture, few, backend);
    await trainStep_(state, backend, batch, stepOptions(architecture, settings, 1e-3, 1e-3));
    states.push(state);
  }
  for (const matrix of ['encoder', 'decoder']) {
    const [a, b] = states.map((state) => state[matrix].weights);
    let worst = 0;
    for (let i = 0; i < a.length; i++) worst = Math.max(worst, Math.abs(a[i] - b[i]));
    if (!(worst <= 1e-5))
      throw new Error(`${architecture.name}: the ${matrix}s differ by ${worst}: nothing was timed.`);
  }
}

/**
 * Steps of each architecture in turn, seconds. In a run an architecture's steps follow each other, with its weights and
 * results where the last one left them, so that of each turn's two steps the second counts; the first throws where L0 is
 * another.
 */
async function measure(chosen, backend, shape, { rounds, warmUp }) {
  const started = chosen.map((architecture) => ({
    architecture,
    seconds: [],
    processorSeconds: [],
    ...start(architecture, shape, backend),
  }));
  for (let round = -warmUp; round < rounds; round++) {
    for (const { architecture, state, batch, settings, seconds, processorSeconds } of started) {
      const options = stepOptions(architecture, settings);
      const { l0 } = await trainStep_(state, backend, batch, options);
      expectL0(architecture, l0 / shape.nRows, shape.l0);
      const [begin, used] = [performance.now(), process.cpuUsage()];
      await trainStep_(state, backend, batch, options);
      if (round < 0) continue;
      seconds.push((performance.now() - begin) / 1000);
      const { user, system } = process.cpuUsage(used);
      processorSeconds.push((user + system) / 1e6);
    }
  }
  return started.map(({ seconds, processorSeconds }) => ({ seconds, processorSeconds }));
}

function expectL0({ name }, l0, asked) {
  if (Math.abs(l0 / asked - 1) <= TOLERANCE) return;
  throw new Error(`${name} has ${l0.toFixed(1)} active latents a row, not ${asked}: nothing was timed.`);
}

/**
 * Shares are medians over the rounds of the time that the standard one took in the same round, divided by theirs: by the clock, and by
 * processor time of all threads together, which says the same on a host that is never quiet, but for what leaves threads idle.
 */
function report({ log, json, caseName, chosen, times, nRows }) {
  const base = times[chosen.findIndex(({ name }) => name === 'standard')];
  const rows = chosen.map(({ name }, i) => {
    const { seconds, processorSeconds } = times[i];
    const ms = summarize(seconds.map((value) => value * 1000));
    const processor = summarize(processorSeconds.map((value) => value * 1000));
    const rate = summarize(seconds.map((value) => nRows / value));
    const share = medianRatio(base.seconds, seconds);
    const processorShare = medianRatio(base.processorSeconds, processorSeconds);
    if (json) {
      console.log(jsonLine('architectures', caseName, name, 'time', 'ms', ms));
      console.log(jsonLine('architectures', caseName, name, 'processor time', 'ms', processor));
      console.log(jsonLine('architectures', caseName, name, 'tokens a second', 'tokens/s', rate));
    }
    const cells = [ms.min, ms.median, ms.max, processor.min].map((value) => value.toFixed(1));
    const shares = [share, processorShare].map((value) => `${(100 * value).toFixed(0)} %`);
    const why = share < LEAST_SHARE ? (FURTHER_WORK[name] ?? 'below 80 %') : '';
    return [name, ...cells, grouped(rate.median), ...shares, why];
  });
  const headings = ['min ms', 'median', 'max', 'processor ms', 'tokens/s', 'of standard', 'by processor', ''];
  log(table(['architecture', ...headings], rows));
}

const medianRatio = (those, these) => summarize(those.map((value, round) => value / these[round])).median;
