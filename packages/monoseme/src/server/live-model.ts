import type { Tokenizer } from '../corpus/index.ts';
import { type Dictionary, encode } from '../dictionary/index.ts';
import { MonosemeError, throwIfAborted } from '../errors.ts';
import { Ablator } from '../features/index.ts';
import { type Continuation, steer } from '../interventions/index.ts';
import type { KernelBackend } from '../kernels/contract.ts';
import { HookedModel, type ModelRunner } from '../model/index.ts';
import type { Job } from './live-queue.ts';
import { steerEdits, type SteeredText, type SteerRequest } from './steer-request.ts';

/** Features of a token that are told, the strongest first. */
const FEATURES_PER_TOKEN = 24;
/** Tokens of a text that are looked at: some contexts of the model. */
export const MOST_TOKENS = 1024;
/** The context of a model that does not say its own. */
const USUAL_CONTEXT = 256;

/** What a live server needs: the model cut at the dictionary's hook, with its second half. */
export interface LiveParts {
  readonly runner: ModelRunner;
  readonly dictionary: Dictionary;
  readonly backend: KernelBackend;
  readonly tokenizer: Tokenizer;
}

export interface EncodedText {
  readonly tokens: number[];
  /** Loss of each token in nats, given those before it; null where the model has not seen any. */
  readonly losses: (number | null)[];
  /** Of each token the latents that fire, the largest activation first. */
  readonly features: { latent_index: number; activation: number }[][];
  /** Tokens that were left out because the text is longer than what is looked at. */
  readonly n_left_out: number;
}

export interface Effect {
  readonly loss_change: number | null;
  readonly kl: number;
  readonly raised_tokens: number[];
  readonly raised: number[];
  readonly lowered_tokens: number[];
  readonly lowered: number[];
}

/** Runs texts of the reader through model and dictionary. Calls are worked off one after the other by the model. */
export class LiveModel {
  readonly parts: LiveParts;
  readonly contextSize: number;
  readonly #hooked: HookedModel;

  constructor(parts: LiveParts) {
    this.parts = parts;
    this.#hooked = new HookedModel(parts.runner.model, { threads: parts.runner.threads });
    this.contextSize = Math.min(MOST_TOKENS, parts.runner.model.contextSize ?? USUAL_CONTEXT);
  }

  /**
   * The features that fire on each token of a text. The tokenizer's separator goes before it, as in the corpus; a
   * longer text is seen in pieces of a context.
   */
  async encode(text: string, { signal, onProgress }: Job): Promise<EncodedText> {
    const { runner, dictionary, backend } = this.parts;
    const all = this.#tokens(text);
    const tokens = all.slice(0, MOST_TOKENS);
    const features: EncodedText['features'] = [];
    const losses: (number | null)[] = [];
    for (let start = 0; start < tokens.length; start += this.contextSize) {
      throwIfAborted(signal);
      onProgress(start, tokens.length);
      const piece = tokens.slice(start, start + this.contextSize);
      const batch = await runner.openBatch(piece, piece.length);
      try {
        const codes = await encode(dictionary, backend, batch.activations, piece.length);
        for (let row = 0; row < piece.length; row++) features.push(strongest(codes, row));
        losses.push(null);
        if (piece.length > 1) losses.push(...(await batch.losses(batch.activations)));
      } finally {
        await batch.close();
      }
    }
    return { tokens: [...tokens], losses, features, n_left_out: all.length - tokens.length };
  }

  /**
   * What taking latents out changes, each at one token of a text.
   *
   * @throws {MonosemeError} ERR_OPTION for a token or latent that is not there, ERR_INTERRUPTED
   */
  async ablate(
    text: string,
    at: readonly { token: number; latent_index: number }[],
    { signal, onProgress }: Job,
  ): Promise<Effect[]> {
    const { runner, dictionary, backend } = this.parts;
    const { dSae } = dictionary.config;
    const tokens = this.#tokens(text).slice(0, MOST_TOKENS);
    const effects: Effect[] = new Array(at.length);
    let nDone = 0;
    at.forEach(({ token, latent_index }) => {
      expectPlace('token', token, tokens.length);
      expectPlace('latent', latent_index, dSae);
    });
    for (let start = 0; start < tokens.length; start += this.contextSize) {
      const piece = tokens.slice(start, start + this.contextSize);
      const mine = [...at.keys()].filter(
        (i) => at[i].token >= start && at[i].token < start + piece.length - 1,
      );
      for (const i of at.keys()) if (at[i].token === start + piece.length - 1) effects[i] = NO_EFFECT;
      if (mine.length === 0) continue;
      const activations = await runner.activations(piece, piece.length);
      const codes = await encode(dictionary, backend, activations, piece.length);
      const tokenSet = { tokens: piece, contextSize: piece.length, nContexts: 1, documents: [] };
      const before = nDone;
      const ablator = await Ablator.start({
        ...{ runner, tokenSet, W_dec: dictionary.weights.W_dec, signal },
        onProgress: (done) => onProgress(before + done, at.length),
      });
      const found = await ablator.effects({
        latents: Uint32Array.from(mine, (i) => at[i].latent_index),
        positions: Uint32Array.from(mine, (i) => at[i].token - start),
        activations: Float32Array.from(mine, (i) =>
          activationOf(codes, at[i].token - start, at[i].latent_index),
        ),
      });
      nDone += mine.length;
      const n = found.raised.length / mine.length;
      mine.forEach((i, place) => {
        const list = (values: ArrayLike<number>) => Array.from(values).slice(place * n, (place + 1) * n);
        effects[i] = {
          loss_change: found.lossChanges[place],
          kl: found.divergences[place],
          raised_tokens: list(found.raised),
          raised: list(found.raisedBy),
          lowered_tokens: list(found.lowered),
          lowered: list(found.loweredBy),
        };
      });
    }
    return effects;
  }

