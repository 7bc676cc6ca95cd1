/**
 * `npm run bench -- kernels`: each primitive, beside the machine's own limits measured in the same rounds. A limit is
 * the best of all rounds: what else runs on the machine can only lower it.
 *
 * A primitive's bound is the time that its arithmetic takes at the machine's fp32 peak, or the time that what it must
 * read and write takes at the bandwidth of where that lies, whichever is longer:
 *   encode            2·B·dIn·dSae operations at the peak
 *   … screened        the same operations on bytes, at the machine's peak for those
 *   … mostly zeros    2·dSae operations for each of the 7 % of x that are not 0 at the peak, or their 4·dSae bytes of
 *                     weights at the bandwidth of L2
 *   decode, products  2·dOut·nnz operations at the peak; 4·dOut·nnz bytes, every pair's decoder row read at random, at
 *                     the bandwidth of an array of W_dec's size (L3 for small dictionaries, memory for large ones), and
 *                     4·dOut·B bytes of the batch, written or read once, at that of memory
 *   residuals         the same bytes twice, the second time from L2, where a row's decoder rows still are, and 8·dOut·B
 *                     bytes of targets and residuals
 *   updateRows        4·width·nnz bytes of batch rows at the bandwidth of an array of their size, and then 24·width·dSae
 *                     bytes of weights and moments, read and written once, at that of memory: between two updates of a
 *                     matrix a step touches more than a cache holds, and so do the limits of a round here
 *   squaredGradientNorm the same rows, and 4·width·dSae bytes of weights: the second pass that clipping needs
 *   transpose         4·nnz bytes read twice and 8·nnz written, at the bandwidth of memory
 */
import { availableParallelism } from 'node:os';
import { loadBinding } from '../packages/kernels-native/binding.js';
import { selectBackend, withPassingResults } from '../packages/monoseme/dist/kernels/index.js';
import { Random } from '../packages/monoseme/dist/random/index.js';
import { benchOptions } from './command.js';
import { encodeData } from './kernel-data.js';
import { environmentText, jsonLine, summarize, table } from './measure.js';

const HELP = `Usage: npm run bench -- kernels [options]

Each primitive of the native kernels, verified against the reference, beside the machine's limits.

  --d-in <n>             inputs (default: 512)
  --d-sae <n>            latents; may be repeated (default: 4096 and 16384)
  --batch <n>            rows (default: 4096)
  --l0 <n>               active latents a row; may be repeated (default: 64)
  --instruction-set <s>  avx512+amx, avx512, avx2, neon or portable; may be repeated (default: the fastest)
  --threads <n>          threads (default: all cores)
  --rounds <n>           rounds (default: 7)
  --quick                a tiny run that checks the benchmark itself
  --json                 lines of JSON on stdout, everything else on stderr`;

const OPTIONS = {
  'd-in': { type: 'string' },
  'd-sae': { type: 'string', multiple: true },
  batch: { type: 'string' },
  l0: { type: 'string', multiple: true },
  'instruction-set': { type: 'string', multiple: true },
  threads: { type: 'string' },
  rounds: { type: 'string' },
};

/** Rows on which results are compared with the reference. */
const VERIFIED_ROWS = 24;
const L2_BYTES = 512 * 1024;
const MEMORY_BYTES = 256 * 1024 * 1024;

function plan(flags) {
  const numbers = (name, otherwise) => (flags[name] ?? otherwise).map(Number);
  const quick = flags.quick;
  const dIn = Number(flags['d-in'] ?? (quick ? 64 : 512));
  const nRows = Number(flags.batch ?? (quick ? 200 : 4096));
  const cases = numbers('d-sae', quick ? [256] : [4096, 16384]).flatMap((dSae) =>
    numbers('l0', quick ? [16] : [64]).map((l0) => ({ nRows, dIn, dSae, l0 })),
  );
  const threads = Number(flags.threads ?? availableParallelism());
  const sets = flags['instruction-set'] ?? [loadBinding().instructionSets()[0]];
  return { cases, threads, sets, rounds: Number(flags.rounds ?? (quick ? 2 : 7)), quick };
}

/** @param {string[]} args command-line options */
export async function kernels(args) {
  const asked = benchOptions(args, HELP, OPTIONS);
  if (!asked) return;
  const { flags, log } = asked;
  const { cases, threads, sets, rounds, quick } = plan(flags);
  log(environmentText());
  for (const shape of cases) {
    for (const set of sets) {
      const backend = await selectBackend({ name: 'native', threads, instructionSet: set });
      const native = new (loadBinding().Kernels)(threads, set);
      const caseName = `B ${shape.nRows}, d_in ${shape.dIn}, d_sae ${shape.dSae}, L0 ${shape.l0}`;
      log(`\n${backend.description}; ${caseName}`);
      await verify(backend, shape);
      const work = await primitives(backend, shape);
      log(await candidatesText(backend, native, shape));
      const { limits, times } = await measure(backend, native, work, shape, rounds, quick ? 5 : 60);
      report({ log, json: flags.json, caseName, contestant: set, work, limits, times });
    }
  }
}

