import { availableParallelism } from 'node:os';
import { MonosemeError, throwIfAborted } from '../errors.ts';
import { expectLength, expectPositiveInteger } from '../tensor/index.ts';
import { cutGraph, inGraphOrder } from './cut.ts';
import { fixedSizes } from './model-inputs.ts';
import { expectTokens, loadPart, noLogits } from './model-session.ts';
import type { OnnxModel } from './onnx-model.ts';
import { rowLogitsHead } from './suffix-heads.ts';
import { WorkerClient } from './worker-client.ts';
import type { SessionName } from './worker-messages.ts';

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
  /** [contexts, contextSize] */
  readonly tokens: Uint32Array;
  readonly contextSize: number;
}

/** Looks at activations or changes them: in place, or by returning other values of the same length. */
export type Edit = (activations: HookedActivations) => Float32Array | void | Promise<Float32Array | void>;

/** Edits by hook: a tensor's name or alias. Several edits of one hook are applied in order. */
export type Hooks = Readonly<Record<string, Edit | readonly Edit[]>>;

export interface RunInput {
  /** [contexts, contextSize]; all contexts go through the model at once. */
  tokens: Uint32Array;
  contextSize: number;
  hooks?: Hooks;
  /** Rows (context · contextSize + position) whose logits are wanted; all by default. */
  rows?: Uint32Array;
  signal?: AbortSignal;
}

/**
 * A model whose activations can be read and changed at any number of hook points in one run, in the spirit of
 * TransformerLens's `run_with_hooks`.
 *
 *     const hooked = new HookedModel(await OnnxModel.open('model.onnx'));
 *     const { logits } = await hooked.run({ tokens, contextSize, hooks: { 'blocks.0.hook_mlp_out': zero() } });
 *     await hooked.close();
 *
 * The graph is cut at the hooks of a call; the parts run one after the other in a worker thread, and the edits
 * in this one between them. Runs may overlap. Without edits the logits are those of the whole model up to
 * rounding where the runtime would have fused across a cut.
 */
export class HookedModel {
  readonly model: OnnxModel;
  readonly threads: number;
  /** Width of the logits. */
  readonly vocabSize: number;
  readonly #worker = new WorkerClient();
  /** By hooks; the one used last stands last. */
  #nextSession = 0;
  readonly #sets = new Map<string, { parts: Promise<SessionName[]>; users: number }>();

  /**
   * @param options threads: of ONNX Runtime; all cores by default
   * @throws {MonosemeError} ERR_MODEL for a model without logits, ERR_OPTION
   */
  constructor(model: OnnxModel, options: { threads?: number } = {}) {
    const { threads = availableParallelism() } = options;
    expectPositiveInteger('The number of threads', threads);
    if (!model.logits) throw noLogits();
    this.model = model;
    this.threads = threads;
    this.vocabSize = model.logits.vocabSize;
  }

  /**
   * Run the model with edits at hook points.
   *
   * @returns logits f32 [rows, vocab] of the chosen rows
   * @throws {MonosemeError} ERR_HOOK (no such tensor), ERR_SHAPE (tokens; an edit that changes the number of
   * values), ERR_OPTION, ERR_TOKENIZER, ERR_MODEL, ERR_MEMORY, ERR_INTERRUPTED; what an edit throws
   */
  async run(input: RunInput): Promise<Float32Array<ArrayBuffer>> {
    const { tokens, contextSize, hooks = {}, signal } = input;
    const { rows = Uint32Array.from(tokens, (_, row) => row) } = input;
    expectTokens(this.model, tokens, contextSize);
    this.#expectBatch(tokens.length / contextSize);
    const wrong = rows.find((row) => row >= tokens.length);
    if (wrong !== undefined)
      throw new MonosemeError(
        'ERR_OPTION',
        `There is no row ${wrong} of logits.`,
        `There are ${tokens.length}.`,
      );
    const names = Object.keys(hooks);
    const tensors = names.map((name) => this.model.resolveTensor(name));
    const ordered = inGraphOrder(this.model.graph, tensors);
    return this.#withParts(ordered, async (parts) => {
      const pass = await this.#worker.ask('openPass', { tokens: tokens.slice(), contextSize });
      try {
        let edited: { hook: number; values: Float32Array<ArrayBuffer> } | undefined;
        for (const [i, tensor] of ordered.entries()) {
          throwIfAborted(signal);
          const found = await this.#worker.ask('nextPart', { pass, part: parts[i], edited });
          edited = { hook: i, values: found.values };
          for (const hookName of names.filter((_, n) => tensors[n] === tensor))
            edited.values = await applyEdits(hooks[hookName], {
              hookName,
              ...found,
              values: edited.values,
              tokens,
              contextSize,
            });
        }
        throwIfAborted(signal);
        const last = { pass, part: parts.at(-1)!, edited, rows: rows.slice() };
        return (await this.#worker.ask('nextPart', last)).values;
      } finally {
        await this.#worker.ask('closePass', { pass });
      }
    });
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
        `There are ${nContexts} contexts, but the model takes exactly ${batch} at once.`,
        'Give as many.',
      );
  }

  /** Use the sessions of the parts of the model cut at some tensors; of idle sets only the last used stay. */
  async #withParts<T>(tensors: readonly string[], work: (parts: SessionName[]) => Promise<T>): Promise<T> {
    const key = tensors.join(' ');
    const set = this.#sets.get(key) ?? { parts: this.#loadNow(tensors), users: 0 };
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

  async #loadNow(tensors: readonly string[]): Promise<SessionName[]> {
    const { graph, tensors: infos, logits } = this.model;
    const parts = cutGraph(graph, tensors, infos, rowLogitsHead(graph, logits!, infos));
    const names = parts.map((_, i): SessionName => `part ${this.#nextSession + i}`);
    this.#nextSession += parts.length;
    for (const [i, part] of parts.entries())
      await loadPart(this.#worker, this.model, names[i], part, this.threads);
    return names;
  }
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
