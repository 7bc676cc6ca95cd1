import type { TokenText } from '../corpus/index.ts';
import { isInterruption, MonosemeError, throwIfAborted } from '../errors.ts';
import type { ModelBatch, ModelRunner } from '../model/index.ts';
import type { Example } from './choose-examples.ts';
import type { IndexCheckpoint } from './index-checkpoint.ts';

/** Tokens listed in each direction. */
export const CHANGED_TOKENS = 3;
/** Contexts that go through the model's first half together. */
const CONTEXTS_PER_BATCH = 16;
/** Versions of whole contexts that are edited at once. */
const VERSIONS = 16;
/** A divergence that rounding alone may show, in nats. */
const NO_EFFECT = 1e-6;

/** Ablations of latents at single tokens. */
export interface Ablations {
  readonly latents: Uint32Array;
  /** Corpus index of each. */
  readonly positions: Uint32Array;
  /** The latent's activation there, which is taken out. */
  readonly activations: Float32Array;
}

/** What each ablation changes, in nats. */
export interface CausalEffects {
  /** Loss of the next token without the latent minus with it. */
  readonly lossChanges: Float32Array;
  /** KL(with ‖ without) of the next token. */
  readonly divergences: Float32Array;
  /** [n, CHANGED_TOKENS]: tokens that become likelier and less likely, with the change of the log-probability. */
  readonly raised: Uint32Array;
  readonly raisedBy: Float32Array;
  readonly lowered: Uint32Array;
  readonly loweredBy: Float32Array;
}

export interface EffectsInput {
  readonly runner: ModelRunner;
  readonly tokenSet: TokenText;
  /** [dSae, dIn] */
  readonly W_dec: Float32Array;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Take a latent out of the activation at one token, x − f·W_dec[j] (the error of the reconstruction stays), and see
 * what the model then says next.
 *
 * Where nothing behind the hook mixes tokens (found out by trying), the second half of the model runs on the edited
 * tokens alone; else on a whole context for each ablation.
 *
 * Source  Bricken et al. 2023, feature ablations; there on every token of the context at once.
 */
export class Ablator {
  readonly #input: EffectsInput;
  readonly #byToken: boolean;

  private constructor(input: EffectsInput, byToken: boolean) {
    this.#input = input;
    this.#byToken = byToken;
  }

  static async start(input: EffectsInput): Promise<Ablator> {
    return new Ablator(input, await staysAtToken(input));
  }

  /** Tokens that go through the second half of the model for one ablation. */
  get tokensPerAblation(): number {
    return this.#byToken ? 1 : this.#input.tokenSet.contextSize;
  }

  /**
   * @param ablations positions whose next token is in the same context
   * @param checkpoint where a measurement that was stopped goes on, and is kept meanwhile
   */
  async effects(ablations: Ablations, checkpoint?: IndexCheckpoint): Promise<CausalEffects> {
    const { runner, tokenSet, signal, onProgress } = this.#input;
    const { tokens, contextSize } = tokenSet;
    const n = ablations.positions.length;
    const effects: CausalEffects = {
      lossChanges: new Float32Array(n),
      divergences: new Float32Array(n),
      raised: new Uint32Array(n * CHANGED_TOKENS),
      raisedBy: new Float32Array(n * CHANGED_TOKENS),
      lowered: new Uint32Array(n * CHANGED_TOKENS),
      loweredBy: new Float32Array(n * CHANGED_TOKENS),
    };
    const order = Uint32Array.from({ length: n }, (_, i) => i).sort(
      (a, b) => ablations.positions[a] - ablations.positions[b] || a - b,
    );
    const step = CONTEXTS_PER_BATCH * contextSize;
    let known = 0;
    const isResumed = await checkpoint?.read((counts) => {
      known = counts['done'];
      return { ...effects };
    });
    let done = isResumed ? known : 0;
    while (done < n) {
      throwIfAborted(signal);
      const first = ablations.positions[order[done]];
      const start = first - (first % contextSize);
      let end = done;
      while (end < n && ablations.positions[order[end]] < start + step) end++;
      const text = tokens.subarray(start, Math.min(tokens.length, start + step));
      const batch = await runner.openBatch(text, contextSize);
      try {
        const mine = order.subarray(done, end);
        if (this.#byToken) await this.#atTokens(batch, text, start, ablations, mine, effects);
        else await this.#inContexts(batch, start, ablations, mine, effects);
      } finally {
        await batch.close();
      }
      done = end;
      if (checkpoint?.isDue) await checkpoint.write({ ...effects }, { done });
      onProgress?.(done, n);
    }
    return effects;
  }

  async #atTokens(
    batch: ModelBatch,
    text: Uint32Array,
    start: number,
    { latents, positions, activations }: Ablations,
    mine: Uint32Array,
    effects: CausalEffects,
  ): Promise<void> {
    const { W_dec, runner } = this.#input;
    const rows = Uint32Array.from(mine, (i) => positions[i] - start);
    const edited = new Float32Array(mine.length * runner.dIn);
    mine.forEach((i, toRow) => {
      const place = { from: batch.activations, row: rows[toRow], to: edited, toRow };
      takeOut(place, runner.dIn, W_dec, latents[i], activations[i]);
    });
    const targets = rows.map((row) => text[row + 1]);
    const found = await batch.tokenOutcomes({ rows, targets, edited, topTokens: CHANGED_TOKENS });
    mine.forEach((i, place) => {
      effects.lossChanges[i] = found.lossChanges[place];
      effects.divergences[i] = found.divergences[place];
      copyLists(effects, i, found, place);
    });
  }