/** How many pre-activations screening leaves to be worked out in fp32 one by one. */
async function candidatesText(backend, native, shape) {
  const data = encodeData(shape);
  const before = native.candidates;
  const input = { ...data, screened: await backend.screen(data), selection: { kind: 'threshold' } };
  const { values } = await native.encode(input);
  const candidates = (native.candidates - before) / values.length;
  return `screening leaves ${candidates.toFixed(2)} candidates a kept latent (0: all blocks went through fp32 tiles)`;
}

/** Refuse to time a backend whose results are not those of the reference. */
async function verify(backend, shape) {
  const data = encodeData({ ...shape, nRows: Math.min(VERIFIED_ROWS, shape.nRows) });
  const reference = await selectBackend({ name: 'reference' });
  const input = { ...data, selection: { kind: 'threshold' } };
  const codes = await reference.encode(input);
  const dOut = data.dIn;
  const decode = { codes, dOut, W_dec: data.W_enc, target: data.x };
  const dense = async (by, screened) => {
    const found = await by.encode({ ...input, screened });
    const out = new Float32Array(data.nRows * data.dSae);
    for (let row = 0; row < data.nRows; row++) {
      for (let pair = found.rowPointers[row]; pair < found.rowPointers[row + 1]; pair++) {
        out[row * data.dSae + found.latentIndices[pair]] = found.values[pair];
      }
    }
    return out;
  };
  const expected = await dense(reference);
  expectEqual('encode', await dense(backend), expected);
  expectEqual('encode screened', await dense(backend, await backend.screen(data)), expected);
  const errors = await backend.residuals(decode);
  const expectedErrors = await reference.residuals(decode);
  for (const key of ['residuals', 'squaredErrors', 'products'])
    expectEqual(key, errors[key], expectedErrors[key]);
  const updated = [];
  for (const by of [backend, reference]) {
    const update = updateInput(data, await by.transpose(codes), codes.values);
    await by.updateRows(update);
    updated.push(update.weights);
  }
  expectEqual('updateRows', ...updated);
}

function expectEqual(name, actual, expected) {
  let scale = 0;
  for (const value of expected) scale = Math.max(scale, Math.abs(value));
  const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - actual[i])), 0);
  if (worst <= 1e-4 * scale) return;
  throw new Error(
    `${name} differs from the reference by ${worst} (largest value ${scale}): nothing was timed.`,
  );
}

export function updateInput(data, byLatent, coefficients) {
  const moments = () => new Float32Array(data.W_enc.length).fill(1e-3);
  return {
    byLatent,
    width: data.dIn,
    coefficients,
    rows: data.x,
    weights: data.W_enc.slice(),
    firstMoments: moments(),
    secondMoments: moments(),
    constraint: 'unitNorm',
    adam: { learningRate: 1e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, step: 10 },
  };
}

/** What is timed, each with its bound in seconds, given the limits of a round. */
async function primitives(backend, shape) {
  const data = inFastMemory(backend, encodeData(shape));
  const { nRows, dIn, dSae } = shape;
  const codes = await backend.encode({ ...data, selection: { kind: 'threshold' } });
  const byLatent = await backend.transpose(codes);
  const decode = { codes, dOut: dIn, W_dec: data.W_enc };
  const residuals = backend.floats(data.x.length);
  const update = inFastMemory(backend, updateInput(data, byLatent, codes.values));
  const noBias = { ...data, b_enc: new Float32Array(dSae) };
  const nnz = codes.values.length;
  const product = ({ fma }) => (2 * nRows * dIn * dSae) / fma;
  const rowsOfDecoder = ({ fma, decoder, memory }) =>
    Math.max((2 * dIn * nnz) / fma, (4 * dIn * nnz) / decoder) + (4 * dIn * nRows) / memory;
  const k = shape.l0;
  const screened = await backend.screen(data);
  // Pairs of bytes take three products.
  const products = backend.screenedBytes(dIn) < 2 * dIn ? 1 : 3;
  const byteProduct = ({ bytes }) => (2 * products * nRows * dIn * dSae) / bytes;
  const threshold = { ...data, selection: { kind: 'threshold' } };
  const topK = { ...noBias, selection: { kind: 'topK', k } };
  const sparse = mostlyZeros(data);
  const n = sparse.x.reduce((count, value) => count + (value !== 0), 0);
  const productOfSome = ({ fma, l2 }) => Math.max((2 * n * dSae) / fma, (4 * n * dSae) / l2);
  return [
    ['encode mostly zeros', productOfSome, (by) => by.encode({ ...sparse, selection: threshold.selection })],
    ['encode', product, (by) => by.encode(threshold)],
    ['encode screened', byteProduct, (by) => by.encode({ ...threshold, screened })],
    ['encode topK', product, (by) => by.encode(topK)],
    ['encode topK screened', byteProduct, (by) => by.encode({ ...topK, screened })],
    ['encode batchTopK', product, (by) => by.encode({ ...noBias, selection: { kind: 'batchTopK', k } })],
    ['decode', rowsOfDecoder, (by) => by.decode(decode)],
    ['sampledProducts', rowsOfDecoder, (by) => by.sampledProducts({ ...decode, rows: data.x })],
    [
      'residuals',
      (limits) =>
        rowsOfDecoder(limits) +
        Math.max((2 * dIn * nnz) / limits.fma, (4 * dIn * nnz) / limits.l2) +
        (4 * dIn * nRows) / limits.memory,
      (by) => by.residuals({ ...decode, target: data.x, residuals }),
    ],
    ['transpose', ({ memory }) => (16 * nnz) / memory, (by) => by.transpose(codes)],
    [
      'updateRows',
      ({ batch, memory }) => (4 * dIn * nnz) / batch + (24 * dIn * dSae) / memory,
      (by) => by.updateRows(update),
    ],
    [
      'squaredGradientNorm',
      ({ batch, memory }) => (4 * dIn * nnz) / batch + (4 * dIn * dSae) / memory,
      (by) => by.squaredGradientNorm(update),
    ],
  ].map(([name, bound, run]) => ({ name, bound, run }));
}

