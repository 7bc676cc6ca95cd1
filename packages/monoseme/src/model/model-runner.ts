import { availableParallelism } from 'node:os';
import { MonosemeError } from '../errors.ts';
import { expectLength, expectPositiveInteger } from '../tensor/index.ts';
import { cutGraph, type GraphPart, harvestPrefix } from './cut.ts';
import { fixedSizes } from './model-inputs.ts';
import type { OnnxModel } from './onnx-model.ts';
import type { OutcomeOptions, Outcomes } from './outcomes.ts';
import { outcomeHead } from './outcome-head.ts';
import { lastLogitsHead, lossHead } from './suffix-heads.ts';
import { tokenOutcomeHead } from './token-outcome-head.ts';
import { isPerToken, notPerToken, type TokenEdits, type TokenOutcomes } from './token-outcomes.ts';
import { expectTokens, loadPart, namedHook, noLogits, withFirstSession } from './model-session.ts';
import { WorkerClient } from './worker-client.ts';
import { ownMemory, type RunnerSession } from './worker-messages.ts';

/** Tokens of one call of ONNX Runtime: enough to keep its threads busy, little enough to stay in cache. */
const TOKENS_PER_RUN = 1024;
/** Those that are tried where the fastest is wanted. */
const BATCHES = [256, 512, 1024, 2048] as const;
/** On another device these too, until one is no faster. */
const LARGE_BATCHES = [4096, 8192, 16_384] as const;
/** Logits of one call of a suffix, at most: 64 MiB, which LogSoftmax doubles. */
const LOGITS_PER_RUN = 2 ** 24;

const HEADS = {
  losses: lossHead,
  outcomes: outcomeHead,
  'token-outcomes': tokenOutcomeHead,
  'last-logits': lastLogitsHead,
};

export interface RunnerOptions {
  /** Tensor name or alias. */
  hook: string;
  /** Threads of ONNX Runtime; all cores by default. */
  threads?: number;
  /** Prepare the suffix too, for {@link ModelRunner.openBatch}. */
  suffix?: boolean;
  /** Prepare {@link ModelRunner.halfActivations} instead of `activations`, which is then prepared at its first use. */
  half?: boolean;
}

/** Some contexts whose activations can be edited. Close it to free what the worker keeps for it. */
export interface ModelBatch {
  /** [tokens, dIn] as the model computes them. */
  readonly activations: Float32Array<ArrayBuffer>;
  /**
   * Loss of each next token in nats when the activations are replaced by `edited` [tokens, dIn]:
   * [nContexts, contextSize − 1].
   */
  losses(edited: Float32Array): Promise<Float32Array<ArrayBuffer>>;
  /**
   * What edited contexts [n, contextSize, dIn] do at every position, beside the model's own run: losses,
   * divergence, agreement, and tokens that change. n is of any size: many versions of one context go through
   * the suffix together, and the prefix is not run again.
   *
   * @throws {MonosemeError} ERR_SHAPE, ERR_OPTION (a context or a row that is not there, `topTokens`); ERR_MODEL
   * for a model whose graph fixes the size of the batch
   */
  outcomes(edited: Float32Array, options?: OutcomeOptions): Promise<Outcomes>;
  /**
   * What edits of single tokens do at those tokens, at the cost of these tokens alone. Right only where nothing
   * behind the hook mixes tokens, which `outcomes` can tell: then an edit changes nothing at other tokens.
   *
   * @throws {MonosemeError} ERR_SHAPE, ERR_OPTION; ERR_MODEL where the graph does not allow it
   */
  tokenOutcomes(edits: TokenEdits): Promise<TokenOutcomes>;
  /**
   * Σ_c rowWeights[c] · logits of context c's last position, [vocab], after steps[c] was added to one
   * dimension of that position's activations. Only for a batch opened with `oneRun`.
   */
  nudgedLastLogits(
    dimension: number,
    steps: Float32Array,
    rowWeights: Float32Array,
  ): Promise<Float32Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/**
 * A model cut at one tensor, running in a worker thread of its own.
 *
 * Calls may overlap; they are worked off in order. Every method throws ERR_MODEL when ONNX Runtime fails, the
 * worker died or the runner was closed, and ERR_MEMORY when the runtime ran out of it.
 */
export class ModelRunner {
  readonly model: OnnxModel;
  /** TransformerLens name of the hook where it has one, else the tensor's name. */
  readonly hookName: string;
  /** Name of the hooked tensor in the graph. */
  readonly tensorName: string;
  readonly dIn: number;
  /** Width of the logits; undefined for a model without. */
  readonly vocabSize: number | undefined;
  readonly threads: number;
  /** Whether activations are asked for in half precision. */
  readonly half: boolean;
  #tokensPerRun = TOKENS_PER_RUN;
  readonly #worker = new WorkerClient();
  readonly #loaded = new Map<RunnerSession, Promise<void>>();

