import { MonosemeError, throwIfAborted } from '../errors.ts';
import type { KernelBackend } from '../kernels/contract.ts';
import { expectLength } from '../tensor/index.ts';

/** Bins of equal width of a latent's logit weights, from its smallest to its largest. */
export const LOGIT_BINS = 48;
/** Logit weights in memory at once: 16 MB of them with their indices. */
const WEIGHTS_PER_BLOCK = 2 ** 21;

/** What adding one unit of a latent does to the logits. */
export interface LogitEffects {
  /** Ids of the tokens with the largest weights, largest first. Ties go to the lower id. */
  readonly topTokens: Uint32Array;
  readonly topWeights: Float32Array;
  /** Ids of the tokens with the smallest weights, smallest first. */
  readonly bottomTokens: Uint32Array;
  readonly bottomWeights: Float32Array;
  /** [LOGIT_BINS]: tokens by weight, from bottomWeights[0] to topWeights[0]. */
  readonly histogram: Uint32Array;
  /** E[(v − mean)⁴] / std⁴ over the vocabulary: large when few tokens stand out. */
  readonly kurtosis: number;
}

export interface LogitEffectsInput {
  readonly backend: KernelBackend;
  /** [dSae, dIn] */
  readonly W_dec: Float32Array;
  readonly dSae: number;
  readonly dIn: number;
  /** [dIn, vocabSize]: mean derivative of the logits by the activations. */
  readonly jacobian: Float32Array;
  /** Ids of the tokens that take part, ascending: those that occur in the corpus. */
  readonly tokens: Uint32Array;
  /** Tokens in each of the two lists. */
  readonly nTop: number;
  readonly signal?: AbortSignal;
}

/**
 * Logit weights of every latent, in order.
 *
 * Formula  v_j = W_dec[j] · J, minus its median over the vocabulary
 * Source   Bricken et al. 2023, section on downstream effects and footnote 15 (median, rare tokens dropped)
 * Cost     2·dSae·dIn·nTokens on the backend
 * @throws {MonosemeError} ERR_SHAPE, ERR_NOT_FINITE, ERR_INTERRUPTED
 */
export async function* logitEffects(input: LogitEffectsInput): AsyncGenerator<LogitEffects> {
  const { backend, W_dec, dSae, dIn, tokens, signal } = input;
  expectLength('W_dec', W_dec, dSae, dIn);
  const columns = columnsOf(input);
  const keepAll = new Float32Array(tokens.length).fill(-Infinity);
  const blockRows = Math.max(1, Math.floor(WEIGHTS_PER_BLOCK / tokens.length));
  const scratch = new Float32Array(tokens.length);
  for (let start = 0; start < dSae; start += blockRows) {
    throwIfAborted(signal);
    const nRows = Math.min(blockRows, dSae - start);
    // A matrix product: an encoder whose thresholds keep every value returns them all, row after row.
    const { values } = await backend.encode({
      x: W_dec.subarray(start * dIn, (start + nRows) * dIn),
      nRows,
      dIn,
      dSae: tokens.length,
      W_enc: columns,
      b_enc: new Float32Array(tokens.length),
      selection: { kind: 'threshold', thresholds: keepAll },
    });
    if (values.length !== nRows * tokens.length)
      throw new MonosemeError(
        'ERR_NOT_FINITE',
        'The logit weights hold NaN or infinity.',
        'Check the weights of the dictionary and the derivative of the logits.',
      );
    for (let row = 0; row < nRows; row++) {
      const weights = values.subarray(row * tokens.length, (row + 1) * tokens.length);
      yield describe(weights, tokens, Math.min(input.nTop, tokens.length), scratch);
    }
  }
}

