import { basename, dirname } from 'node:path';
import { MonosemeError } from '../errors.ts';
import { readLimited, sha256, sha256File } from '../formats/index.ts';
import { type HubOptions, isHubPath } from '../hub/index.ts';
import { findAliases, tokenEmbedding } from './aliases.ts';
import { withAllOutputs } from './cut.ts';
import { localModel } from './hub-model.ts';
import {
  externalDataFiles,
  MODEL_BYTES_LIMIT,
  modelFiles,
  type ModelFiles,
  resolveDataFolder_,
} from './model-files.ts';
import {
  fixedSizes,
  type GivenInputs,
  type ModelInput,
  readsTokens,
  understandInputs,
} from './model-inputs.ts';
import { nearestNames } from '../nearest-names.ts';
import { type OnnxGraph, parseOnnx } from './onnx-graph.ts';
import { type RowAxes, type RowLayout, rowLayout } from './row-layout.ts';
import { inSinglePrecision_ } from './single-precision.ts';
import { findLogits, type Logits } from './suffix-heads.ts';
import { type Axis, axesOf, probeSizes, rowWidth, type TensorInfo } from './tensor-shapes.ts';
import { tryDevice } from './try-device.ts';
import { WorkerClient } from './worker-client.ts';
import type { Device } from './worker-messages.ts';

/** A tensor of a model that a dictionary can be trained on. */
export interface HookPoint {
  /** The tensor's name in the graph. */
  name: string;
  /** Its name in TransformerLens, where that differs from its own. */
  alias: string | undefined;
  /** All such names: a tensor between two blocks has two. */
  aliases: string[];
  /** The ONNX operator that makes it. */
  op: string;
  /** Sizes, or how an axis follows from the input's. */
  shape: Axis[];
  /** `float32`, `float16` or `float64`. */
  dtype: string;
  /**
   * Width of its rows; undefined where it does not hold one row per token in the order of the tokens. Of a model that
   * reads arrays, as {@link OnnxModel.layoutOf} lays the tensor out by default.
   */
  dIn: number | undefined;
}

/** An ONNX model: its graph, what its tensors are, and where its companions lie. No session is kept. */
export class OnnxModel {
  /** Path of the .onnx file. */
  readonly path: string;
  /**
   * What people call it: its folder, or the file's own name where that says more than `model`; of the hub, its path
   * there.
   */
  readonly name: string;
  /** SHA-256 of the file; with external data, of its hash and those of the data files. */
  readonly sha256: string;
  /** Where all its sessions run. */
  readonly device: Device;
  /** Nodes that run on the CPU on every device: see {@link nameCpuNodes_}. */
  readonly cpuNodes: readonly string[];
  /** From which its external data are read. */
  readonly dataFolder: string;
  readonly tokenizerPath: string | undefined;
  /** The longest context by config.json. */
  readonly contextSize: number | undefined;
  readonly graph: OnnxGraph;
  /** Whether the file is of half precision and its device computes it in single ({@link inSinglePrecision_}), as a CPU does. */
  readonly storesHalves: boolean;
  readonly inputs: readonly ModelInput[];
  /** Whether it reads tokens; else it reads arrays ({@link InputArrays}). */
  readonly readsTokens: boolean;
  /** Element type and axes of every tensor that is computed from the inputs. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly logits: Logits | undefined;
  /** Rows of the token embedding: token ids must be below. Undefined where the graph does not show it. */
  readonly embeddingRows: number | undefined;
  readonly #aliases: ReadonlyMap<string, string>;