  /**
   * @throws {MonosemeError} ERR_HOOK (no such tensor; not one row per token; no effect on the logits with
   * `suffix`), ERR_MODEL (`suffix` without logits; a model that reads arrays), ERR_OPTION
   */
  static async start(model: OnnxModel, options: RunnerOptions): Promise<ModelRunner> {
    const { hook, threads = availableParallelism(), suffix = false, half = false } = options;
    expectPositiveInteger('The number of threads', threads);
    model.expectReadsTokens();
    const { point, hookName } = namedHook(model, hook);
    if (point.dIn === undefined)
      throw new MonosemeError(
        'ERR_HOOK',
        `"${hook}" has the axes [${point.shape.join(', ')}], not one row per token.`,
        'Choose a tensor [batch, sequence, …].',
      );
    const runner = new ModelRunner(model, hookName, point.name, point.dIn, threads, half);
    const first = suffix ? 'prefix' : half ? 'harvest-half' : 'harvest';
    return withFirstSession(runner, () => runner.#load(first));
  }

  private constructor(
    model: OnnxModel,
    hookName: string,
    tensorName: string,
    dIn: number,
    threads: number,
    half: boolean,
  ) {
    this.model = model;
    this.half = half;
    this.hookName = hookName;
    this.tensorName = tensorName;
    this.dIn = dIn;
    this.vocabSize = model.logits?.vocabSize;
    this.threads = threads;
  }

  /**
   * Activations at the hook, f32 [tokens.length, dIn], for whole contexts one after the other.
   *
   * @throws {MonosemeError} ERR_SHAPE, ERR_OPTION (context longer than the model's), ERR_TOKENIZER (id too
   * large)
   */
  async activations(tokens: Uint32Array, contextSize: number): Promise<Float32Array> {
    expectTokens(this.model, tokens, contextSize);
    await this.#load('harvest');
    const perRun = this.#contextsPerRun(contextSize);
    const copy = tokens.slice();
    return this.#worker.ask('activations', { tokens: copy, contextSize, perRun }, [copy.buffer]);
  }

  /**
   * Give {@link activations} or {@link halfActivations} back that are used no more: the next of as many bytes go into their
   * memory, so that a long reading leaves no garbage. The array must not be looked at afterwards.
   */
  recycle(rows: Float32Array | Uint16Array | Uint8Array): void {
    const memory = rows.buffer;
    this.#worker.ask('recycle', { memory }, ownMemory(memory)).catch(() => {});
  }

  /**
   * The same in half precision, as bits of f16: rounded to nearest, ties to even, values beyond 65,504 infinite.
   *
   * @throws as {@link activations}
   */
  async halfActivations(tokens: Uint32Array, contextSize: number): Promise<Uint16Array> {
    expectTokens(this.model, tokens, contextSize);
    await this.#load('harvest-half');
    const perRun = this.#contextsPerRun(contextSize);
    const copy = tokens.slice();
    return this.#worker.ask('halfActivations', { tokens: copy, contextSize, perRun }, [copy.buffer]);
  }

  /**
   * Run the prefix on whole contexts and keep what the suffix needs.
   *
   * @param options oneRun: all contexts in one call of the runtime, however many
   * @throws {MonosemeError} as {@link activations}; ERR_MODEL for a model without logits
   */
  async openBatch(
    tokens: Uint32Array,
    contextSize: number,
    options: { oneRun?: boolean } = {},
  ): Promise<ModelBatch> {
    expectTokens(this.model, tokens, contextSize);
    await this.#load('prefix');
    const nContexts = tokens.length / contextSize;
    const perRun = options.oneRun ? nContexts : this.#contextsPerRun(contextSize, this.vocabSize);
    const opened = await this.#worker.ask('openBatch', { tokens: tokens.slice(), contextSize, perRun });
    const { batch, activations } = opened;
    return {
      activations,
      losses: async (edited) => {
        expectLength('The edited activations', edited, tokens.length, this.dIn);
        await this.#load('losses');
        const copy = edited.slice();
        return this.#worker.ask('losses', { batch, edited: copy }, [copy.buffer]);
      },
      outcomes: async (edited, options = {}) => {
        const request = this.#outcomeRequest(edited, contextSize, nContexts, options);
        await this.#load('outcomes');
        return this.#worker.ask('outcomes', { batch, ...request }, [request.edited.buffer]);
      },
      tokenOutcomes: async (edits) => {
        this.#checkTokenEdits(edits, tokens.length);
        if (!this.#loaded.has('token-outcomes')) this.#checkPerToken();
        await this.#load('token-outcomes');
        return this.#worker.ask('tokenOutcomes', { batch, edits });
      },
      nudgedLastLogits: async (dimension, steps, rowWeights) => {
        await this.#load('last-logits');
        return this.#worker.ask('nudge', { batch, dimension, steps, rowWeights });
      },
      close: () => this.#worker.ask('closeBatch', { batch }),
    };
  }

  #outcomeRequest(edited: Float32Array, contextSize: number, nContexts: number, options: OutcomeOptions) {
    const { contexts = Uint32Array.from({ length: nContexts }, (_, i) => i), rows = new Uint32Array() } =
      options;
    const vocabSize = this.vocabSize!;
    const top = Math.min(options.topTokens ?? 10, vocabSize);
    expectPositiveInteger('The number of tokens listed', top);
    expectLength('The edited activations', edited, contexts.length, contextSize, this.dIn);
    expectBelow('context', contexts, nContexts);
    expectBelow('row', rows, contexts.length * contextSize);
    const { batch } = fixedSizes(this.model.inputs);
    if (batch !== undefined)
      throw new MonosemeError(
        'ERR_MODEL',
        `The model takes exactly ${batch} contexts at once; edits are compared beside their originals.`,
        'Export it again with a free batch axis.',
      );
    return { edited: edited.slice(), contexts: contexts.slice(), rows: rows.slice(), top };
  }

  #checkTokenEdits({ rows, targets, edited, topTokens }: TokenEdits, nRows: number): void {
    expectPositiveInteger('The number of tokens listed', topTokens);
    expectLength('The targets', targets, rows.length);
    expectLength('The edited activations', edited, rows.length, this.dIn);
    expectBelow('row', rows, nRows);
    expectBelow('target', targets, this.vocabSize!);
  }

