import type { TokenSet } from '../corpus/index.ts';
import { encode } from '../dictionary/index.ts';
import { throwIfAborted } from '../errors.ts';
import { type Interval, meanInterval } from '../evaluation/index.ts';
import type { ModelRunner } from '../model/index.ts';
import { hashSeed } from '../random/index.ts';
import { type CodedText, codedChunks, expectAutoencoder, type Pass } from './coded-text.ts';

/** Contexts in which a latent is ablated: those of its largest activations. */
const CONTEXTS = 16;
/** Tokens listed in each direction, and distances behind the peak at which divergences are told. */
const LISTED = 10;
const OFFSETS = 16;

/** What a latent does to what the model says. */
export interface LatentEffects {
  readonly latent: number;
  /** Its largest activation in the text; 0 for a latent that never fires, of which nothing else is known. */
  readonly largest: number;
  readonly contexts: readonly ContextEffects[];
  /** Mean change of a token's loss without it in these contexts, in nats; undefined for a latent that never fires. */
  readonly lossChange: MeanEffect | undefined;
  /** Mean KL(with ‖ without) in nats, of the prediction 0, 1, … tokens behind the peak, when it is ablated there alone. */
  readonly divergences: readonly MeanEffect[];
  /** Logit weights: tokens whose logits a unit of the latent raises and lowers most, about the median. */
  readonly raised: readonly TokenWeight[];
  readonly lowered: readonly TokenWeight[];
}

/** A mean over contexts. */
export interface MeanEffect {
  readonly value: number;
  /** 95 %, by bootstrap over contexts; undefined of fewer than ten. */
  readonly interval: Interval | undefined;
}

export interface TokenWeight {
  readonly token: number;
  readonly weight: number;
}

/** A context in which the latent was ablated on every token. */
export interface ContextEffects {
  readonly tokens: Uint32Array;
  /** Activation at each token. */
  readonly activations: Float32Array;
  /** Loss of each token without the latent minus with it, in nats; 0 for the first, which nothing predicts. */
  readonly lossChanges: Float32Array;
}

/**
 * Ablation effects and logit weights of some latents. A latent is taken out of the activation, x − f·W_dec[j] (the error
 * of the reconstruction stays), and the rest of the model runs on: on every token of the 16 contexts of its largest
 * activations, and at the peak alone, whose effect on every later token is told by its distance.
 *
 * @param jacobian [dIn, vocab]: mean derivative of the logits by the activations
 * Source  Bricken et al. 2023, feature ablations and logit weights (footnote 15: about the median)
 * @throws {MonosemeError} ERR_OPTION for transcoders and crosscoders; ERR_MISMATCH, ERR_MODEL, ERR_INTERRUPTED
 */
export async function latentEffects(
  text: CodedText,
  { tokens }: TokenSet,
  runner: ModelRunner,
  jacobian: Float32Array,
  latents: readonly number[],
  pass: Pass,
): Promise<LatentEffects[]> {
  expectAutoencoder(text.dictionary);
  const peaks = await peaksOf(text, latents, pass);
  const effects: LatentEffects[] = [];
  for (const [i, latent] of latents.entries()) {
    const contexts: ContextEffects[] = [];
    const byOffset = Array.from({ length: OFFSETS }, (): number[] => []);
    for (const { place } of peaks[i]) {
      throwIfAborted(pass.signal);
      const { effect, divergences } = await ablate(text, tokens, runner, latent, place, pass);
      contexts.push(effect);
      divergences.slice(0, OFFSETS).forEach((divergence, offset) => byOffset[offset].push(divergence));
    }
    effects.push({
      ...{ latent, largest: peaks[i][0]?.value ?? 0, contexts },
      lossChange: meanEffect(contexts.map(({ lossChanges }) => mean(lossChanges.subarray(1)))),
      divergences: byOffset.flatMap((values) => meanEffect(values) ?? []),
      ...logitWeights(text, jacobian, latent),
    });
  }
  return effects;
}

function meanEffect(values: readonly number[]): MeanEffect | undefined {
  if (values.length === 0) return undefined;
  return { value: mean(values), interval: meanInterval(values, hashSeed(0, 'effects')) };
}

function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
}

