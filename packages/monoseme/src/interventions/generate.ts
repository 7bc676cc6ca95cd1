import { MonosemeError, throwIfAborted } from '../errors.ts';
import type { HookedModel, Hooks } from '../model/index.ts';
import { hashSeed, Random } from '../random/index.ts';
import { expectLength, expectPositiveInteger } from '../tensor/index.ts';
import { TextReader } from './text-reader.ts';

export interface GenerateInput {
  hooked: HookedModel;
  /** [n, promptSize]: prompts of one length. */
  prompts: Uint32Array;
  promptSize: number;
  /** Tokens to add to each. */
  nTokens: number;
  hooks?: Hooks;
  /** 0 (the default) takes the likeliest token, ties to the lower; else logits are divided by it. */
  temperature?: number;
  /** Of each prompt; prompts of one seed draw the same random numbers. By default 0, 1, 2, … */
  seeds?: readonly number[];
  signal?: AbortSignal;
  /** In tokens of each prompt. */
  onProgress?: (done: number, total: number) => void;
}

export interface Generated {
  /** [n, nTokens] */
  tokens: Uint32Array<ArrayBuffer>;
  /** Log-probability of each under the model with its edits, in nats and at temperature 1, [n, nTokens]. */
  logProbs: Float32Array<ArrayBuffer>;
}

/**
 * Continue prompts, with edits in force at every step. A model with caches of keys and values reads each token once, where
 * the edits change each row by itself ({@link HookedModel.openCache}); else the whole text goes through it for each token.
 *
 * @throws {MonosemeError} ERR_OPTION (prompt and continuation do not fit the model's context, a temperature
 * below 0), ERR_SHAPE, ERR_INTERRUPTED, what {@link HookedModel.run} throws
 */
export async function generate(input: GenerateInput): Promise<Generated> {
  const { hooked, prompts, promptSize, nTokens, hooks, temperature = 0, signal, onProgress } = input;
  expectPositiveInteger('The length of a prompt', promptSize);
  expectPositiveInteger('The number of tokens', nTokens);
  const n = Math.floor(prompts.length / promptSize);
  expectLength('The prompts', prompts, n, promptSize);
  const { seeds = Array.from({ length: n }, (_, i) => i) } = input;
  expectLength('The seeds', seeds, n);
  expectRoom(hooked, promptSize, nTokens, temperature);
  const randoms = seeds.map((seed) => new Random(hashSeed(seed, 'generate')));
  const reader = new TextReader(hooked, hooks, signal);
  let texts = prompts;
  const generated = { tokens: new Uint32Array(n * nTokens), logProbs: new Float32Array(n * nTokens) };
  try {
    for (let step = 0; step < nTokens; step++) {
      throwIfAborted(signal);
      const size = promptSize + step;
      const logits = await reader.lastLogits(texts, size);
      const longer = new Uint32Array(n * (size + 1));
      for (let i = 0; i < n; i++) {
        const own = logits.subarray(i * hooked.vocabSize, (i + 1) * hooked.vocabSize);
        const token = temperature === 0 ? likeliest(own) : draw(own, temperature, randoms[i]);
        generated.tokens[i * nTokens + step] = token;
        generated.logProbs[i * nTokens + step] = logProb(own, token);
        longer.set(texts.subarray(i * size, (i + 1) * size), i * (size + 1));
        longer[i * (size + 1) + size] = token;
      }
      texts = longer;
      onProgress?.(step + 1, nTokens);
    }
  } finally {
    await reader.close();
  }
  return generated;
}

/**
 * Log-probabilities of the last `nTokens` tokens of texts, each given all before it, in nats.
 *
 * @param texts [n, contextSize]
 * @returns [n, nTokens]
 * @throws {MonosemeError} ERR_OPTION, what {@link HookedModel.run} throws
 */
export async function scoreTokens(
  hooked: HookedModel,
  texts: Uint32Array,
  contextSize: number,
  nTokens: number,
  hooks?: Hooks,
): Promise<Float32Array<ArrayBuffer>> {
  const n = texts.length / contextSize;
  if (nTokens >= contextSize)
    throw new MonosemeError(
      'ERR_OPTION',
      `A text of ${contextSize} tokens has no ${nTokens} that follow one.`,
      '',
    );
  // The last token is scored, but not read: a text may be one longer than what the model takes.
  const read = contextSize - 1;
  const tokens = texts.filter((_, i) => i % contextSize < read);
  const rows = Uint32Array.from({ length: n * nTokens }, (_, i) => {
    const context = Math.floor(i / nTokens);
    return (context + 1) * read - nTokens + (i % nTokens);
  });
  const logits = await hooked.run({ tokens, contextSize: read, hooks, rows });
  return Float32Array.from(rows, (row, i) => {
    const own = logits.subarray(i * hooked.vocabSize, (i + 1) * hooked.vocabSize);
    return logProb(own, texts[row + Math.floor(row / read) + 1]);
  });
}

function expectRoom(hooked: HookedModel, promptSize: number, nTokens: number, temperature: number): void {
  const longest = hooked.model.contextSize ?? Infinity;
  // The last token is added, but not read.
  if (promptSize + nTokens - 1 > longest)
    throw new MonosemeError(
      'ERR_OPTION',
      `A prompt of ${promptSize} tokens and ${nTokens} more do not fit the model's context of ${longest}.`,
      'Ask for fewer tokens, or shorten the prompt.',
    );
  if (!(temperature >= 0 && temperature < Infinity))
    throw new MonosemeError('ERR_OPTION', `The temperature is ${temperature}.`, 'It takes a number from 0.');
}

function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let v = 1; v < logits.length; v++) if (logits[v] > logits[best]) best = v;
  return best;
}

/** A token with probability softmax(logits / temperature), by the inverse of the cumulated sum in f64. */
function draw(logits: Float32Array, temperature: number, random: Random): number {
  const largest = logits[likeliest(logits)];
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - largest) / temperature));
  let left = random.uniform() * weights.reduce((sum, weight) => sum + weight, 0);
  for (let v = 0; v < weights.length; v++) {
    left -= weights[v];
    if (left < 0) return v;
  }
  return likeliest(logits);
}

function logProb(logits: Float32Array, token: number): number {
  const largest = logits[likeliest(logits)];
  let sum = 0;
  for (let v = 0; v < logits.length; v++) sum += Math.exp(logits[v] - largest);
  return logits[token] - largest - Math.log(sum);
}