  /**
   * Open a model and learn its tensors' shapes from two tiny runs.
   *
   * @param path a .onnx file, a folder with `model.onnx` or `onnx/model.onnx`, or `hf:owner/repo` (see `localModel`)
   * @param options inputs: constants, and sizes of samples (`InputArrays.given`), of inputs that are not understood
   * from the graph; hub: of a download; device: where it runs, the CPU by default
   * @throws {MonosemeError} ERR_NOT_FOUND, ERR_LIMIT (over 2 GiB in one file), ERR_MODEL (not ONNX, an input
   * that is not understood, or ONNX Runtime cannot run it), ERR_OPTION (an input given that is not there, a device that
   * cannot be used here); what the hub refuses
   */
  static async open(
    path: string,
    options: { inputs?: GivenInputs; hub?: HubOptions; device?: Device } = {},
  ): Promise<OnnxModel> {
    const { device = 'cpu' } = options;
    const hasHalves = device !== 'cpu' && (await tryDevice(device));
    const files = await modelFiles(await localModel(path, options.hub));
    const bytes = await readLimited(files.onnx, MODEL_BYTES_LIMIT);
    const stored = parseOnnx(bytes, files.onnx);
    const graph = hasHalves ? stored : inSinglePrecision_(stored, files.onnx);
    const external = await externalDataFiles(graph, files.onnx);
    const hashes = [sha256(bytes)];
    for (const file of external) hashes.push(await sha256File(file));
    const dataFolder = await resolveDataFolder_(graph, files.onnx);
    const inputs = understandInputs(graph.inputs, options.inputs);
    const tensors = await inspect(graph, inputs, dataFolder);
    const name = isHubPath(path) ? path.slice('hf:'.length) : nameOf(files.onnx);
    return new OnnxModel(
      name,
      { ...files, dataFolder, device },
      hashes.length === 1 ? hashes[0] : sha256(...hashes),
      graph,
      graph !== stored,
      inputs,
      tensors,
    );
  }

  private constructor(
    name: string,
    files: ModelFiles & { dataFolder: string; device: Device },
    hash: string,
    graph: OnnxGraph,
    storesHalves: boolean,
    inputs: ModelInput[],
    tensors: Map<string, TensorInfo>,
  ) {
    this.path = files.onnx;
    this.dataFolder = files.dataFolder;
    this.device = files.device;
    this.name = name;
    this.sha256 = hash;
    this.tokenizerPath = files.tokenizer;
    this.contextSize = files.contextSize;
    this.graph = graph;
    this.cpuNodes = nameCpuNodes_(graph);
    this.storesHalves = storesHalves;
    this.inputs = inputs;
    this.readsTokens = readsTokens(inputs);
    this.tensors = tensors;
    this.logits = findLogits(graph, tensors);
    this.embeddingRows = embeddingRows(graph);
    this.#aliases = findAliases(graph, tensors);
  }

  /**
   * The tensors worth hooking, in the order of the graph: floating point, rank 2 or more, one of the axes the
   * batch, the last of a fixed size.
   */
  hookPoints(): HookPoint[] {
    return [...this.tensors.keys()]
      .map((name) => this.#hookPoint(name))
      .filter((point) => this.#isHookPoint(point));
  }

  /**
   * @param name a tensor's own name, or an alias
   * @throws {MonosemeError} ERR_HOOK when there is none (with the nearest names), or it cannot be hooked
   */
  resolveHook(name: string): HookPoint {
    const point = this.#find(name);
    if (point && this.#isHookPoint(point)) return point;
    throw this.#notHooked(name, point, 'its last axis has no fixed size');
  }

  #isHookPoint({ dtype, shape, dIn }: HookPoint): boolean {
    if (!dtype.startsWith('float') || shape.length < 2) return false;
    if (!this.readsTokens) return dIn !== undefined;
    const perToken = shape.includes('batch') || shape[0] === 'batch*sequence';
    return perToken && typeof shape.at(-1) === 'number';
  }

  /**
   * How the rows of a tensor lie in it, of a model that reads arrays.
   *
   * @param tensor its own name
   * @throws {MonosemeError} ERR_HOOK, ERR_OPTION (axes that do not fit); see {@link RowAxes}
   */
  layoutOf(tensor: string, axes?: RowAxes): RowLayout {
    return rowLayout(this.graph, tensor, this.tensors.get(tensor)!, axes);
  }

  /**
   * The tensor of a name or alias that can be edited in a run: any of floating point, an attention pattern too.
   *
   * @throws {MonosemeError} ERR_HOOK when there is none (with the nearest names), or it is of another type
   */
  resolveTensor(name: string): string {
    const point = this.#find(name);
    if (point?.dtype.startsWith('float')) return point.name;
    throw this.#notHooked(name, point, 'it is not of floating point');
  }

  #find(name: string): HookPoint | undefined {
    const tensor = this.tensors.has(name) ? name : this.#aliases.get(name);
    return tensor === undefined ? undefined : this.#hookPoint(tensor);
  }

  #notHooked(name: string, point: HookPoint | undefined, reason: string): MonosemeError {
    const holder = point ? undefined : this.graph.holderOf(name);
    if (holder)
      return new MonosemeError(
        'ERR_HOOK',
        `The tensor "${name}" is inside the body of ${[holder.opType, holder.name && JSON.stringify(holder.name.slice(0, 80))].join(' ').trim()}, which runs as one.`,
        `Hook what that gives: ${holder.output.join(', ')}.`,
      );
    const names = this.hookPoints().flatMap((other) => [...other.aliases, other.name]);
    const what = point
      ? `The tensor "${name}" (${point.dtype} [${point.shape.join(', ')}]) cannot be hooked: ${reason}.`
      : `The model has no tensor "${name.slice(0, 200)}".`;
    return new MonosemeError('ERR_HOOK', what, `The nearest are: ${nearestNames(name, names).join(', ')}.`);
  }