/** The same input with 7 % of x, as large: about the share that the ReLU of the embedded models leaves. */
function mostlyZeros(data) {
  const random = new Random(2);
  const kept = 0.07;
  return { ...data, x: data.x.map((value) => (random.uniform() < kept ? value / Math.sqrt(kept) : 0)) };
}

/** The same input with its large arrays as training keeps them (`KernelBackend.floats`). */
function inFastMemory(backend, input) {
  const moved = Object.entries(input)
    .filter(([, value]) => value instanceof Float32Array)
    .map(([name, value]) => {
      const array = backend.floats(value.length);
      array.set(value);
      return [name, array];
    });
  return { ...input, ...Object.fromEntries(moved) };
}

/**
 * Rounds of all limits and all primitives in turn. The first is not counted. Results are given back at once, as in a
 * step: new memory for each would cost more than some primitives.
 */
async function measure(backend, native, work, { nRows, dIn, dSae }, rounds, milliseconds) {
  const limits = [];
  const times = new Map(work.map(({ name }) => [name, []]));
  const bandwidth = (bytes) => native.bandwidthBytesPerSecond(Math.min(bytes, MEMORY_BYTES), milliseconds);
  for (let round = -1; round < rounds; round++) {
    const limit = {
      fma: await native.fmaFlopsPerSecond(milliseconds),
      bytes: await native.byteOperationsPerSecond(milliseconds),
      l2: await bandwidth(L2_BYTES),
      decoder: await bandwidth(4 * dIn * dSae),
      batch: await bandwidth(4 * dIn * nRows),
      memory: await bandwidth(MEMORY_BYTES),
    };
    if (round >= 0) limits.push(limit);
    for (const { name, run } of work) {
      await withPassingResults(backend, async (passing) => {
        const start = performance.now();
        await run(passing);
        if (round >= 0) times.get(name).push((performance.now() - start) / 1000);
      });
    }
  }
  return { limits, times };
}

function report({ log, json, caseName, contestant, work, limits, times }) {
  const emit = (name, metric, unit, summary) =>
    json && console.log(jsonLine('kernels', `${caseName}, ${name}`, contestant, metric, unit, summary));
  const giga = (key) => summarize(limits.map((limit) => limit[key] / 1e9));
  for (const key of Object.keys(limits[0])) {
    emit('machine', `limit ${key}`, ['fma', 'bytes'].includes(key) ? 'Gop/s' : 'GB/s', giga(key));
  }
  log(
    `fp32 peak ${giga('fma').max.toFixed(0)} Gflop/s, products of bytes ${giga('bytes').max.toFixed(0)} Gop/s; GB/s: L2 ${giga('l2').max.toFixed(0)}, ` +
      `W_dec ${giga('decoder').max.toFixed(0)}, memory ${giga('memory').max.toFixed(0)}`,
  );
  const best = Object.fromEntries(
    Object.keys(limits[0]).map((key) => [key, Math.max(...limits.map((limit) => limit[key]))]),
  );
  const rows = work.map(({ name, bound }) => {
    const time = summarize(times.get(name).map((seconds) => seconds * 1000));
    const share = summarize(times.get(name).map((seconds) => (100 * bound(best)) / seconds));
    emit(name, 'time', 'ms', time);
    emit(name, 'share of limit', '%', share);
    const ms = [time.min, time.median, time.max].map((value) => value.toFixed(2));
    return [name, ...ms, ...[share.median, share.max].map((value) => `${value.toFixed(0)} %`)];
  });
  log(table(['primitive', 'min ms', 'median', 'max', 'of limit, median', 'best'], rows));
}