  async #inContexts(
    batch: ModelBatch,
    start: number,
    { latents, positions, activations }: Ablations,
    mine: Uint32Array,
    effects: CausalEffects,
  ): Promise<void> {
    const { tokenSet, W_dec, runner } = this.#input;
    const { contextSize } = tokenSet;
    const size = contextSize * runner.dIn;
    for (let from = 0; from < mine.length; from += VERSIONS) {
      const some = mine.subarray(from, from + VERSIONS);
      const contexts = Uint32Array.from(some, (i) => Math.floor((positions[i] - start) / contextSize));
      const edited = new Float32Array(some.length * size);
      const rows = new Uint32Array(some.length);
      some.forEach((i, version) => {
        const whole = batch.activations.subarray(contexts[version] * size, (contexts[version] + 1) * size);
        edited.set(whole, version * size);
        rows[version] = version * contextSize + ((positions[i] - start) % contextSize);
        const place = { from: edited, row: rows[version], to: edited, toRow: rows[version] };
        takeOut(place, runner.dIn, W_dec, latents[i], activations[i]);
      });
      const found = await batch.outcomes(edited, { contexts, rows, topTokens: CHANGED_TOKENS });
      some.forEach((i, version) => {
        const position = rows[version] % contextSize;
        const loss = version * (contextSize - 1) + position;
        effects.lossChanges[i] = found.losses[loss] - found.originalLosses[loss];
        effects.divergences[i] = found.divergences[rows[version]];
        copyLists(effects, i, found, version);
      });
    }
  }
}

/** to[toRow] = from[row] − activation · W_dec[latent], rows of `dIn`. */
function takeOut(
  { from, row, to, toRow }: { from: Float32Array; row: number; to: Float32Array; toRow: number },
  dIn: number,
  W_dec: Float32Array,
  latent: number,
  activation: number,
): void {
  for (let i = 0; i < dIn; i++)
    to[toRow * dIn + i] = from[row * dIn + i] - activation * W_dec[latent * dIn + i];
}

/** The order in which groups of examples are paid for. */
const PAID_FIRST: readonly Example['group'][] = ['top', 'random', 'quantile', 'interval'];

/**
 * The ablations of a latent: its examples, then the other firings around the top ones; at most `n`, each token once.
 */
export function plannedAblations(
  examples: readonly Example[],
  contextSize: number,
  n: number,
): { position: number; activation: number }[] {
  const planned = new Map<number, number>();
  const plan = (position: number, activation: number) => {
    // The last token of a context has no next one.
    const hasNext = (position + 1) % contextSize !== 0;
    if (hasNext && planned.size < n && !planned.has(position)) planned.set(position, activation);
  };
  for (const group of PAID_FIRST) {
    for (const example of examples) if (example.group === group) plan(example.position, example.activation);
  }
  for (const { group, position, near } of examples) {
    if (group === 'top') near.offsets.forEach((offset, i) => plan(position + offset, near.activations[i]));
  }
  return Array.from(planned, ([position, activation]) => ({ position, activation }));
}

type TokenLists = Pick<CausalEffects, 'raised' | 'raisedBy' | 'lowered' | 'loweredBy'>;

function copyLists(to: TokenLists, i: number, from: TokenLists, place: number): void {
  for (const name of ['raised', 'raisedBy', 'lowered', 'loweredBy'] as const)
    to[name].set(
      from[name].subarray(place * CHANGED_TOKENS, (place + 1) * CHANGED_TOKENS),
      i * CHANGED_TOKENS,
    );
}

/** Whether an edit at one token changes nothing at others, and single tokens can be run on their own. */
async function staysAtToken({ runner, tokenSet }: EffectsInput): Promise<boolean> {
  const { contextSize } = tokenSet;
  const batch = await runner.openBatch(tokenSet.tokens.subarray(0, contextSize), contextSize);
  try {
    const row = Math.floor(contextSize / 3);
    const edited = batch.activations.slice();
    edited.fill(0, row * runner.dIn, (row + 1) * runner.dIn);
    const { divergences } = await batch.outcomes(edited);
    if (divergences.some((divergence, other) => other !== row && divergence > NO_EFFECT)) return false;
    const zeros = new Float32Array(runner.dIn);
    const alone = { rows: Uint32Array.of(row), targets: Uint32Array.of(0), edited: zeros, topTokens: 1 };
    await batch.tokenOutcomes(alone);
    return true;
  } catch (error) {
    if (isInterruption(error) || !(error instanceof MonosemeError) || error.code !== 'ERR_MODEL') throw error;
    return false;
  } finally {
    await batch.close();
  }
}
