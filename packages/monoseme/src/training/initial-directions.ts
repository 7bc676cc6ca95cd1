import type { Weights } from '../dictionary/index.ts';
import { hashSeed, Random } from '../random/index.ts';
import type { TrainOptions } from './options.ts';

/** Rows of activations in the scale of training: what the encoder reads and what is reconstructed, of the same tokens. */
export interface Sample {
  /** [nRows, dIn] */
  readonly x: Float32Array;
  readonly dIn: number;
  /** [nRows, dOut] */
  readonly target: Float32Array;
  readonly dOut: number;
  /** [dOut] */
  readonly b_dec: Float32Array;
}

/**
 * Directions and encoder biases before the first step.
 *
 * W_dec  `random`: rows uniform on the sphere of radius `decoderNorm` (1); `data`: as long, from b_dec towards random
 *        tokens; `uniform`: U(±1/√dOut), with `unitNormDecoder` brought to length 1
 * W_enc  `tied`: a copy of W_dec (of a transcoder that starts at data: the inputs of the same tokens); `scaled`: dIn/dSae
 *        times that; `kaiming`: U(±1/√dIn), as PyTorch's linear layers
 * b_enc  0, or U(±1/√dIn) with `kaiming`
 *
 * Deviation: where sources draw every number of W_dec uniformly before rows get their length, rows are uniform on the sphere
 *
 * Sources: Bricken et al. 2023 (kaiming); Gao et al. 2024 and Conerly et al. 2024 (tied); Anthropic, January 2025
 * (uniform, scaled)
 */
export function initialDirections(sample: Sample, options: TrainOptions): Omit<Weights, 'b_dec'> {
  const { x, dIn, target, dOut, b_dec } = sample;
  const { dSae, seed, decoderInit, encoderInit, decoderNorm = 1, unitNormDecoder } = options;
  const uniform = (label: string, n: number, bound: number) => {
    const random = new Random(hashSeed(seed, label));
    return new Float32Array(n).map(() => (2 * random.uniform() - 1) * bound);
  };
  const directions = randomDirections(dSae, dOut, decoderNorm, new Random(hashSeed(seed, 'W_dec')));
  const tokens = new Random(hashSeed(seed, 'start tokens')).permutation(target.length / dOut);
  const W_dec =
    decoderInit === 'random'
      ? directions
      : decoderInit === 'uniform'
        ? uniform('W_dec', dSae * dOut, 1 / Math.sqrt(dOut))
        : towardsTokens(directions, decoderNorm, target, tokens, b_dec);
  if (decoderInit === 'uniform' && unitNormDecoder)
    for (let start = 0; start < W_dec.length; start += dOut) scaleTo_(W_dec.subarray(start, start + dOut), 1);
  if (encoderInit === 'kaiming') {
    const bound = 1 / Math.sqrt(dIn);
    return { W_dec, W_enc: uniform('W_enc', dSae * dIn, bound), b_enc: uniform('b_enc', dSae, bound) };
  }
  const W_enc =
    x === target
      ? W_dec.slice()
      : towardsTokens(new Float32Array(dSae * dIn), decoderNorm, x, tokens, new Float32Array(dIn));
  const factor = encoderInit === 'scaled' ? dIn / dSae : 1;
  return { W_dec, W_enc: W_enc.map((value) => value * factor), b_enc: new Float32Array(dSae) };
}

function randomDirections(nRows: number, width: number, length: number, random: Random): Float32Array {
  const rows = new Float32Array(nRows * width);
  for (let start = 0; start < rows.length; start += width) {
    const row = rows.subarray(start, start + width);
    for (let i = 0; i < width; i++) row[i] = random.normal();
    scaleTo_(row, length);
  }
  return rows;
}

/** Rows of a length in the directions of tokens from an origin; a token at the origin leaves the row that is there. */
function towardsTokens(
  rows: Float32Array,
  length: number,
  points: Float32Array,
  tokens: Uint32Array,
  origin: Float32Array,
): Float32Array {
  const width = origin.length;
  for (let j = 0; j * width < rows.length; j++) {
    const start = tokens[j % tokens.length] * width;
    const direction = points.subarray(start, start + width).map((value, i) => value - origin[i]);
    if (scaleTo_(direction, length)) rows.set(direction, j * width);
  }
  return rows;
}

/** Give a row a length. @returns whether it has a direction */
export function scaleTo_(row: Float32Array, length: number): boolean {
  let square = 0;
  for (let i = 0; i < row.length; i++) square += row[i] * row[i];
  const scale = length / Math.sqrt(square);
  if (!Number.isFinite(scale)) return false;
  for (let i = 0; i < row.length; i++) row[i] *= scale;
  return true;
}
