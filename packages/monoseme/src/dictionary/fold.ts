import type { Dictionary, Weights } from './dictionary.ts';

/** Rows shorter than this are folded as if they were this long, as SAELens does. */
const LEAST_NORM = 1e-8;

/** Lengths of the rows of a matrix, [nRows]. */
export function rowNorms(matrix: Float32Array, nRows: number): Float64Array {
  const width = matrix.length / nRows;
  const norms = new Float64Array(nRows);
  for (let row = 0, i = 0; row < nRows; row++) {
    let square = 0;
    for (const end = i + width; i < end; i++) square += matrix[i] * matrix[i];
    norms[row] = Math.sqrt(square);
  }
  return norms;
}

/** Columns of a row that were multiplied by one factor. */
export interface ScaledColumns {
  readonly width: number;
  readonly scale: number;
}

/**
 * The same dictionary for inputs and outputs that are not scaled.
 *
 * Every form here is positively homogeneous: with x_s = s·x, an encoder with biases and thresholds b gives s times
 * what it gives on x with b/s. So all biases and thresholds are divided by s, and the directions stay as they are.
 * (`r_mag` of a gated encoder is the logarithm of a ratio and stays too.) Where columns have factors s_i of their own,
 * s is that of the first output (so the rows of a transcoder's W_dec
 * keep their length), and what is left of the others goes into the columns: W_enc[:, i] · s_i/s, W_dec[:, o] · s/s_o,
 * W_skip[i, o] · s_i/s_o, b_dec[o] / s_o.
 *
 * @param outputs the columns of what is reconstructed, those of the inputs when absent
 */
export function foldInputScale(
  weights: Weights,
  inputs: readonly ScaledColumns[],
  outputs: readonly ScaledColumns[] = inputs,
): Weights {
  const [{ scale }] = outputs;
  const inputScales = columnScales(inputs);
  const outputScales = columnScales(outputs);
  const divided = (vector: Float32Array) => vector.map((value) => value / scale);
  const columns = (matrix: Float32Array, factors: Float64Array) =>
    factors.every((factor) => factor === 1)
      ? matrix
      : matrix.map((value, i) => value * factors[i % factors.length]);
  const { threshold, b_mag, W_skip } = weights;
  return {
    ...weights,
    W_enc: columns(
      weights.W_enc,
      inputScales.map((own) => own / scale),
    ),
    b_enc: divided(weights.b_enc),
    W_dec: columns(
      weights.W_dec,
      outputScales.map((own) => scale / own),
    ),
    b_dec: weights.b_dec.map((value, o) => value / outputScales[o]),
    ...(threshold && { threshold: divided(threshold) }),
    ...(b_mag && { b_mag: divided(b_mag) }),
    ...(W_skip && {
      W_skip: W_skip.map((value, at) => {
        const o = at % outputScales.length;
        return (value * inputScales[(at - o) / outputScales.length]) / outputScales[o];
      }),
    }),
  };
}

/** The factor of every column. */
function columnScales(parts: readonly ScaledColumns[]): Float64Array {
  return Float64Array.from(parts.flatMap(({ width, scale }) => new Array<number>(width).fill(scale)));
}

/**
 * The same reconstructions with decoder rows of length 1: latent activations grow by what the rows lose.
 * Encoder rows, biases and thresholds are multiplied by the length n_j = max(‖W_dec[j]‖, 1e-8).
 */
export function foldDecoderNorms(weights: Weights): Weights {
  const dSae = weights.b_enc.length;
  const norms = rowNorms(weights.W_dec, dSae).map((norm) => Math.max(norm, LEAST_NORM));
  const [dIn, dOut] = [weights.W_enc.length / dSae, weights.W_dec.length / dSae];
  const times = (vector: Float32Array) => vector.map((value, j) => value * norms[j]);
  return {
    ...weights,
    W_enc: weights.W_enc.map((value, i) => value * norms[Math.floor(i / dIn)]),
    W_dec: weights.W_dec.map((value, i) => value / norms[Math.floor(i / dOut)]),
    b_enc: times(weights.b_enc),
    ...(weights.threshold && { threshold: times(weights.threshold) }),
    ...(weights.b_mag && { b_mag: times(weights.b_mag) }),
  };
}

/** The same codes from an encoder that sees x − b_dec: W x + b = W (x − b_dec) + (b + W b_dec). Not for transcoders. */
export function withCentering(dictionary: Dictionary): Dictionary {
  return dictionary.config.applyBDecToInput ? dictionary : shifted(dictionary, 1);
}

/** The same codes from an encoder that sees x: W (x − b_dec) + b = W x + (b − W b_dec). */
export function withoutCentering(dictionary: Dictionary): Dictionary {
  return dictionary.config.applyBDecToInput ? shifted(dictionary, -1) : dictionary;
}

/** sign · W b_dec added to every bias that stands beside W x. Thresholds are compared with the whole and stay. */
function shifted({ config, weights }: Dictionary, sign: 1 | -1): Dictionary {
  const { W_enc, b_dec, b_mag, r_mag } = weights;
  const shift = Float64Array.from(weights.b_enc, (_, j) => {
    let sum = 0;
    for (let i = 0; i < config.dIn; i++) sum += W_enc[j * config.dIn + i] * b_dec[i];
    return sign * sum;
  });
  return {
    config: { ...config, applyBDecToInput: sign === 1 },
    weights: {
      ...weights,
      b_enc: weights.b_enc.map((value, j) => value + shift[j]),
      ...(b_mag && r_mag && { b_mag: b_mag.map((value, j) => value + Math.exp(r_mag[j]) * shift[j]) }),
    },
  };
}
