/**
 * `npm run bench -- harvest`: harvesting the embedded model, beside the bare graph in ONNX Runtime, the disk, and the same
 * harvest by PyTorch with TransformerLens.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, fsyncSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packContexts, readSources, Tokenizer } from 'monoseme/corpus';
import { OnnxModel } from 'monoseme/model';
import ort from 'onnxruntime-node';
import { harvestPrefix } from '../packages/monoseme/dist/model/cut.js';
import { benchOptions, withFolder } from './command.js';
import { environmentText, grouped, jsonLine, mebibytes, summarize, table } from './measure.js';
import { embeddedModel } from './peer-data.js';
import { peerPython, torchPython } from './peer-environments.js';
import { RunnerProcess } from './runner-process.js';

const HELP = `Usage: npm run bench -- harvest [options]

Tokens a second of harvesting the embedded model in f16, of the bare graph in ONNX Runtime, of tokenising, and of
PyTorch with TransformerLens; the share of the time that is model and disk; memory with ten times the tokens.

  --tokens <n>    tokens of the larger harvest (default: 2000000)
  --rounds <n>    rounds, each contestant in turn (default: 3)
  --install       install TransformerLens into bench/peers where it is not there
  --python <path> a Python that has torch, numpy and safetensors
  --quick         a tiny run that checks the benchmark itself
  --json          lines of JSON on stdout, everything else on stderr`;

const MODEL = fileURLToPath(new URL('../models/one-layer-a', import.meta.url));
const HOOK = 'blocks.0.mlp.hook_post';
const CONTEXT = 256;
const CONTEXTS_PER_RUN = 4;

/** @param {string[]} args command-line options */
export async function harvest(args) {
  const options = {
    tokens: { type: 'string', default: '2000000' },
    rounds: { type: 'string', default: '3' },
    install: { type: 'boolean' },
    python: { type: 'string' },
  };
  const asked = benchOptions(args, HELP, options);
  if (!asked) return;
  const { flags, log } = asked;
  log(`${environmentText()}\n`);
  await withFolder('harvest', async (folder) => {
    const wanted = flags.quick ? 40_960 : Number(flags.tokens);
    const results = await measure(folder, wanted, flags.quick ? 1 : Number(flags.rounds), flags, log);
    report(results, flags, log);
  });
}

async function measure(folder, wanted, rounds, flags, log) {
  const model = await OnnxModel.open(MODEL);
  const large = await tokenised(model, wanted);
  const { tokens } = large.set;
  const small = Math.floor(tokens.length / 10 / CONTEXT) * CONTEXT;
  const tokensFile = join(folder, 'tokens');
  writeFileSync(tokensFile, new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength));
  const ours = (nTokens) => {
    const out = join(folder, 'store');
    rmSync(out, { recursive: true, force: true });
    const settings = {
      model: MODEL,
      tokensFile,
      contextSize: CONTEXT,
      nTokens,
      hook: HOOK,
      out,
      dtype: 'F16',
    };
    const script = fileURLToPath(new URL('peer-runners/harvest.js', import.meta.url));
    return JSON.parse(
      execFileSync(process.execPath, [script, JSON.stringify(settings)], { encoding: 'utf8' }),
    );
  };
  const peer = await startPeer(folder, model, tokensFile, small, flags, log);
  const found = {
    tokenise: [],
    bare: [],
    harvest: [],
    model_and_disk: [],
    peer: [],
    peak_ratio: [],
    peak_bytes: [],
  };
  for (let round = 0; round < rounds; round++) {
    found.tokenise.push((round === 0 ? large : await tokenised(model, wanted)).rate);
    const bare = await bareRate(model, tokens.subarray(0, small));
    const few = ours(small);
    const many = ours(tokens.length);
    const rate = tokens.length / many.seconds;
    const alone = 1 / bare + 1 / diskRate(folder, 2 ** 28);
    found.bare.push(bare);
    found.harvest.push(rate);
    found.model_and_disk.push(alone * rate);
    found.peak_bytes.push(many.peakBytes);
    found.peak_ratio.push(many.peakBytes / few.peakBytes);
    if (!peer) continue;
    const theirs = await peer.ask({ out: join(folder, 'peer') });
    expectSame(few.first, theirs.first);
    found.peer.push(small / theirs.seconds);
  }
  await peer?.close();
  return found;
}