interface Peak {
  readonly place: number;
  readonly value: number;
}

/** The largest activations of each latent, one a context, largest first. */
async function peaksOf(text: CodedText, latents: readonly number[], pass: Pass): Promise<Peak[][]> {
  const { contextSize } = text.source;
  const slots = new Map(latents.map((latent, i) => [latent, i]));
  const peaks = latents.map((): Peak[] => []);
  for await (const { codes, firstToken } of codedChunks([text], pass)) {
    const [{ nRows, rowPointers, latentIndices, values }] = codes;
    for (let row = 0; row < nRows; row++) {
      for (let k = rowPointers[row]; k < rowPointers[row + 1]; k++) {
        const slot = slots.get(latentIndices[k]);
        if (slot !== undefined)
          keepPeak(peaks[slot], { place: firstToken + row, value: values[k] }, contextSize);
      }
    }
  }
  return peaks;
}

function keepPeak(peaks: Peak[], peak: Peak, contextSize: number): void {
  const context = Math.floor(peak.place / contextSize);
  const known = peaks.findIndex(({ place }) => Math.floor(place / contextSize) === context);
  if (known !== -1) {
    if (peaks[known].value >= peak.value) return;
    peaks.splice(known, 1);
  }
  const at = peaks.findIndex(({ value }) => value < peak.value);
  peaks.splice(at === -1 ? peaks.length : at, 0, peak);
  if (peaks.length > CONTEXTS) peaks.pop();
}

/** Take the latent out everywhere in the peak's context, and at the peak alone: two versions of one batch. */
async function ablate(
  { source, dictionary }: CodedText,
  tokens: Uint32Array,
  runner: ModelRunner,
  latent: number,
  place: number,
  { backend }: Pass,
): Promise<{ effect: ContextEffects; divergences: number[] }> {
  const { contextSize, dIn } = source;
  const start = place - (place % contextSize);
  const context = tokens.slice(start, start + contextSize);
  const batch = await runner.openBatch(context, contextSize);
  try {
    const x = batch.activations;
    const codes = await encode(dictionary, backend, x, contextSize);
    const activations = new Float32Array(contextSize);
    for (let row = 0; row < contextSize; row++)
      for (let k = codes.rowPointers[row]; k < codes.rowPointers[row + 1]; k++)
        if (codes.latentIndices[k] === latent) activations[row] = codes.values[k];
    const direction = dictionary.weights.W_dec.subarray(latent * dIn, (latent + 1) * dIn);
    const without = (where: (row: number) => boolean): Float32Array =>
      x.map((value, i) => {
        const row = Math.floor(i / dIn);
        return where(row) ? value - activations[row] * direction[i % dIn] : value;
      });
    const peak = place - start;
    const everywhere = await batch.outcomes(without(() => true));
    const atPeak = await batch.outcomes(without((row) => row === peak));
    const lossChanges = new Float32Array(contextSize);
    everywhere.losses.forEach((loss, i) => (lossChanges[i + 1] = loss - everywhere.originalLosses[i]));
    return {
      effect: { tokens: context, activations, lossChanges },
      divergences: [...atPeak.divergences.slice(peak)],
    };
  } finally {
    await batch.close();
  }
}

/** Jᵀ d about its median: the tokens that it raises and lowers most. */
function logitWeights(
  { dictionary }: CodedText,
  jacobian: Float32Array,
  latent: number,
): Pick<LatentEffects, 'raised' | 'lowered'> {
  const { dIn } = dictionary.config;
  const vocabSize = jacobian.length / dIn;
  const weights = new Float64Array(vocabSize);
  for (let i = 0; i < dIn; i++) {
    const element = dictionary.weights.W_dec[latent * dIn + i];
    for (let token = 0; token < vocabSize; token++)
      weights[token] += element * jacobian[i * vocabSize + token];
  }
  const order = [...weights.keys()].sort((a, b) => weights[b] - weights[a] || a - b);
  const median = weights[order[order.length >> 1]];
  const listed = (some: readonly number[]) =>
    some.map((token) => ({ token, weight: weights[token] - median }));
  return { raised: listed(order.slice(0, LISTED)), lowered: listed(order.slice(-LISTED).reverse()) };
}
