import { create } from '@bufbuild/protobuf';
import { type NodeProto, type TensorProto, TensorProtoSchema } from 'onnx-buf';
import { MonosemeError } from '../errors.ts';
import { cast, type Head, node, valueInfo } from './cut.ts';
import { ELEMENT, type OnnxGraph } from './onnx-graph.ts';
import type { Axis, TensorInfo } from './tensor-shapes.ts';

/** Input of the loss head: the next tokens, int64 [batch, sequence − 1, 1]. */
export const TARGETS = 'monoseme.targets';
/** Output of the loss head: log-probability of each target in nats, f32 [batch, sequence − 1, 1]. */
export const LOG_PROBS = 'monoseme.log_probs';
/** Input of the head of weighted last logits: f32 [n, batch]. */
export const ROW_WEIGHTS = 'monoseme.row_weights';
/** Output of that head: f32 [n, vocab]. */
export const WEIGHTED_LOGITS = 'monoseme.weighted_logits';

/** Input: rows of [batch · sequence] that something is wanted of, int64 [rows]. */
export const ROWS = 'monoseme.rows';
/** Output of the head of rows of logits: f32 [rows, vocab]. */
export const ROW_LOGITS = 'monoseme.row_logits';

/** The output that holds next-token logits: [batch, sequence, vocab]. */
export interface Logits {
  name: string;
  vocabSize: number;
}

/** Find the logits among the outputs: the one named so, else the first of that layout. */
export function findLogits(graph: OnnxGraph, infos: ReadonlyMap<string, TensorInfo>): Logits | undefined {
  const names = graph.graph.output.map(({ name }) => name);
  const candidates = names.includes('logits') ? ['logits'] : names;
  for (const name of candidates) {
    const info = infos.get(name);
    const [batch, sequence, vocabSize, ...more]: Axis[] = info?.shape ?? [];
    const layout = batch === 'batch' && sequence === 'sequence' && more.length === 0;
    if (layout && typeof vocabSize === 'number' && info!.type.startsWith('float')) return { name, vocabSize };
  }
  return undefined;
}

/**
 * Log-probability of the next token: LogSoftmax of the logits but the last position's, gathered at the
 * targets. Only [batch, sequence − 1] numbers leave the runtime instead of a vocabulary's worth for each.
 */
export function lossHead(graph: OnnxGraph, logits: Logits): Head {
  requireOpset(graph);
  const name = (part: string) => `monoseme.loss.${part}`;
  return {
    nodes: [
      cast(logits.name, name('logits'), ELEMENT.float),
      node('Slice', ['logits', 'starts', 'ends', 'axes'].map(name), name('predicting')),
      node('LogSoftmax', [name('predicting')], name('log_softmax'), { axis: 2 }),
      node('GatherElements', [name('log_softmax'), TARGETS], LOG_PROBS, { axis: 2 }),
    ],
    initializers: [int64(name('starts'), [0]), int64(name('ends'), [-1]), int64(name('axes'), [1])],
    inputs: [valueInfo(TARGETS, { type: 'int64', shape: ['batch', 'sequence', 1] })],
    outputs: [LOG_PROBS],
  };
}

/**
 * Sums over the batch of the last position's logits, with given weights: [n, batch] · [batch, vocab].
 *
 * The last position is taken as early as the end of the graph allows: before the product with the unembedding
 * matrix, where the logits are one. The other positions' logits, most of the work of a short suffix, are then
 * never computed.
 */
export function lastLogitsHead(graph: OnnxGraph, logits: Logits): Head {
  requireOpset(graph);
  const name = (part: string) => `monoseme.last.${part}`;
  const early = unembedding(graph, logits.name);
  const last = node('Gather', [early?.input ?? logits.name, name('index')], name('0'), { axis: 1 });
  return {
    nodes: [
      last,
      ...unembed(graph, early, last, name),
      node('MatMul', [ROW_WEIGHTS, name('logits')], WEIGHTED_LOGITS),
    ],
    initializers: [int64(name('index'), -1)],
    inputs: [valueInfo(ROW_WEIGHTS, { type: 'float32', shape: ['?', 'batch'] })],
    outputs: [WEIGHTED_LOGITS],
  };
}

