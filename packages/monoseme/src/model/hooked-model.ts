import { availableParallelism } from 'node:os';
import { MonosemeError, throwIfAborted } from '../errors.ts';
import { expectLength, expectPositiveInteger } from '../tensor/index.ts';
import { countElements } from '../formats/index.ts';
import { samplesToFeeds } from './array-runner.ts';
import { ACTIVATIONS, cutGraph, inGraphOrder } from './cut.ts';
import { type CachePair, cachePairs } from './key-value-cache.ts';
import { type Feed, fixedSizes, makeFeeds } from './model-inputs.ts';
import { expectTokens, loadPart, noLogits } from './model-session.ts';
import type { OnnxModel } from './onnx-model.ts';
import { outputsHead, ROW_LOGITS, rowLogitsHead } from './suffix-heads.ts';
import { rowWidth, type TensorInfo } from './tensor-shapes.ts';
import { WorkerClient } from './worker-client.ts';
import type { FloatTensor, SessionName } from './worker-messages.ts';

/** Sets of hooks whose sessions are kept; each holds the model's weights once. */
const KEPT_SETS = 4;

/** Activations at a hook on their way through the model. */
export interface HookedActivations {
  /** The hook as it was named in the call. */
  readonly hookName: string;
  /** f32, row-major; the array is the edit's own and may be changed in place. */
  readonly values: Float32Array<ArrayBuffer>;
  /** Sizes of the tensor, as in [contexts, contextSize, dIn]. */
  readonly dims: readonly number[];
  /** [contexts, contextSize]; empty for a model that reads arrays. */
  readonly tokens: Uint32Array;
  /** Rows of a context; of a sample of arrays, as many as its axes between the first and the last have places. */
  readonly contextSize: number;
  /** Tokens of each context that were read before these ({@link TextCache}): the place of the first row. */
  readonly nBefore: number;
}

/** Looks at activations or changes them: in place, or by returning other values of the same length. */
export interface Edit {
  (activations: HookedActivations): Float32Array | void | Promise<Float32Array | void>;
  /**
   * Whether what becomes of a row depends on that row, its place and its context's number alone. Then a text can be read
   * piece by piece under the edit ({@link HookedModel.openCache}).
   */
  readonly byRow?: boolean;
}

/** Texts of one length that a model has read: the keys and values of them, which stay with its worker. */
export interface TextCache {
  readonly id: number;
  /** Tokens of each context that were read. */
  readonly length: number;
  /** Whether the texts can go on; not where the model turned out to forget what is far behind. */
  readonly isWhole: boolean;
}

/** Edits by hook: a tensor's name or alias. Several edits of one hook are applied in order. */
export type Hooks = Readonly<Record<string, Edit | readonly Edit[]>>;

interface HookedInput {
  hooks?: Hooks;
  signal?: AbortSignal;
}

interface TokenInput extends HookedInput {
  /** [contexts, contextSize]; all contexts go through the model at once. */
  tokens: Uint32Array;
  contextSize: number;
}

export interface RunInput extends TokenInput {
  /** Rows (context · contextSize + position) whose logits are wanted; all by default. */
  rows?: Uint32Array;
  /**
   * What was read of the contexts before: `tokens` go on from there, and are added to it. The same hooks each time, and one
   * run after the other.
   */
  cache?: TextCache;
}

/** A batch of a model that reads arrays. */
export interface SamplesInput extends HookedInput {
  nSamples: number;
  /** Of each input [nSamples, …sizes], row-major, as `InputArrays.read` gives them. */
  samples: Readonly<Record<string, ArrayLike<number>>>;
}

type Head = 'logits' | 'outputs';
type GrowingCache = { -readonly [K in keyof TextCache]: TextCache[K] };

/**
 * A model whose activations can be read and changed at any number of hook points in one run, in the spirit of
 * TransformerLens's `run_with_hooks`.
 *
 *     const hooked = new HookedModel(await OnnxModel.open('model.onnx'));
 *     const logits = await hooked.run({ tokens, contextSize, hooks: { 'blocks.0.hook_mlp_out': zero() } });
 *     await hooked.close();
 *
 * The graph is cut at the hooks of a call; the parts run one after the other in a worker thread, and the edits
 * in this one between them. Runs may overlap. Without edits the logits are those of the whole model up to
 * rounding where the runtime would have fused across a cut.
 */
export class HookedModel {
  readonly model: OnnxModel;
  readonly threads: number;
  readonly #worker = new WorkerClient();
  #nextSession = 0;
  #nextCache = 0;
  /** By head and hooks; the one used last stands last. */
  readonly #sets = new Map<string, { parts: Promise<SessionName[]>; users: number }>();

  /** @param options threads: of ONNX Runtime; all cores by default. @throws {MonosemeError} ERR_OPTION */
  constructor(model: OnnxModel, options: { threads?: number } = {}) {
    const { threads = availableParallelism() } = options;
    expectPositiveInteger('The number of threads', threads);
    this.model = model;
    this.threads = threads;
  }

