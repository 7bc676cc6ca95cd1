import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ActivationSource } from '../activations/index.ts';
import { fileError } from '../errors.ts';
import type { KernelBackend } from '../kernels/index.ts';
import type { ModelRunner } from '../model/index.ts';
import { Random } from '../random/index.ts';
import { resolveOptions, type TrainOptions, trainInMemory } from '../training/index.ts';

/** How long a measurement goes on, at least. */
const MEASURE_MS = 2500;
const TOKENS_PER_CALL = 2048;
const DISK_BYTES = 2 ** 26;
/** Active latents a token of a dictionary as they are published. */
export const USUAL_L0 = 64;
/** Steps before the clock starts: they bring code and memory in. */
const WARM_STEPS = 2;

/** Tokens a second of a model, on random tokens, and some of the activations. */
export async function measureModel(
  runner: ModelRunner,
  contextSize: number,
  signal: AbortSignal,
  atLeastMs = MEASURE_MS,
): Promise<{ tokensPerSecond: number; rows: Float32Array }> {
  const nContexts = Math.max(1, Math.floor(TOKENS_PER_CALL / contextSize));
  const random = new Random(0);
  const vocabulary = runner.model.embeddingRows ?? runner.vocabSize ?? 2;
  const tokens = Uint32Array.from({ length: nContexts * contextSize }, () => random.integer(vocabulary));
  const rows = await runner.activations(tokens, contextSize);
  const started = performance.now();
  let n = 0;
  while (performance.now() - started < atLeastMs && !signal.aborted) {
    await runner.activations(tokens, contextSize);
    n += tokens.length;
  }
  return { tokensPerSecond: perSecond(n, started), rows };
}

/** Bytes a second that the disk of a folder takes, flushed. @throws {MonosemeError} ERR_FILE, ERR_DISK_FULL */
export async function measureDisk(folder: string): Promise<number> {
  const path = join(folder, `monoseme-plan-${process.pid}.partial`);
  const bytes = new Uint8Array(DISK_BYTES).fill(1);
  try {
    const started = performance.now();
    const file = await open(path, 'wx');
    await file.writeFile(bytes);
    await file.sync();
    await file.close();
    return perSecond(DISK_BYTES, started);
  } catch (error) {
    throw fileError(error, `write ${path}`);
  } finally {
    await rm(path, { force: true });
  }
}

/**
 * Tokens a second of training, on rows of the model over and over. A run whose latents start dense and become sparse (an
 * L1 penalty) is timed as a top-k run of {@link USUAL_L0}: its first steps say little of the others.
 */
export async function measureTraining(
  rows: Float32Array,
  dIn: number,
  options: TrainOptions,
  backend: KernelBackend,
  signal: AbortSignal,
): Promise<number> {
  const nRows = rows.length / dIn;
  const step = options.batchRows;
  const nSteps = WARM_STEPS + 3;
  const source: ActivationSource = {
    ...{ dIn, contextSize: 1, nChunks: Math.ceil((nSteps * step) / nRows), description: '', hash: '' },
    chunkRows: () => nRows,
    readChunk: async () => rows.slice(),
  };
  let started = 0;
  let ended = 0;
  await trainInMemory({
    source,
    backend,
    signal,
    options: {
      ...steady(options),
      tokens: nSteps * step,
      bufferRows: step,
      resampleAt: [],
      logEvery: nSteps,
    },
    onStep: (done) => {
      if (done === WARM_STEPS) started = performance.now();
      ended = performance.now();
    },
  });
  return perSecond((nSteps - WARM_STEPS) * step, started, ended);
}

function steady(options: TrainOptions): TrainOptions {
  if (options.k !== undefined) return options;
  const { dSae, batchRows, moments, seed } = options;
  return resolveOptions({
    architecture: 'topk',
    k: Math.min(USUAL_L0, dSae),
    dSae,
    batchRows,
    moments,
    seed,
  });
}

const perSecond = (n: number, started: number, ended = performance.now()): number =>
  (n / (ended - started)) * 1000;