  /**
   * Continuations of a prompt with a latent changed, and without; all draw the same random numbers, and what the
   * dictionary does not reconstruct stays (Bricken et al. 2023, pinned sampling).
   *
   * @throws {MonosemeError} ERR_OPTION, ERR_INTERRUPTED
   */
  async steer(request: SteerRequest, { signal, onProgress }: Job): Promise<SteeredText> {
    const prompt = this.#tokens(request.prompt);
    const room = this.contextSize - request.tokens;
    if (prompt.length > room)
      throw new MonosemeError(
        'ERR_OPTION',
        `The prompt has ${prompt.length} tokens and ${request.tokens} are to follow, but the model sees ${this.contextSize}.`,
        'Shorten one of them.',
      );
    const { runner, dictionary, backend } = this.parts;
    expectPlace('latent', request.latent_index, dictionary.config.dSae);
    const { original, steered } = await steer({
      ...{ hooked: this.#hooked, dictionary, backend, hookName: runner.hookName, prompt, signal, onProgress },
      ...{ nTokens: request.tokens, temperature: request.temperature, seed: request.seed },
      versions: steerEdits(request),
    });
    const continuations = [
      written(null, original),
      ...steered.map((text, i) => written(request.strengths[i], text)),
    ];
    return { prompt: [...prompt], continuations };
  }

  /** Give back what steering opened; the parts belong to the caller. */
  async close(): Promise<void> {
    await this.#hooked.close();
  }

  #tokens(text: string): Uint32Array {
    const { tokenizer } = this.parts;
    const ids = tokenizer.encode(text);
    const separator = tokenizer.separatorId === undefined ? [] : [tokenizer.separatorId];
    if (ids.length === 0)
      throw new MonosemeError('ERR_EMPTY_TEXT', 'The text has no tokens.', 'Write something.');
    return Uint32Array.from([...separator, ...ids]);
  }
}

/** Behind the last token of a piece no next token is known. */
const NO_EFFECT: Effect = {
  loss_change: null,
  kl: 0,
  raised_tokens: [],
  raised: [],
  lowered_tokens: [],
  lowered: [],
};

function written(
  strength: number | null,
  { tokens, logProbs, originalLogProbs }: Continuation,
): SteeredText['continuations'][number] {
  return {
    strength,
    tokens: [...tokens],
    log_probs: [...logProbs],
    original_log_probs: [...originalLogProbs],
  };
}

type Codes = Awaited<ReturnType<typeof encode>>;

function strongest({ rowPointers, latentIndices, values }: Codes, row: number) {
  const pairs = Array.from(
    { length: rowPointers[row + 1] - rowPointers[row] },
    (_, i) => rowPointers[row] + i,
  );
  return pairs
    .sort((a, b) => values[b] - values[a] || a - b)
    .slice(0, FEATURES_PER_TOKEN)
    .map((pair) => ({ latent_index: latentIndices[pair], activation: values[pair] }));
}

function activationOf({ rowPointers, latentIndices, values }: Codes, row: number, latent: number): number {
  for (let pair = rowPointers[row]; pair < rowPointers[row + 1]; pair++)
    if (latentIndices[pair] === latent) return values[pair];
  return 0;
}

function expectPlace(what: string, value: number, n: number): void {
  if (Number.isInteger(value) && value >= 0 && value < n) return;
  throw new MonosemeError('ERR_OPTION', `There is no ${what} ${value}.`, `They are numbered 0 to ${n - 1}.`);
}