  /** Width of the logits. @throws {MonosemeError} ERR_MODEL for a model without */
  get vocabSize(): number {
    if (!this.model.logits) throw noLogits();
    return this.model.logits.vocabSize;
  }

  /**
   * Run the model with edits at hook points.
   *
   * @returns logits f32 [rows, vocab] of the chosen rows
   * @throws {MonosemeError} ERR_HOOK (no such tensor), ERR_SHAPE (tokens; an edit that changes the number of
   * values), ERR_OPTION, ERR_TOKENIZER, ERR_MODEL (also without logits), ERR_MEMORY, ERR_INTERRUPTED; what an edit throws
   */
  async run(input: RunInput): Promise<Float32Array<ArrayBuffer>> {
    const { tokens, cache } = input;
    const { rows = Uint32Array.from(tokens, (_, row) => row) } = input;
    if (!this.model.logits) throw noLogits();
    const feeds = this.#tokenFeeds(input);
    const wrong = rows.find((row) => row >= tokens.length);
    if (wrong !== undefined)
      throw new MonosemeError(
        'ERR_OPTION',
        `There is no row ${wrong} of logits.`,
        `There are ${tokens.length}.`,
      );
    const found = await this.#pass('logits', feeds, input, { rows: rows.slice(), cache });
    return found[ROW_LOGITS].values;
  }

  /**
   * Begin texts that {@link run} reads piece by piece: with the keys and values of what it has read, a piece costs only
   * itself. The logits are those of whole texts, up to rounding. Close it with {@link closeCache}.
   *
   * @returns undefined where the model has no such caches, or pieces might not give the same: an edit that is not `byRow`,
   * or of a tensor without one row per token
   * @throws {MonosemeError} ERR_HOOK
   */
  openCache(hooks: Hooks = {}): TextCache | undefined {
    const byRow = Object.values(hooks).flat() as readonly Edit[];
    const perToken = Object.keys(hooks).every(
      (name) => rowWidth(this.model.tensors.get(this.model.resolveTensor(name))!.shape) !== undefined,
    );
    if (!cachePairs(this.model) || !perToken || !byRow.every((edit) => edit.byRow)) return undefined;
    return { id: this.#nextCache++, length: 0, isWhole: true };
  }

  async closeCache({ id }: TextCache): Promise<void> {
    await this.#worker.ask('dropCache', { cache: id });
  }

  /**
   * The same for every output of floating point that the model has but caches of keys and values, whether it reads tokens
   * or arrays: an encoder's hidden states, the classes of a vision model.
   *
   * @returns by the names of the outputs
   * @throws {MonosemeError} as {@link run}
   */
  async outputs(input: TokenInput | SamplesInput): Promise<Record<string, FloatTensor>> {
    const feeds = 'tokens' in input ? this.#tokenFeeds(input) : this.#arrayFeeds(input);
    const { names } = outputsHead(this.model.graph, this.model.tensors);
    const found = await this.#pass('outputs', feeds, input);
    return Object.fromEntries([...names].map(([head, name]) => [name, found[head]]));
  }

  #tokenFeeds({ tokens, contextSize, cache }: RunInput): Record<string, Feed> {
    const nBefore = cache?.length ?? 0;
    expectTokens(this.model, tokens, contextSize, nBefore);
    this.#expectBatch(tokens.length / contextSize);
    return makeFeeds(this.model.inputs, tokens, contextSize, nBefore);
  }