  /** @throws {MonosemeError} ERR_MODEL for a model that reads arrays */
  expectReadsTokens(): void {
    if (this.readsTokens) return;
    throw new MonosemeError(
      'ERR_MODEL',
      `${this.name} reads ${this.inputs.map(({ name }) => name).join(', ')}, not tokens.`,
      'Give its inputs as files (--input NAME=FILE) to harvest or train; measures by next tokens are not for it.',
    );
  }

  /** @throws {MonosemeError} ERR_TOKENIZER when the vocabulary has more ids than the embedding has rows */
  expectVocabulary(size: number): void {
    if (this.embeddingRows === undefined || size <= this.embeddingRows) return;
    throw new MonosemeError(
      'ERR_TOKENIZER',
      `The tokenizer has ${size} tokens, but the model embeds only ${this.embeddingRows}.`,
      'Use the tokenizer.json that belongs to the model.',
    );
  }

  #hookPoint(name: string): HookPoint {
    const { type, shape } = this.tensors.get(name)!;
    const aliases = [...this.#aliases].flatMap(([alias, tensor]) =>
      tensor === name && !this.tensors.has(alias) ? [alias] : [],
    );
    return {
      name,
      alias: aliases[0],
      aliases,
      op: this.graph.producer(name)!.opType,
      shape,
      dtype: type,
      dIn: this.readsTokens ? rowWidth(shape) : this.#usualWidth(name),
    };
  }

  #usualWidth(tensor: string): number | undefined {
    try {
      return this.layoutOf(tensor).dIn;
    } catch {
      return undefined;
    }
  }
}

function nameOf(onnx: string): string {
  const file = basename(onnx, '.onnx');
  const folder = dirname(onnx);
  return file === 'model' ? basename(basename(folder) === 'onnx' ? dirname(folder) : folder) : file;
}

async function inspect(
  graph: OnnxGraph,
  inputs: ModelInput[],
  dataFolder: string,
): Promise<Map<string, TensorInfo>> {
  const fixed = fixedSizes(inputs);
  const worker = new WorkerClient();
  try {
    const { bytes } = withAllOutputs(graph);
    const part = { bytes, folder: dataFolder, inputs, reads: new Map(), gives: [], edits: [] };
    const session = { ...part, cpuNodes: [], threads: 1, device: 'cpu' as const, optimize: false };
    const found = await worker.ask('inspect', { session, probes: probeSizes(fixed) }, [bytes.buffer]);
    return new Map(
      found.map(({ name, type, sizes: [first, second] }) => [
        name,
        { type, shape: axesOf(first, second, fixed) },
      ]),
    );
  } finally {
    await worker.close();
  }
}

/**
 * Sines and cosines, as of the angles of rotary embeddings, by names which they get where they have none. WebGPU's own may be off by
 * 2⁻¹¹, and by more where an angle exceeds π, as most positions' do.
 */
function nameCpuNodes_({ nodes }: OnnxGraph): string[] {
  const periodic = nodes.filter(({ opType }) => /^(Sin|Cos)$/.test(opType));
  return periodic.map((node) => (node.name ||= `monoseme.${node.opType}.${node.output[0]}`));
}

function embeddingRows(graph: OnnxGraph): number | undefined {
  let table = tokenEmbedding(graph)?.input[0];
  // A table may be cast, transposed or dequantised first; only its number of rows must stay what it was.
  while (table !== undefined && graph.producer(table)) {
    const node = graph.producer(table)!;
    table = /^(Cast|Identity|DequantizeLinear)$/.test(node.opType) ? node.input[0] : undefined;
  }
  const initializer = graph.graph.initializer.find(({ name }) => name === table);
  return initializer === undefined ? undefined : Number(initializer.dims[0]);
}