/** [nTokens, dIn]: the Jacobian's columns of the tokens that take part. */
function columnsOf({ jacobian, dIn, tokens }: LogitEffectsInput): Float32Array {
  const vocabSize = jacobian.length / dIn;
  if (!Number.isInteger(vocabSize) || tokens.length === 0 || tokens[tokens.length - 1] >= vocabSize)
    throw new MonosemeError(
      'ERR_SHAPE',
      `The derivative of the logits has ${jacobian.length} elements for ${dIn} inputs and tokens up to ${tokens.at(-1)}.`,
      'Pass [dIn, vocabSize], row-major, of the model that the tokens belong to.',
    );
  const columns = new Float32Array(tokens.length * dIn);
  for (let i = 0; i < dIn; i++) {
    for (let t = 0; t < tokens.length; t++) columns[t * dIn + i] = jacobian[i * vocabSize + tokens[t]];
  }
  return columns;
}

function describe(
  weights: Float32Array,
  tokens: Uint32Array,
  n: number,
  scratch: Float32Array,
): LogitEffects {
  const top = largestPlaces(weights, n, 1);
  const bottom = largestPlaces(weights, n, -1);
  scratch.set(weights);
  const middle = medianOf_(scratch);
  return {
    topTokens: Uint32Array.from(top, (place) => tokens[place]),
    topWeights: Float32Array.from(top, (place) => weights[place] - middle),
    bottomTokens: Uint32Array.from(bottom, (place) => tokens[place]),
    bottomWeights: Float32Array.from(bottom, (place) => weights[place] - middle),
    histogram: histogram(weights, weights[bottom[0]], weights[top[0]]),
    kurtosis: kurtosis(weights),
  };
}

/** Where the n largest (sign 1) or smallest (−1) weights stand, best first; ties go to the lower place. */
function largestPlaces(weights: Float32Array, n: number, sign: 1 | -1): number[] {
  const places: number[] = [];
  let least = -Infinity;
  for (let i = 0; i < weights.length; i++) {
    const weight = sign * weights[i];
    if (places.length === n && weight <= least) continue;
    let place = places.length;
    while (place > 0 && sign * weights[places[place - 1]] < weight) place--;
    places.splice(place, 0, i);
    if (places.length > n) places.pop();
    least = sign * weights[places[places.length - 1]];
  }
  return places;
}

/** The median; of an even number of values the mean of the middle two. Mutates values: they are reordered */
function medianOf_(values: Float32Array): number {
  const middle = values.length >> 1;
  const upper = select_(values, middle);
  if (values.length % 2 === 1) return upper;
  let lower = -Infinity;
  for (let i = 0; i < middle; i++) if (values[i] > lower) lower = values[i];
  return (lower + upper) / 2;
}

/** Quickselect (Hoare): the value that would stand at `k` were they sorted; none before it is larger. Mutates values */
function select_(values: Float32Array, k: number): number {
  let [low, high] = [0, values.length - 1];
  while (low < high) {
    const pivot = values[(low + high) >>> 1];
    let [i, j] = [low, high];
    while (i <= j) {
      while (values[i] < pivot) i++;
      while (values[j] > pivot) j--;
      if (i > j) break;
      const value = values[i];
      values[i++] = values[j];
      values[j--] = value;
    }
    if (k <= j) high = j;
    else if (k >= i) low = i;
    else break;
  }
  return values[k];
}

function histogram(weights: Float32Array, low: number, high: number): Uint32Array {
  const counts = new Uint32Array(LOGIT_BINS);
  const scale = LOGIT_BINS / (high - low || 1);
  for (let i = 0; i < weights.length; i++)
    counts[Math.min(LOGIT_BINS - 1, Math.floor((weights[i] - low) * scale))]++;
  return counts;
}

function kurtosis(weights: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < weights.length; i++) sum += weights[i];
  const mean = sum / weights.length;
  let second = 0;
  let fourth = 0;
  for (let i = 0; i < weights.length; i++) {
    const square = (weights[i] - mean) ** 2;
    second += square;
    fourth += square * square;
  }
  return second === 0 ? 0 : (fourth * weights.length) / (second * second);
}
