import type { Codes, KernelBackend, ScreenedWeights, Selection } from '../kernels/contract.ts';
import { screenedIfItPays } from '../kernels/index.ts';
import { MonosemeError } from '../errors.ts';
import { expectLength } from '../tensor/index.ts';
import { expectFiniteWeights } from './finite-weights.ts';
import { withoutCentering } from './fold.ts';
import { magnitudes } from './gated.ts';
import { matchingPursuit, type Pursuit } from './matching-pursuit.ts';
import { normalizedRows, type RowNormalization, undoNormalization_ } from './row-normalization.ts';

/**
 * A sparse autoencoder, transcoder or crosscoder ready for use: no optimiser, no schedule.
 *
 * Legend: dIn = width of the activations read, dSae = number of latents, dOut = width of what is reconstructed (dIn but
 * for a transcoder). Weights are f32, latent-major.
 */
export interface Weights {
  /** [dSae, dIn]; the rows are the encoder directions. */
  readonly W_enc: Float32Array;
  /** [dSae] */
  readonly b_enc: Float32Array;
  /** [dSae, dOut]; the rows are the dictionary's directions. */
  readonly W_dec: Float32Array;
  /** [dOut] */
  readonly b_dec: Float32Array;
  /** [dSae], `jumprelu`: pre-activations strictly above it are kept. Not below 0. */
  readonly threshold?: Float32Array;
  /** [dSae], `gated`, whose gate's bias is `b_enc`. */
  readonly b_mag?: Float32Array;
  /** [dSae], `gated`: logarithm of the magnitude's scale. */
  readonly r_mag?: Float32Array;
  /** [dIn, dOut], skip transcoders: x · W_skip is added to the reconstruction. */
  readonly W_skip?: Float32Array;
}

/** One of the hook points that a crosscoder reads, in the order of its columns. */
export interface CrosscoderSource {
  readonly hookName: string;
  readonly modelName: string;
  /** Columns of a row, of W_enc and of W_dec that are its own. */
  readonly width: number;
  /**
   * √width / E‖x‖ of its activations, whether training multiplied by it or not: decoder norms of different sources are
   * compared after they are multiplied by it.
   */
  readonly scale: number;
  /** SHA-256 of its model, where that is known. */
  readonly modelHash?: string;
}

/**
 * How a dictionary encodes. Several architectures of training end in the same one: what was trained as BatchTopK or
 * Matryoshka is used with thresholds, as `jumprelu`.
 */
export type EncoderKind = 'standard' | 'topk' | 'jumprelu' | 'gated' | 'matching_pursuit';

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
  /** `matching_pursuit`: when it ends. W_enc is W_dec, and b_enc 0. */
  readonly pursuit?: Pursuit;
  readonly dIn: number;
  readonly dSae: number;
  /** Where in the model the activations were read. */
  readonly hookName: string;
  /** Transcoders: the tensor that is reconstructed from the activations at `hookName`. */
  readonly targetHookName?: string;
  /** Crosscoders: whose activations stand side by side in a row; their widths add up to dIn. */
  readonly sources?: readonly CrosscoderSource[];
  /** Every row is normalised before it is encoded, and the reconstruction is brought back: see `row-normalization.ts`. */
  readonly normalization?: RowNormalization;
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

/** Width of the reconstructions. */
export function outputWidth({ weights }: Dictionary): number {
  return weights.b_dec.length;
}

/**
 * Latent activations of raw activations.
 *
 * Formula  h = W_enc (x − b_dec) + b_enc, then by kind: `standard` ReLU(h); `topk` the k largest of a row, then ReLU;
 *          `jumprelu` h · 1[h > threshold]; `gated` 1[h > 0] · ReLU(exp(r_mag) (h − b_enc) + b_mag);
 *          `matching_pursuit` see there
 * Shapes   x [nRows, dIn]
 * Units    x as the model gives it; the values in the same unit, because every training scale is folded in (with
 *          a normalisation of rows: in the unit of the row)
 * Weights  must not change between calls: what they are in 8 bits is made once
 * @throws {MonosemeError} ERR_SHAPE, ERR_NOT_FINITE (the weights hold NaN or infinity)
 */