/** Logits of chosen rows; as with the last position, the others' are not computed where the graph allows. */
export function rowLogitsHead(
  graph: OnnxGraph,
  logits: Logits,
  infos: ReadonlyMap<string, TensorInfo>,
): Head {
  requireOpset(graph);
  const name = (part: string) => `monoseme.rows.${part}`;
  const early = unembedding(graph, logits.name);
  const from = early?.input ?? logits.name;
  const chosen = node('Gather', [name('flat'), ROWS], name('0'), { axis: 0 });
  return {
    nodes: [
      node('Reshape', [from, name('shape')], name('flat')),
      chosen,
      ...unembed(graph, early, chosen, name),
      node('Identity', [name('logits')], ROW_LOGITS),
    ],
    initializers: [int64(name('shape'), [-1, infos.get(from)!.shape.at(-1) as number])],
    inputs: [valueInfo(ROWS, { type: 'int64', shape: ['?'] })],
    outputs: [ROW_LOGITS],
  };
}

/** Output of the head of outputs: one of the model's, as f32. */
const asFloats = (output: string): string => `monoseme.output.${output}`;

/** The model's outputs of floating point as f32, caches of keys and values not among them. */
export function outputsHead(
  graph: OnnxGraph,
  infos: ReadonlyMap<string, TensorInfo>,
): Head & { names: ReadonlyMap<string, string> } {
  const names = graph.graph.output
    .map(({ name }) => name)
    .filter((name) => infos.get(name)?.type.startsWith('float') && !name.startsWith('present'));
  return {
    nodes: names.map((name) => cast(name, asFloats(name), ELEMENT.float)),
    outputs: names.map(asFloats),
    names: new Map(names.map((name) => [asFloats(name), name])),
  };
}

interface Unembedding {
  input: string;
  nodes: NodeProto[];
}

/** The end of the graph once more, for what `from` gives out: f32 logits under `name('logits')`. */
function unembed(
  graph: OnnxGraph,
  early: Unembedding | undefined,
  from: NodeProto,
  name: (part: string) => string,
): NodeProto[] {
  const nodes = [from];
  for (const { opType, input, attribute } of early?.nodes ?? []) {
    const before = nodes.at(-1)!.output[0];
    const inputs = input.map((tensor) => (graph.isWeight(tensor) ? tensor : before));
    nodes.push({ ...node(opType, inputs, name(String(nodes.length))), attribute });
  }
  return [...nodes.slice(1), cast(nodes.at(-1)!.output[0], name('logits'), ELEMENT.float)];
}

/**
 * The product with the unembedding matrix and what follows it on each position by itself (a bias, a cast, a
 * soft cap): the nodes in order, and the tensor that goes in. Undefined where the graph does not end so.
 */
function unembedding(graph: OnnxGraph, logits: string): Unembedding | undefined {
  const nodes: NodeProto[] = [];
  let tensor = logits;
  for (;;) {
    const last = graph.producer(tensor);
    if (!last || last.domain !== '' || last.output.length !== 1) return undefined;
    const data = last.input.filter((input) => !graph.isWeight(input));
    if (data.length !== 1) return undefined;
    nodes.unshift(last);
    if (last.opType === 'MatMul' && data[0] === last.input[0]) return { input: data[0], nodes };
    const others = last.input.filter((input) => graph.isWeight(input));
    const alone =
      /^(Add|Sub|Mul|Div|Cast|Identity|Tanh)$/.test(last.opType) && others.every((w) => rank(graph, w) <= 1);
    if (!alone) return undefined;
    tensor = data[0];
  }
}

/** Rank of an initialiser, or of one that is cast; Infinity for another weight that nodes compute. */
function rank(graph: OnnxGraph, weight: string): number {
  const node = graph.producer(weight);
  if (node?.opType === 'Cast') return rank(graph, node.input[0]);
  return graph.graph.initializer.find(({ name }) => name === weight)?.dims.length ?? Infinity;
}

/** Slice with inputs, GatherElements and negative indices of Gather are all there from operator set 11 on. */
export function requireOpset(graph: OnnxGraph): void {
  if (graph.opset >= 11) return;
  throw new MonosemeError(
    'ERR_MODEL',
    `The model uses ONNX operator set ${graph.opset}; losses need 11 or newer.`,
    'Export it again with a newer operator set.',
  );
}

/** An int64 initialiser: a list, or a scalar. */
export function int64(name: string, values: number | number[]): TensorProto {
  const list = typeof values === 'number' ? [values] : values;
  return create(TensorProtoSchema, {
    name,
    dataType: ELEMENT.int64,
    dims: typeof values === 'number' ? [] : [BigInt(list.length)],
    int64Data: list.map(BigInt),
  });
}
