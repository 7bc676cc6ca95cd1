import type { ActivationSource } from '../activations/index.ts';
import { architectureNamed, type Weights } from '../dictionary/index.ts';
import type { KernelBackend } from '../kernels/contract.ts';
import { hashSeed, Random } from '../random/index.ts';
import { type TrainState, trainState } from './parameters.ts';
import type { TrainOptions } from './options.ts';
import { randomChunks } from './random-chunks.ts';

/** Rows on which the bias and the input scale are estimated; OpenAI's trainer uses as many. */
const SAMPLE_ROWS = 32_768;

/**
 * The state before the first step.
 *
 * Decoder: rows uniform on the sphere of radius `decoderNorm` (1). Encoder: a copy of it (`tied`) or U(±1/√dIn) (`kaiming`); b_enc 0 or
 * U(±1/√dIn) likewise. b_dec: geometric median of a sample. Sources: Bricken et al. 2023 (Kaiming start, geometric
 * median); Gao et al. 2024 and Conerly et al. 2024 (encoder started at the decoder's transpose).
 */
export async function initialState(
  source: ActivationSource,
  backend: KernelBackend,
  options: TrainOptions,
  signal: AbortSignal | undefined,
): Promise<TrainState> {
  const { dIn } = source;
  const sample = await sampleRows(source, Math.min(SAMPLE_ROWS, options.tokens), options.seed, signal);
  const nRows = sample.length / dIn;
  const rawNorm = meanNorm(sample, dIn);
  const scalingFactor = options.normalize === 'none' ? 1 : Math.sqrt(dIn) / rawNorm;
  for (let i = 0; i < sample.length; i++) sample[i] *= scalingFactor;
  const b_dec = await decoderBias(sample, nRows, dIn, backend, options.decoderBiasInit);
  const start = architectureNamed(options.architecture).start?.(
    options.dSae,
    (rawNorm * scalingFactor) / Math.sqrt(dIn),
    options,
  );
  return trainState({ ...initialDirections(dIn, options), b_dec }, scalingFactor, start);
}

function initialDirections(dIn: number, options: TrainOptions): Omit<Weights, 'b_dec'> {
  const { dSae, seed, decoderNorm = 1 } = options;
  const decoderRandom = new Random(hashSeed(seed, 'W_dec'));
  const W_dec = new Float32Array(dSae * dIn);
  for (let j = 0; j < dSae; j++) {
    let square = 0;
    for (let i = j * dIn; i < (j + 1) * dIn; i++) {
      W_dec[i] = decoderRandom.normal();
      square += W_dec[i] * W_dec[i];
    }
    const scale = decoderNorm / Math.sqrt(square);
    for (let i = j * dIn; i < (j + 1) * dIn; i++) W_dec[i] *= scale;
  }
  if (options.encoderInit === 'tied') return { W_dec, W_enc: W_dec.slice(), b_enc: new Float32Array(dSae) };
  const random = new Random(hashSeed(seed, 'W_enc'));
  const bound = 1 / Math.sqrt(dIn);
  const kaiming = (n: number) => new Float32Array(n).map(() => (2 * random.uniform() - 1) * bound);
  return { W_dec, W_enc: kaiming(dSae * dIn), b_enc: kaiming(dSae) };
}

async function decoderBias(
  points: Float32Array,
  nRows: number,
  width: number,
  backend: KernelBackend,
  kind: TrainOptions['decoderBiasInit'],
): Promise<Float32Array> {
  if (kind === 'geometric-median')
    return backend.geometricMedian({ points, nRows, width, maxIterations: 100, tolerance: 1e-5 });
  const sums = new Float64Array(width);
  if (kind === 'mean') for (let i = 0; i < points.length; i++) sums[i % width] += points[i] / nRows;
  return Float32Array.from(sums);
}

/** nRows rows (fewer when the source has fewer) from randomly chosen chunks, [nRows, dIn], a fresh array. */
async function sampleRows(
  source: ActivationSource,
  nRows: number,
  seed: number,
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  const { dIn } = source;
  const rows = new Float32Array(nRows * dIn);
  let filled = 0;
  for await (const chunk of randomChunks(source, hashSeed(seed, 'sample'), signal)) {
    const taken = chunk.subarray(0, rows.length - filled);
    rows.set(taken, filled);
    filled += taken.length;
    if (filled === rows.length) break;
  }
  return rows.subarray(0, filled);
}

function meanNorm(rows: Float32Array, dIn: number): number {
  let total = 0;
  for (let start = 0; start < rows.length; start += dIn) {
    let square = 0;
    for (let i = start; i < start + dIn; i++) square += rows[i] * rows[i];
    total += Math.sqrt(square);
  }
  const mean = total / (rows.length / dIn);
  return mean > 0 ? mean : 1;
}
