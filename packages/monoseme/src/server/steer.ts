import { encode } from '../dictionary/index.ts';
import { throwIfAborted } from '../errors.ts';
import { Random } from '../random/index.ts';
import type { LiveParts } from './live-model.ts';

/** How a latent's activation f is changed at every token: to f + s · unit, to s · f, or to s · unit. */
export type SteerMode = 'add' | 'scale' | 'clamp';

export interface SteerRequest {
  readonly prompt: string;
  readonly latent_index: number;
  readonly mode: SteerMode;
  /** One continuation each. */
  readonly strengths: readonly number[];
  /** Activation that a strength of 1 stands for, in `add` and `clamp`: the latent's largest, as the page shows it. */
  readonly unit: number;
  /** Tokens to write. */
  readonly tokens: number;
  /** 0 for the likeliest token each time. */
  readonly temperature: number;
  readonly seed: number;
}

export interface Continuation {
  /** Null for the model as it is. */
  readonly strength: number | null;
  readonly tokens: number[];
  /** Log-probability of each token as the changed model sees it, and as the model itself does after the same text. */
  readonly log_probs: number[];
  readonly original_log_probs: number[];
}

export interface SteeredText {
  readonly prompt: number[];
  readonly continuations: Continuation[];
}

/**
 * Continue a prompt with a latent changed at every token, once for each strength and once as the model is.
 *
 * Formula  x ← x + (f′ − f)·W_dec[j]: the error of the reconstruction stays (Bricken et al. 2023, pinned sampling)
 * Chance   all continuations draw the same random numbers (Gumbel noise by token and step), so that they differ only
 *          where the change makes them
 */
export async function steer(
  parts: LiveParts,
  prompt: Uint32Array,
  request: SteerRequest,
  signal: AbortSignal,
): Promise<SteeredText> {
  const { runner } = parts;
  const strengths = [null, ...request.strengths];
  const continuations = strengths.map((strength) => ({
    strength,
    ...{ tokens: [] as number[], log_probs: [] as number[], original_log_probs: [] as number[] },
  }));
  const random = new Random(request.seed);
  for (let step = 0; step < request.tokens; step++) {
    throwIfAborted(signal);
    const length = prompt.length + step;
    const texts = Uint32Array.from(continuations.flatMap(({ tokens }) => [...prompt, ...tokens]));
    const batch = await runner.openBatch(texts, length, { oneRun: true });
    try {
      const original = await batch.lastLogits(batch.activations);
      const steered = await batch.lastLogits(await changed(parts, batch.activations, length, request));
      const noise = gumbel(random, runner.vocabSize!);
      continuations.forEach((continuation, i) => {
        const row = (logits: Float32Array) => logits.subarray(i * noise.length, (i + 1) * noise.length);
        const token = draw(row(steered), noise, request.temperature);
        continuation.tokens.push(token);
        continuation.log_probs.push(logProb(row(steered), token));
        continuation.original_log_probs.push(logProb(row(original), token));
      });
    } finally {
      await batch.close();
    }
  }
  return { prompt: [...prompt], continuations };
}

/** Activations [n · length, dIn] of the model as it is, then of each strength, with the latent changed in the latter. */
async function changed(
  { dictionary, backend }: LiveParts,
  x: Float32Array,
  length: number,
  { latent_index: latent, mode, strengths, unit }: SteerRequest,
): Promise<Float32Array> {
  const { W_dec } = dictionary.weights;
  const { dIn } = dictionary.config;
  const out = x.slice();
  const { rowPointers, latentIndices, values } = await encode(dictionary, backend, x, x.length / dIn);
  for (let row = length; row < x.length / dIn; row++) {
    const strength = strengths[Math.floor(row / length) - 1];
    let before = 0;
    for (let pair = rowPointers[row]; pair < rowPointers[row + 1]; pair++)
      if (latentIndices[pair] === latent) before = values[pair];
    const after = {
      add: before + strength * unit,
      scale: before * strength,
      clamp: strength * unit,
    }[mode];
    for (let i = 0; i < dIn; i++) out[row * dIn + i] += (after - before) * W_dec[latent * dIn + i];
  }
  return out;
}

function gumbel(random: Random, n: number): Float64Array {
  return Float64Array.from({ length: n }, () => -Math.log(-Math.log(1 - random.uniform()) + 1e-300));
}

/** A token by its probability at a temperature: the largest logit / temperature + Gumbel noise. */
function draw(logits: Float32Array, noise: Float64Array, temperature: number): number {
  let best = 0;
  let largest = -Infinity;
  for (let token = 0; token < logits.length; token++) {
    const score = temperature === 0 ? logits[token] : logits[token] / temperature + noise[token];
    if (score > largest) [best, largest] = [token, score];
  }
  return best;
}

function logProb(logits: Float32Array, token: number): number {
  let largest = -Infinity;
  for (const logit of logits) if (logit > largest) largest = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  return logits[token] - largest - Math.log(sum);
}
