import { availableParallelism } from 'node:os';
import { countElements } from '../formats/index.ts';
import { expectLength, expectPositiveInteger } from '../tensor/index.ts';
import { MonosemeError } from '../errors.ts';
import { ACTIVATIONS, prefixOf } from './cut.ts';
import { type Feed, fixedSizes, makeArrayFeeds } from './model-inputs.ts';
import { loadPart, namedHook, withFirstSession } from './model-session.ts';
import type { OnnxModel } from './onnx-model.ts';
import { type RowAxes, type RowLayout, rowsHead } from './row-layout.ts';
import { WorkerClient } from './worker-client.ts';

/** Rows of one call of ONNX Runtime, about. */
const ROWS_PER_RUN = 1024;

export interface ArrayRunnerOptions extends RowAxes {
  /** Tensor name or alias. */
  readonly hook: string;
  /** Threads of ONNX Runtime; all cores by default. */
  readonly threads?: number;
}

/**
 * A model that reads arrays, cut at one tensor, running in a worker thread of its own: images, recordings, frames become
 * rows. Calls may overlap; they are worked off in order.
 */
export class ArrayRunner {
  readonly model: OnnxModel;
  readonly hookName: string;
  /** Name of the hooked tensor in the graph. */
  readonly tensorName: string;
  readonly layout: RowLayout;
  readonly threads: number;
  /** Samples that are well run at once: as many as the graph fixes, or about 1,024 rows. */
  readonly samplesPerRun: number;
  readonly #worker = new WorkerClient();

  /**
   * @throws {MonosemeError} ERR_HOOK (no such tensor, or its rows cannot be told), ERR_OPTION (axes that do not fit),
   * ERR_MODEL (a model that reads tokens)
   */
  static async start(model: OnnxModel, options: ArrayRunnerOptions): Promise<ArrayRunner> {
    const { hook, threads = availableParallelism(), ...axes } = options;
    expectPositiveInteger('The number of threads', threads);
    if (model.readsTokens)
      throw new MonosemeError('ERR_MODEL', `${model.name} reads tokens, not arrays.`, 'Give it a text.');
    const { point, hookName } = namedHook(model, hook);
    const runner = new ArrayRunner(model, hookName, point.name, model.layoutOf(point.name, axes), threads);
    const head = rowsHead(point.name, runner.layout, ACTIVATIONS);
    const prefix = prefixOf(model.graph, point.name, head);
    return withFirstSession(runner, () => loadPart(runner.#worker, model, 'harvest', prefix, threads));
  }

  private constructor(
    model: OnnxModel,
    hookName: string,
    tensorName: string,
    layout: RowLayout,
    threads: number,
  ) {
    this.model = model;
    this.hookName = hookName;
    this.tensorName = tensorName;
    this.layout = layout;
    this.threads = threads;
    this.samplesPerRun =
      fixedSizes(model.inputs).batch ?? Math.max(1, Math.floor(ROWS_PER_RUN / layout.rowsPerSample));
  }

  /**
   * Rows of samples, f32 [nSamples · rowsPerSample, dIn]: those of a sample follow each other, in row-major order of the
   * layout's axes.
   *
   * @param samples of each input [nSamples, …sizes], as `InputArrays.read` gives them
   * @throws {MonosemeError} ERR_SHAPE, ERR_MODEL, ERR_MEMORY
   */
  async activations(
    samples: Readonly<Record<string, ArrayLike<number>>>,
    nSamples: number,
  ): Promise<Float32Array<ArrayBuffer>> {
    const { dIn, rowsPerSample } = this.layout;
    // A graph with a batch of a fixed size takes it filled up.
    const batch = fixedSizes(this.model.inputs).batch ?? nSamples;
    if (batch < nSamples)
      throw new MonosemeError(
        'ERR_SHAPE',
        `There are ${nSamples} samples, but the model takes ${batch} at once.`,
        '',
      );
    const feeds = samplesToFeeds(this.model, nSamples, samples, batch);
    const found = await this.#worker.ask('runFeeds', { session: 'harvest', feeds });
    return found[ACTIVATIONS].values.slice(0, nSamples * rowsPerSample * dIn);
  }

  /** Finish what was asked, then end the worker. */
  async close(): Promise<void> {
    await this.#worker.close();
  }
}

/** @throws {MonosemeError} ERR_MODEL (a model that reads tokens), ERR_SHAPE (missing or of another length) */
export function samplesToFeeds(
  model: OnnxModel,
  nSamples: number,
  samples: Readonly<Record<string, ArrayLike<number>>>,
  batch = nSamples,
): Record<string, Feed> {
  if (model.readsTokens)
    throw new MonosemeError('ERR_MODEL', `${model.name} reads tokens, not arrays.`, 'Give it a text.');
  for (const { role, name, sizes } of model.inputs)
    if (role === 'samples')
      expectLength(`The input ${name}`, samples[name] ?? [], nSamples, countElements(sizes));
  return makeArrayFeeds(model.inputs, batch, samples);
}