/** Tokenising text with a tokenizer that has seen nothing yet. */
async function tokenised(model, maxTokens) {
  const tokenizer = Tokenizer.open(model.tokenizerPath);
  const documents = [];
  for await (const document of readSources(['default'], { seed: 0 })) documents.push(document);
  const started = performance.now();
  const set = await packContexts(documents, tokenizer, {
    contextSize: CONTEXT,
    maxTokens,
    split: 'all',
    seed: 0,
  });
  return { set, rate: (set.tokens.length / (performance.now() - started)) * 1000 };
}

/** The model's graph up to the hook, as ONNX Runtime alone runs it in this thread. */
async function bareRate(model, tokens) {
  const session = await ort.InferenceSession.create(harvestPrefix(model.graph, HOOK, model.tensors).bytes, {
    intraOpNumThreads: availableParallelism(),
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
  const step = CONTEXTS_PER_RUN * CONTEXT;
  const feeds = [];
  for (let at = 0; at + step <= tokens.length; at += step) {
    const ids = BigInt64Array.from(tokens.subarray(at, at + step), BigInt);
    feeds.push(new ort.Tensor('int64', ids, [CONTEXTS_PER_RUN, CONTEXT]));
  }
  for (const input_ids of feeds.slice(0, 8)) await session.run({ input_ids });
  const started = performance.now();
  for (const input_ids of feeds) await session.run({ input_ids });
  const seconds = (performance.now() - started) / 1000;
  await session.release();
  return (feeds.length * step) / seconds;
}

/** Tokens a second whose f16 activations and origins the disk takes, flushed. */
function diskRate(folder, bytes) {
  const path = join(folder, 'disk');
  const block = new Uint8Array(2 ** 26).fill(7);
  const started = performance.now();
  const file = openSync(path, 'w');
  for (let done = 0; done < bytes; done += block.length) writeSync(file, block);
  fsyncSync(file);
  closeSync(file);
  const seconds = (performance.now() - started) / 1000;
  rmSync(path);
  return bytes / (512 * 2 + 12) / seconds;
}

async function startPeer(folder, model, tokensFile, nTokens, flags, log) {
  let python;
  try {
    const canInstall = flags.install === true;
    python = peerPython('transformer_lens', torchPython(flags.python, { canInstall }), { canInstall });
  } catch (error) {
    log(`TransformerLens is left out: ${error.message}\n`);
    return undefined;
  }
  const settings = {
    ...(await embeddedModel(folder, model)),
    ...{ tokens: join(folder, 'peer-tokens'), context_size: CONTEXT, hook: HOOK },
    batch: 16,
    threads: availableParallelism(),
  };
  writeFileSync(settings.tokens, readFileSync(tokensFile).subarray(0, 4 * nTokens));
  const script = fileURLToPath(new URL('peer-runners/run_transformer_lens.py', import.meta.url));
  return RunnerProcess.start(python, [script, JSON.stringify(settings)]);
}

function expectSame(ours, theirs) {
  const worst = Math.max(...ours.map((x, i) => Math.abs(x - theirs[i]) / Math.max(1, Math.abs(theirs[i]))));
  if (!(worst < 2e-3)) throw new Error(`The activations differ by ${worst}.`);
}

function report(found, flags, log) {
  const rows = [];
  const add = (metric, unit, values, shown, target = '') => {
    if (values.length === 0) return;
    const summary = summarize(values);
    if (flags.json) console.log(jsonLine('harvest', 'one-layer-a', metric, metric, unit, summary));
    rows.push([metric, shown(summary.min), shown(summary.median), shown(summary.max), target]);
  };
  const share = (value) => `${(100 * value).toFixed(1)} %`;
  const times = (value) => `${value.toFixed(2)}×`;
  add('tokenise', 'token/s', found.tokenise, grouped);
  add('bare graph', 'token/s', found.bare, grouped);
  add('harvest', 'token/s', found.harvest, grouped);
  add('model and disk alone', 'share', found.model_and_disk, share, 'at least 95 %');
  add('TransformerLens', 'token/s', found.peer, grouped);
  const over = (a, b) => (b.length > 0 ? a.map((value, i) => value / b[i]) : []);
  add('harvest / TransformerLens', 'ratio', over(found.harvest, found.peer), times, 'at least 2');
  add('tokenise / bare graph', 'ratio', over(found.tokenise, found.bare), times, 'at least 5');
  add('peak memory', 'MiB', found.peak_bytes, mebibytes);
  add('peak, ten times the tokens', 'ratio', found.peak_ratio, times, 'under 1.05');
  log(table(['figure', 'min', 'median', 'max', 'to reach'], rows));
  log(
    '\n"model and disk alone": the time that the bare graph and writing as many bytes would take one after the other.',
  );
}
