import { create, toBinary } from '@bufbuild/protobuf';
import {
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
  TensorProtoSchema,
} from 'onnx-buf';
import { join } from 'node:path';
import { type Dictionary, EPSILON, outputWidth } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import { atomicWrite, TOOLKIT_VERSION } from '../formats/index.ts';
import { node, valueInfo } from '../model/cut.ts';
import { ELEMENT } from '../model/onnx-graph.ts';

/** Names of the inputs and outputs, all f32. */
const ACTIVATIONS = 'activations';
const LATENTS = 'latents';
const RECONSTRUCTIONS = 'reconstructions';

/** A file of protocol buffers holds at most 2 GiB; the rest is room for the nodes. */
const MAX_WEIGHT_BYTES = 2 ** 31 - 2 ** 20;
/** Of a row that is divided by its length: a row of zeros stays one. */
const LEAST_LENGTH = 1e-30;
/** The newest versions that every ONNX Runtime since 1.12 (2022) runs. */
const OPSET = 17n;
const IR_VERSION = 8n;

/**
 * Write a dictionary as three graphs that ONNX Runtime runs as they are, on any number of rows:
 *
 *   encoder.onnx     activations [tokens, dIn] → latents [tokens, dSae]
 *   decoder.onnx     latents (and activations, where a skip connection or a normalisation of rows needs them) → reconstructions
 *                    [tokens, dOut]
 *   dictionary.onnx  activations → latents, reconstructions
 *
 * The numbers are those of `encode` and `decode`: centring, thresholds (of JumpReLU, and of BatchTopK as it is used), the k
 * largest of a row, gates and the normalisation of rows are nodes of the graphs.
 *
 * @throws {MonosemeError} as {@link expectOnnx}; ERR_DISK_FULL, ERR_FILE
 */
export async function saveOnnx(folder: string, dictionary: Dictionary): Promise<void> {
  expectOnnx(dictionary);
  await atomicWrite(join(folder, 'encoder.onnx'), encoderGraph(dictionary));
  await atomicWrite(join(folder, 'decoder.onnx'), decoderGraph(dictionary));
  await atomicWrite(join(folder, 'dictionary.onnx'), wholeGraph(dictionary));
}

/** @throws {MonosemeError} ERR_OPTION for matching pursuit; ERR_LIMIT when the weights are past the 2 GiB of one file */
export function expectOnnx(dictionary: Dictionary): void {
  if (dictionary.config.pursuit)
    throw new MonosemeError(
      'ERR_OPTION',
      'The dictionary encodes by matching pursuit, which is a loop and no graph of products.',
      'Write it as SAELens.',
    );
  const { W_enc, W_dec } = dictionary.weights;
  const bytes = W_enc.byteLength + W_dec.byteLength;
  if (bytes > MAX_WEIGHT_BYTES)
    throw new MonosemeError(
      'ERR_LIMIT',
      `The dictionary has ${bytes} bytes of weights; an ONNX file holds at most ${MAX_WEIGHT_BYTES}.`,
      'Write it as SAELens.',
    );
}

function encoderGraph(dictionary: Dictionary): Uint8Array {
  const graph = new Graph(dictionary);
  graph.encode();
  return graph.bytes('encoder', [ACTIVATIONS], [LATENTS]);
}

function decoderGraph(dictionary: Dictionary): Uint8Array {
  const graph = new Graph(dictionary);
  graph.decode();
  const { config, weights } = dictionary;
  const readsInput = weights.W_skip !== undefined || config.normalization !== undefined;
  return graph.bytes('decoder', [LATENTS, ...(readsInput ? [ACTIVATIONS] : [])], [RECONSTRUCTIONS]);
}

function wholeGraph(dictionary: Dictionary): Uint8Array {
  const graph = new Graph(dictionary);
  graph.encode();
  graph.decode();
  return graph.bytes('dictionary', [ACTIVATIONS], [LATENTS, RECONSTRUCTIONS]);
}

/** Nodes and weights as they are added; a weight or moment that is there already is not added twice. */
class Graph {
  readonly #dictionary: Dictionary;
  readonly #nodes: NodeProto[] = [];
  readonly #weights = new Map<string, TensorProto>();

  constructor(dictionary: Dictionary) {
    this.#dictionary = dictionary;
  }

  encode(): void {
    const { config, weights } = this.#dictionary;
    const { dIn, dSae } = config;
    let x = ACTIVATIONS;
    if (config.normalization === 'layer_norm') {
      const { deviations, offsets } = this.#moments();
      x = this.#add('Div', [offsets, this.#add('Add', [deviations, this.#floats('epsilon', [], EPSILON)])]);
    }
    if (config.normalization === 'constant_norm_rescale') {
      const least = this.#floats('least_length', [], LEAST_LENGTH);
      x = this.#add('Div', [ACTIVATIONS, this.#add('Max', [this.#lengths(), least])]);
    }
    if (config.applyBDecToInput) x = this.#add('Sub', [x, this.#floats('b_dec', [dIn], weights.b_dec)]);
    const W_enc = this.#floats('W_enc', [dSae, dIn], weights.W_enc);
    const b_enc = this.#floats('b_enc', [dSae], weights.b_enc);
    const preActivations = this.#add('Gemm', [x, W_enc, b_enc], 'pre_activations', { transB: 1 });
    if (config.architecture === 'topk') return this.#topK(preActivations);
    if (config.architecture === 'standard') return void this.#add('Relu', [preActivations], LATENTS);
    const zero = this.#floats('zero', [], 0);
    const isGated = config.architecture === 'gated';
    const least = isGated ? zero : this.#floats('threshold', [dSae], weights.threshold);
    const value = isGated ? this.#magnitudes(preActivations, b_enc) : preActivations;
    this.#add('Where', [this.#add('Greater', [preActivations, least]), value, zero], LATENTS);
  }