  /** Single tokens can be run on their own where all that the second half reads is one row a token. */
  #checkPerToken(): void {
    const { reads, modelInputs } = this.#part('token-outcomes');
    const mixed = reads.find((name) => !isPerToken(this.model.tensors.get(name)!.shape));
    const hook = this.model.tensors.get(this.tensorName)!;
    if (mixed !== undefined) throw notPerToken(`"${mixed}" is not one row a token`);
    if (modelInputs.length > 0) throw notPerToken(`the model reads ${modelInputs.join(', ')} there`);
    if (!isPerToken(hook.shape)) throw notPerToken('the hook is not one row a token');
  }

  /** Tokens that go through the model in one call: those of as many whole contexts as fit, at least one. */
  get tokensPerRun(): number {
    return this.#tokensPerRun;
  }

  /**
   * Set {@link tokensPerRun}: to a number, or to the fastest of 256, 512, 1,024 and 2,048 (up to 16,384 on another device than
   * the CPU, as long as more is faster) for contexts of a size, measured on token 0. Activations may differ in their last bits
   * from one number to another.
   *
   * @throws {MonosemeError} as {@link activations}
   */
  async tuneBatch(contextSize: number, tokens: number | 'auto'): Promise<void> {
    if (tokens !== 'auto') expectPositiveInteger('The number of tokens at once', tokens);
    this.#tokensPerRun = tokens === 'auto' ? await this.#fastestBatch(contextSize) : tokens;
  }