export async function encode(
  dictionary: Dictionary,
  backend: KernelBackend,
  x: Float32Array,
  nRows: number,
): Promise<Codes> {
  const { config, weights } = dictionary;
  expectLength('x', x, nRows, config.dIn);
  expectFiniteWeights(weights);
  const { normalization, pursuit, dIn, dSae } = config;
  const input = normalization ? normalizedRows(x, dIn, normalization) : x;
  const screened = await screenedOnce(backend, weights.W_enc, dIn);
  if (pursuit) {
    const rest = centered(input, weights.b_dec, config.applyBDecToInput);
    return matchingPursuit({ backend, x: rest, nRows, W_dec: weights.W_dec, dSae, pursuit, screened });
  }
  const seen = uncentered(dictionary);
  const codes = await backend.encode({
    ...{ x: input, nRows, dIn, dSae, screened },
    ...{ W_enc: weights.W_enc, b_enc: seen.weights.b_enc, selection: inferenceSelection(dictionary) },
  });
  return config.architecture === 'gated' ? withoutZeros(magnitudes(codes, seen.weights)) : codes;
}

/** By the weights of those that subtract b_dec. */
const withoutCenter = new WeakMap<Weights, Dictionary>();

/**
 * The encoder that sees x itself: rows need no copy, and zeros, of which activations behind a ReLU are full, stay zeros. Its
 * rounding is that of W x, which x as the model gives it has already.
 */
function uncentered(dictionary: Dictionary): Dictionary {
  if (!dictionary.config.applyBDecToInput) return dictionary;
  const known = withoutCenter.get(dictionary.weights) ?? withoutCentering(dictionary);
  withoutCenter.set(dictionary.weights, known);
  return known;
}

/** By backend, then by W_enc. */
const screenedBy = new WeakMap<KernelBackend, WeakMap<Float32Array, Promise<ScreenedWeights | undefined>>>();

function screenedOnce(backend: KernelBackend, W_enc: Float32Array, dIn: number) {
  const known = screenedBy.get(backend) ?? new WeakMap<Float32Array, Promise<ScreenedWeights | undefined>>();
  screenedBy.set(backend, known);
  const screened = known.get(W_enc) ?? screenedIfItPays(backend, W_enc, dIn);
  known.set(W_enc, screened);
  return screened;
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

/**
 * Reconstructions x̂ = Σ_j f_j W_dec[j] + b_dec (+ x · W_skip), [nRows, dOut], in the unit of the raw activations.
 *
 * @param x [nRows, dIn]: the activations that were encoded. Only a dictionary with a skip connection or one that
 *   normalises rows needs them; without them it throws ERR_OPTION.
 */
export async function decode(
  dictionary: Dictionary,
  backend: KernelBackend,
  codes: Codes,
  x?: Float32Array,
): Promise<Float32Array> {
  const { config, weights } = dictionary;
  expectFiniteWeights(weights);
  const { W_dec, b_dec, W_skip } = weights;
  const dOut = b_dec.length;
  const reconstructions = await backend.decode({ codes, dOut, W_dec, b_dec });
  const needs = W_skip ? 'a skip connection' : config.normalization;
  if (needs === undefined) return reconstructions;
  if (x === undefined)
    throw new MonosemeError(
      'ERR_OPTION',
      `The dictionary has ${needs}, and decode was not given its inputs.`,
      'Give decode the activations that were encoded.',
    );
  expectLength('x', x, codes.nRows, config.dIn);
  if (W_skip) {
    const { dIn } = config;
    const skipped = await backend.product({ a: x, b: W_skip, nRows: codes.nRows, inner: dIn, width: dOut });
    for (let i = 0; i < skipped.length; i++) reconstructions[i] += skipped[i];
  }
  if (config.normalization) undoNormalization_(reconstructions, x, config.dIn, config.normalization);
  return reconstructions;
}
