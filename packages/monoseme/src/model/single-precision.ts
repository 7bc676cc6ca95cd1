import type { GraphProto, ModelProto, NodeProto, TypeProto } from 'onnx-buf';
import { cast } from './cut.ts';
import { ELEMENT, OnnxGraph } from './onnx-graph.ts';

const HALVES: readonly number[] = [ELEMENT.float16, ELEMENT.bfloat16];
const isHalf = (type: number | bigint): boolean => HALVES.includes(Number(type));
/** Attributes that say the element type of what a node gives out. */
const TYPE_ATTRIBUTES = new Set(['to', 'dtype', 'output_dtype', 'output_datatype']);
/** Operators that make numbers of the type of their attribute `value`. */
const CONSTANTS = new Set(['Constant', 'ConstantOfShape']);
/** The name of a weight as the file holds it; its own name is that of the weight in single precision. */
const asStored = (weight: string): string => `monoseme.half.${weight}`;

/**
 * A model of half precision (f16, bf16) as one that computes in single precision: weights, which stay as they are stored,
 * are cast before they are used, all else is f32, casts to half precision are none.
 *
 * A CPU has no half-precision arithmetic: there ONNX Runtime computes in f32 anyway, and rounds at places that follow from
 * which nodes stand beside each other, so that a model cut in two would round at others. Without the rounding the parts
 * give what the whole gives. Mutates the graph, which is not to be used afterwards.
 *
 * @returns the graph as it was given where nothing in it is of half precision
 */
export function inSinglePrecision_(graph: OnnxGraph, path: string): OnnxGraph {
  return changeModel_(graph.model) ? new OnnxGraph(graph.model, path) : graph;
}

function changeModel_(model: ModelProto): boolean {
  const graph = model.graph!;
  // Nobody has seen such weights; as they are, the runtime takes them or refuses them.
  if (graph.sparseInitializer.some(({ values }) => values && isHalf(values.dataType))) return false;
  let found = changeGraph_(graph);
  for (const { node, valueInfo } of model.functions) {
    found = changeNodes_(node) || found;
    for (const { type } of valueInfo) found = changeType_(type) || found;
  }
  return found;
}

function changeGraph_(graph: GraphProto): boolean {
  const weights = graph.initializer.filter(({ dataType }) => isHalf(dataType));
  const names = new Set(weights.map(({ name }) => name));
  const casts = weights.map(({ name }) => cast(asStored(name), name, ELEMENT.float));
  for (const weight of weights) weight.name = asStored(weight.name);
  // Old graphs list their weights among their inputs.
  graph.input = graph.input.filter(({ name }) => !names.has(name));
  let found = weights.length > 0;
  for (const { type } of [...graph.input, ...graph.output, ...graph.valueInfo])
    found = changeType_(type) || found;
  found = changeNodes_(graph.node) || found;
  graph.node.unshift(...casts);
  return found;
}

function changeNodes_(nodes: NodeProto[]): boolean {
  let found = false;
  for (let i = 0; i < nodes.length; i++) {
    const { opType, output, attribute } = nodes[i];
    for (const { g, graphs } of attribute)
      for (const body of g ? [g, ...graphs] : graphs) found = changeGraph_(body) || found;
    for (const of of attribute) {
      if (!TYPE_ATTRIBUTES.has(of.name) || !isHalf(of.i)) continue;
      of.i = BigInt(ELEMENT.float);
      found = true;
    }
    if (!CONSTANTS.has(opType) || !attribute.some(({ t }) => t && isHalf(t.dataType))) continue;
    const [name] = output;
    output[0] = asStored(name);
    nodes.splice(++i, 0, cast(asStored(name), name, ELEMENT.float));
    found = true;
  }
  return found;
}

/** @returns whether it was, at any depth, of half precision */
function changeType_(type: TypeProto | undefined): boolean {
  const { value } = type ?? {};
  switch (value?.case) {
    case 'tensorType':
    case 'sparseTensorType': {
      const half = isHalf(value.value.elemType);
      if (half) value.value.elemType = ELEMENT.float;
      return half;
    }
    case 'sequenceType':
    case 'optionalType':
      return changeType_(value.value.elemType);
    case 'mapType':
      return changeType_(value.value.valueType);
    default:
      return false;
  }
}