  decode(): void {
    const { config, weights } = this.#dictionary;
    const dOut = outputWidth(this.#dictionary);
    const W_dec = this.#floats('W_dec', [config.dSae, dOut], weights.W_dec);
    let sum = this.#add('Gemm', [LATENTS, W_dec, this.#floats('b_dec', [dOut], weights.b_dec)]);
    if (weights.W_skip) {
      const W_skip = this.#floats('W_skip', [config.dIn, dOut], weights.W_skip);
      sum = this.#add('Add', [sum, this.#add('MatMul', [ACTIVATIONS, W_skip])]);
    }
    if (config.normalization === 'layer_norm') {
      const { means, deviations } = this.#moments();
      sum = this.#add('Add', [this.#add('Mul', [sum, deviations]), means]);
    }
    if (config.normalization === 'constant_norm_rescale') sum = this.#add('Mul', [sum, this.#lengths()]);
    this.#add('Identity', [sum], RECONSTRUCTIONS);
  }

  bytes(name: string, inputs: readonly string[], outputs: readonly string[]): Uint8Array {
    const { config } = this.#dictionary;
    const widths: Record<string, number> = {
      [ACTIVATIONS]: config.dIn,
      [LATENTS]: config.dSae,
      [RECONSTRUCTIONS]: outputWidth(this.#dictionary),
    };
    const values = (names: readonly string[]) =>
      names.map((value) => valueInfo(value, { type: 'float32', shape: ['?', widths[value]] }));
    const model = create(ModelProtoSchema, {
      irVersion: IR_VERSION,
      producerName: 'monoseme',
      producerVersion: TOOLKIT_VERSION,
      opsetImport: [{ domain: '', version: OPSET }],
      graph: create(GraphProtoSchema, {
        name,
        node: this.#nodes,
        initializer: [...this.#weights.values()],
        input: values(inputs),
        output: values(outputs),
      }),
    });
    return toBinary(ModelProtoSchema, model);
  }

  /** The k largest of a row where they are positive, at their places in a row of zeros. */
  #topK(preActivations: string): void {
    const k = this.#int64('k', [this.#dictionary.config.k as number]);
    this.#nodes.push(node('TopK', [preActivations, k], ['largest', 'places'], { axis: 1, sorted: 0 }));
    const zeros = this.#add('ConstantOfShape', [this.#add('Shape', [preActivations])]);
    this.#add('ScatterElements', [zeros, 'places', this.#add('Relu', ['largest'])], LATENTS, { axis: 1 });
  }

  /** ReLU(exp(r_mag) (h − b_enc) + b_mag) */
  #magnitudes(preActivations: string, b_enc: string): string {
    const { b_mag, r_mag, b_enc: bias } = this.#dictionary.weights;
    const scale = this.#floats('exp_r_mag', [bias.length], r_mag?.map(Math.exp));
    const scaled = this.#add('Mul', [this.#add('Sub', [preActivations, b_enc]), scale]);
    return this.#add('Relu', [this.#add('Add', [scaled, this.#floats('b_mag', [bias.length], b_mag)])]);
  }

  /** μ and σ of every row, σ² = Σ(x − μ)² / (dIn − 1), and x − μ; made once for encoder and decoder. */
  #moments(): { means: string; deviations: string; offsets: string } {
    const names = { means: 'means', deviations: 'deviations', offsets: 'offsets' };
    if (this.#nodes.some(({ output }) => output.includes('means'))) return names;
    const { dIn } = this.#dictionary.config;
    const axis = this.#int64('last_axis', [-1]);
    const sums = this.#add('ReduceSum', [ACTIVATIONS, axis]);
    this.#add('Div', [sums, this.#floats('width', [], dIn)], 'means');
    this.#add('Sub', [ACTIVATIONS, 'means'], 'offsets');
    const squares = this.#add('ReduceSum', [this.#add('Mul', ['offsets', 'offsets']), axis]);
    const freedom = this.#floats('degrees_of_freedom', [], Math.max(1, dIn - 1));
    this.#add('Sqrt', [this.#add('Div', [squares, freedom])], 'deviations');
    return names;
  }

  /** ‖x‖ / √dIn of every row. */
  #lengths(): string {
    const squares = this.#add('Mul', [ACTIVATIONS, ACTIVATIONS]);
    const sums = this.#add('ReduceSum', [squares, this.#int64('last_axis', [-1])]);
    const width = this.#floats('width', [], this.#dictionary.config.dIn);
    return this.#add('Sqrt', [this.#add('Div', [sums, width])]);
  }

  /** Add a node. @returns its output */
  #add(
    op: string,
    inputs: string[],
    output = `${op.toLowerCase()}_${this.#nodes.length}`,
    attributes: Record<string, number> = {},
  ): string {
    this.#nodes.push(node(op, inputs, output, attributes));
    return output;
  }

  /** Add a weight: numbers, or one number for an empty shape. @returns its name */
  #floats(name: string, shape: readonly number[], values: Float32Array | number | undefined): string {
    const data = typeof values === 'number' ? Float32Array.of(values) : (values ?? new Float32Array());
    return this.#weight(
      name,
      ELEMENT.float,
      shape,
      new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    );
  }

  #int64(name: string, values: readonly number[]): string {
    const rawData = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    return this.#weight(name, ELEMENT.int64, [values.length], rawData);
  }

  #weight(name: string, dataType: number, shape: readonly number[], bytes: Uint8Array): string {
    const rawData = bytes as Uint8Array<ArrayBuffer>;
    this.#weights.set(name, create(TensorProtoSchema, { name, dataType, dims: shape.map(BigInt), rawData }));
    return name;
  }
}