  #arrayFeeds({ nSamples, samples }: SamplesInput): Record<string, Feed> {
    expectPositiveInteger('The number of samples', nSamples);
    this.#expectBatch(nSamples);
    return samplesToFeeds(this.model, nSamples, samples);
  }

  /** Run the parts of the model cut at the hooks, with the edits between them. */
  async #pass(
    head: Head,
    feeds: Record<string, Feed>,
    input: TokenInput | SamplesInput,
    { rows, cache }: { rows?: Uint32Array; cache?: TextCache } = {},
  ): Promise<Record<string, FloatTensor>> {
    const { hooks = {}, signal } = input;
    const pairs = cache && cachePairs(this.model);
    const nBefore = cache?.length ?? 0;
    const names = Object.keys(hooks);
    const tensors = names.map((name) => this.model.resolveTensor(name));
    const ordered = inGraphOrder(this.model.graph, tensors);
    return this.#withParts(head, ordered, pairs, async (parts) => {
      const pass = await this.#worker.ask('openPass', { feeds, cache: cache?.id });
      try {
        let edited: { hook: number; values: Float32Array<ArrayBuffer> } | undefined;
        for (const [i, tensor] of ordered.entries()) {
          throwIfAborted(signal);
          const found = await this.#worker.ask('nextPart', { pass, part: parts[i], edited });
          const { values, dims } = found[ACTIVATIONS];
          if (nBefore > 0) expectNewRows_(cache!, dims, this.model.tensors.get(tensor)!, input as TokenInput);
          edited = { hook: i, values };
          for (const hookName of names.filter((_, n) => tensors[n] === tensor)) {
            const activations = { hookName, dims, ...tokensOf(input, dims), nBefore, values: edited.values };
            edited.values = await applyEdits(hooks[hookName], activations);
          }
        }
        throwIfAborted(signal);
        const found = await this.#worker.ask('nextPart', { pass, part: parts.at(-1)!, edited, rows });
        if (cache && pairs && 'tokens' in input) await this.#grow(cache, pass, pairs, input.contextSize);
        return found;
      } finally {
        await this.#worker.ask('closePass', { pass });
      }
    });
  }

  async #grow(
    cache: GrowingCache,
    pass: number,
    pairs: readonly CachePair[],
    grownBy: number,
  ): Promise<void> {
    cache.length += grownBy;
    cache.isWhole &&= await this.#worker.ask('keepCache', { pass, cache: cache.id, pairs, grownBy });
  }

  /** Finish what was asked, then end the worker. */
  async close(): Promise<void> {
    await this.#worker.close();
  }

  #expectBatch(nContexts: number): void {
    const { batch = nContexts } = fixedSizes(this.model.inputs);
    if (batch !== nContexts)
      throw new MonosemeError(
        'ERR_SHAPE',
        `There are ${nContexts} of a batch, but the model takes exactly ${batch} at once.`,
        'Give as many.',
      );
  }

  /** Use the sessions of the parts of the model cut at some tensors; of idle sets only the last used stay. */
  async #withParts<T>(
    head: Head,
    tensors: readonly string[],
    pairs: readonly CachePair[] | undefined,
    work: (parts: SessionName[]) => Promise<T>,
  ): Promise<T> {
    const key = [head, pairs !== undefined, ...tensors].join(' ');
    const set = this.#sets.get(key) ?? { parts: this.#loadNow(head, tensors, pairs), users: 0 };
    this.#sets.delete(key);
    this.#sets.set(key, set);
    set.users++;
    try {
      return await work(await set.parts);
    } catch (error) {
      await set.parts.catch(() => this.#sets.delete(key));
      throw error;
    } finally {
      set.users--;
      await this.#unloadIdle();
    }
  }

  async #unloadIdle(): Promise<void> {
    for (const [key, { parts, users }] of this.#sets) {
      if (this.#sets.size <= KEPT_SETS || users > 0) continue;
      this.#sets.delete(key);
      for (const session of await parts) await this.#worker.ask('unload', { session });
    }
  }

  async #loadNow(
    head: Head,
    tensors: readonly string[],
    pairs: readonly CachePair[] = [],
  ): Promise<SessionName[]> {
    const { graph, tensors: infos, logits } = this.model;
    const nodes = head === 'logits' ? rowLogitsHead(graph, logits!, infos) : outputsHead(graph, infos);
    const kept = pairs.map(({ present }) => present);
    const parts = cutGraph(graph, tensors, infos, nodes, kept);
    const names = parts.map((_, i): SessionName => `part ${this.#nextSession + i}`);
    this.#nextSession += parts.length;
    for (const [i, part] of parts.entries())
      await loadPart(this.#worker, this.model, names[i], part, this.threads);
    return names;
  }
}

function tokensOf(
  input: TokenInput | SamplesInput,
  dims: readonly number[],
): Pick<HookedActivations, 'tokens' | 'contextSize'> {
  if ('tokens' in input) return { tokens: input.tokens, contextSize: input.contextSize };
  return { tokens: new Uint32Array(), contextSize: countElements(dims.slice(1, -1)) };
}

/**
 * Refuse a tensor that holds rows of what was read before too, an edit of which would take them for new ones. Mutates the
 * cache, which cannot go on.
 */
function expectNewRows_(
  cache: GrowingCache,
  dims: readonly number[],
  { shape }: TensorInfo,
  { tokens, contextSize }: TokenInput,
): void {
  if (shape[0] === 'batch*sequence' ? dims[0] === tokens.length : dims[1] === contextSize) return;
  cache.isWhole = false;
  throw new MonosemeError(
    'ERR_HOOK',
    'The tensor holds what was read before too, so it cannot be edited piece by piece.',
    'Run whole texts.',
  );
}

async function applyEdits(
  edits: Edit | readonly Edit[],
  activations: HookedActivations,
): Promise<Float32Array<ArrayBuffer>> {
  let { values } = activations;
  for (const edit of typeof edits === 'function' ? [edits] : edits) {
    const edited = (await edit({ ...activations, values })) ?? values;
    expectLength(`What an edit of ${activations.hookName} returned`, edited, ...activations.dims);
    values = edited === values ? values : Float32Array.from(edited);
  }
  return values;
}