  async #fastestBatch(contextSize: number): Promise<number> {
    const { half } = this;
    let best = { tokens: TOKENS_PER_RUN, rate: 0 };
    const isCpu = this.model.device === 'cpu';
    for (const tokens of isCpu ? BATCHES : [...BATCHES, ...LARGE_BATCHES]) {
      this.#tokensPerRun = tokens;
      const text = new Uint32Array(this.#contextsPerRun(contextSize) * contextSize);
      const run = () =>
        half ? this.halfActivations(text, contextSize) : this.activations(text, contextSize);
      await run(); // the first allocates
      let seconds = Infinity;
      for (let i = 0; i < 3; i++) {
        const started = performance.now();
        await run();
        seconds = Math.min(seconds, performance.now() - started);
      }
      // A larger batch needs more memory: it has to be worth it.
      if (text.length / seconds > 1.02 * best.rate) best = { tokens, rate: text.length / seconds };
      else if (!isCpu) break;
    }
    return best.tokens;
  }

  /** Finish what was asked, then end the worker. */
  async close(): Promise<void> {
    await this.#worker.close();
  }

  #contextsPerRun(contextSize: number, vocabSize = 0): number {
    const { batch } = fixedSizes(this.model.inputs);
    const tokens = Math.min(this.#tokensPerRun, LOGITS_PER_RUN / vocabSize);
    return batch ?? Math.max(1, Math.floor(tokens / contextSize));
  }

  /** Make a session in the worker at its first use. */
  #load(name: RunnerSession): Promise<void> {
    let loading = this.#loaded.get(name);
    if (!loading) {
      loading = this.#loadNow(name);
      loading.catch(() => {});
      this.#loaded.set(name, loading);
    }
    return loading;
  }

  async #loadNow(name: RunnerSession): Promise<void> {
    const part = this.#part(name);
    await loadPart(this.#worker, this.model, name, part, this.threads);
  }

  #part(name: RunnerSession): GraphPart {
    const { graph, tensors, logits } = this.model;
    const hook = this.tensorName;
    if (name === 'harvest') return harvestPrefix(graph, hook, tensors);
    if (name === 'harvest-half') return harvestPrefix(graph, hook, tensors, 'float16');
    if (!logits) throw noLogits();
    const end = graph.producer(logits.name)!;
    if (hook !== logits.name && !graph.descendants(hook).has(end))
      throw new MonosemeError(
        'ERR_HOOK',
        `"${this.hookName}" has no effect on the logits.`,
        'Choose a tensor before them.',
      );
    // Every head reads the logits, so the prefix is the same for all.
    const head = name === 'prefix' ? lossHead : HEADS[name];
    const [prefix, suffix] = cutGraph(graph, [hook], tensors, head(graph, logits));
    return name === 'prefix' ? prefix : suffix;
  }
}

function expectBelow(what: string, numbers: Uint32Array, end: number): void {
  const wrong = numbers.find((number) => number >= end);
  if (wrong === undefined) return;
  throw new MonosemeError('ERR_OPTION', `There is no ${what} ${wrong}.`, `There are ${end}, counted from 0.`);
}
