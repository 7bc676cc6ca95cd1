import type { Codes, KernelBackend, Selection } from '../kernels/contract.ts';
import { expectLength } from '../tensor/index.ts';
import { magnitudes } from './gated.ts';

/**
 * A sparse autoencoder ready for use: no optimiser, no schedule.
 *
 * Legend: dIn = width of the activations, dSae = number of latents. Weights are f32, latent-major.
 */
export interface Weights {
  /** [dSae, dIn]; the rows are the encoder directions. */
  readonly W_enc: Float32Array;
  /** [dSae] */
  readonly b_enc: Float32Array;
  /** [dSae, dIn]; the rows are the dictionary's directions. */
  readonly W_dec: Float32Array;
  /** [dIn] */
  readonly b_dec: Float32Array;
  /** [dSae], `jumprelu`: pre-activations strictly above it are kept. Not below 0. */
  readonly threshold?: Float32Array;
  /** [dSae], `gated`, whose gate's bias is `b_enc`. */
  readonly b_mag?: Float32Array;
  /** [dSae], `gated`: logarithm of the magnitude's scale. */
  readonly r_mag?: Float32Array;
}

/**
 * How a dictionary encodes. Several architectures of training end in the same one: what was trained as BatchTopK or
 * Matryoshka is used with thresholds, as `jumprelu`.
 */
export type EncoderKind = 'standard' | 'topk' | 'jumprelu' | 'gated';

/** A dictionary without the names of where it came from. */
export interface DictionaryForm {
  readonly architecture: EncoderKind;
  readonly weights: Weights;
  /** `topk`: latents kept of each row. */
  readonly k?: number;
}

export interface DictionaryConfig {
  readonly architecture: EncoderKind;
  /** `topk`: latents kept of each row. */
  readonly k?: number;
  readonly dIn: number;
  readonly dSae: number;
  /** Where in the model the activations were read. */
  readonly hookName: string;
  readonly modelName: string;
  readonly contextSize: number | undefined;
  /** Whether `b_dec` is subtracted from the input before encoding (the paper's tied pre-encoder bias). */
  readonly applyBDecToInput: boolean;
  /** Whatever else `cfg.json` held; kept when written again. */
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface Dictionary {
  readonly config: DictionaryConfig;
  readonly weights: Weights;
}

/** x − b_dec for every row: what the encoder sees. [nRows, dIn], a new array; `x` itself without a bias. */
export function centered(x: Float32Array, b_dec: Float32Array, subtract: boolean): Float32Array {
  if (!subtract) return x;
  const dIn = b_dec.length;
  const out = new Float32Array(x.length);
  for (let start = 0; start < x.length; start += dIn) {
    for (let i = 0; i < dIn; i++) out[start + i] = x[start + i] - b_dec[i];
  }
  return out;
}

/** Which pre-activations become latent activations when the dictionary is used. */
export function inferenceSelection({ config, weights }: Dictionary): Selection {
  if (config.architecture === 'topk') return { kind: 'topK', k: config.k as number };
  if (config.architecture === 'jumprelu') return { kind: 'threshold', thresholds: weights.threshold };
  return { kind: 'threshold' };
}

/**
 * Latent activations of raw activations.
 *
 * Formula  h = W_enc (x − b_dec) + b_enc, then by kind: `standard` ReLU(h); `topk` the k largest of a row, then ReLU;
 *          `jumprelu` h · 1[h > threshold]; `gated` 1[h > 0] · ReLU(exp(r_mag) (h − b_enc) + b_mag)
 * Shapes   x [nRows, dIn]
 * Units    x as the model gives it; the values in the same unit, because every training scale is folded in
 * @throws {MonosemeError} ERR_SHAPE
 */
export async function encode(
  dictionary: Dictionary,
  backend: KernelBackend,
  x: Float32Array,
  nRows: number,
): Promise<Codes> {
  const { config, weights } = dictionary;
  expectLength('x', x, nRows, config.dIn);
  const codes = await backend.encode({
    x: centered(x, weights.b_dec, config.applyBDecToInput),
    nRows,
    dIn: config.dIn,
    dSae: config.dSae,
    W_enc: weights.W_enc,
    b_enc: weights.b_enc,
    selection: inferenceSelection(dictionary),
  });
  return config.architecture === 'gated' ? withoutZeros(magnitudes(codes, weights)) : codes;
}

function withoutZeros(codes: Codes): Codes {
  const { nRows, dSae, latentIndices, values } = codes;
  if (!values.includes(0)) return codes;
  const rowPointers = new Uint32Array(nRows + 1);
  for (let row = 0; row < nRows; row++) {
    rowPointers[row + 1] = rowPointers[row];
    for (let pair = codes.rowPointers[row]; pair < codes.rowPointers[row + 1]; pair++) {
      if (values[pair] !== 0) rowPointers[row + 1]++;
    }
  }
  return {
    nRows,
    dSae,
    rowPointers,
    latentIndices: latentIndices.filter((_, pair) => values[pair] !== 0),
    values: values.filter((value) => value !== 0),
  };
}

/** Reconstructions x̂ = Σ_j f_j W_dec[j] + b_dec, [nRows, dIn], in the unit of the raw activations. */
export async function decode(
  dictionary: Dictionary,
  backend: KernelBackend,
  codes: Codes,
): Promise<Float32Array> {
  const { config, weights } = dictionary;
  return backend.decode({ codes, dOut: config.dIn, W_dec: weights.W_dec, b_dec: weights.b_dec });
}
