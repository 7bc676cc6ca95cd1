import { create, toBinary } from '@bufbuild/protobuf';
import {
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import { AttributeProto_AttributeType, AttributeProtoSchema } from 'onnx-buf';
import type { AttributeProto, NodeProto, TensorProto, TypeProto, ValueInfoProto } from 'onnx-buf';
import { ELEMENT, type OnnxGraph } from './onnx-graph.ts';
import type { Axis, TensorInfo } from './tensor-shapes.ts';

/** Output of a prefix: the activations at the hook, in f32. */
export const ACTIVATIONS = 'monoseme.activations';
/** Input of a suffix: the edited activations, f32, in the shape that the hook's tensor has. */
export const EDITED = 'monoseme.edited';

/** Half of a model, ready for ONNX Runtime. */
export interface GraphPart {
  bytes: Uint8Array<ArrayBuffer>;
  /** Inputs of the model that this part reads. */
  modelInputs: string[];
  /** Tensors that this part takes from the prefix, or gives to the suffix. */
  crossing: string[];
}

/** Nodes put behind a model's output, with the weights and inputs that they bring along. */
export interface Head {
  nodes: NodeProto[];
  initializers?: TensorProto[];
  inputs?: ValueInfoProto[];
  outputs: string[];
}

/**
 * The part of a model that computes one tensor and nothing else: inputs → activations [as the hook, f32].
 */
export function harvestPrefix(graph: OnnxGraph, hook: string): GraphPart {
  return part(graph, graph.ancestors([hook]), [], [activationsOutput(hook)], [ACTIVATIONS]);
}

/**
 * Cut a model at a tensor.
 *
 * suffix: everything that the head's outputs need and that the tensor has an effect on. It reads the edited
 * activations, the crossing tensors and, where it needs them, the model's own inputs.
 * prefix: the tensor, and everything else that the suffix needs. So no node is in both halves, and what does
 * not depend on the tensor is computed once however often the suffix runs. Weights are copied to where they
 * are used, and so is the arithmetic on sizes (see {@link isSize}): what crosses the cut has one entry a
 * context, so that the suffix can run on another number of contexts than the prefix did.
 *
 * @param infos element types and axes of the graph's tensors
 * @param head what the suffix computes; it may read any tensor of the model
 */
export function cutGraph(
  graph: OnnxGraph,
  hook: string,
  infos: ReadonlyMap<string, TensorInfo>,
  head: Head,
): { prefix: GraphPart; suffix: GraphPart } {
  const wanted = [...new Set(head.nodes.flatMap((node) => node.input))];
  const affected = graph.descendants(hook);
  const needed = graph.ancestors([...wanted, ...head.outputs], new Set([hook]));
  const later = new Set([...needed].filter((node) => affected.has(node)));
  for (const name of [...later].flatMap((node) => [...graph.inputsOf(node)])) {
    if (isSize(infos.get(name))) addSizeNodes(graph, infos, name, later);
  }
  const madeLater = new Set([...later].flatMap((node) => node.output));
  const read = [...later].flatMap((node) => [...graph.inputsOf(node)]).concat(wanted);
  const crossing = [...new Set(read)].filter(
    (name) =>
      name !== hook && !madeLater.has(name) && !graph.isWeight(name) && graph.producer(name) !== undefined,
  );
  const earlier = graph.ancestors([hook, ...crossing]);
  const prefix = part(graph, earlier, [], [activationsOutput(hook)], [ACTIVATIONS, ...crossing]);
  const info = infos.get(hook)!;
  const edited = cast(EDITED, hook, ELEMENT_OF[info.type]);
  const inputs = [
    valueInfo(EDITED, { type: 'float32', shape: info.shape }),
    ...crossing.map((name) => valueInfo(name, infos.get(name)!)),
    ...(head.inputs ?? []),
  ];
  const suffix = part(graph, later, inputs, [edited, ...head.nodes], head.outputs, head.initializers);
  return { prefix: { ...prefix, crossing }, suffix: { ...suffix, crossing } };
}

/**
 * Whether a tensor is a size, a mask or a range that is the same for every context: whole numbers or truth
 * values without an axis that follows the batch. Its values may hold the size of the batch.
 */
export function isSize(info: TensorInfo | undefined): boolean {
  const same = (axis: Axis) => typeof axis === 'number' || axis === 'sequence';
  return info !== undefined && !info.type.startsWith('float') && info.shape.every(same);
}

/** Add the nodes that compute a size, as far back as they work on sizes. */
function addSizeNodes(
  graph: OnnxGraph,
  infos: ReadonlyMap<string, TensorInfo>,
  size: string,
  nodes: Set<NodeProto>,
): void {
  const open = [size];
  while (open.length > 0) {
    const node = graph.producer(open.pop()!);
    if (!node || nodes.has(node)) continue;
    nodes.add(node);
    open.push(...graph.inputsOf(node).filter((name) => isSize(infos.get(name))));
  }
}

/** The whole model, with every tensor computed from its inputs as a further output. */
export function withAllOutputs(graph: OnnxGraph): { bytes: Uint8Array<ArrayBuffer>; names: string[] } {
  const names = [...graph.tensors()];
  const nodes = new Set(graph.nodes);
  return { bytes: part(graph, nodes, [], [], names).bytes, names };
}

/**
 * A model of some of the graph's nodes, in their order: weights that they need are copied (with the nodes
 * that compute weights from weights), and of the model's inputs those are declared that they read.
 */
function part(
  graph: OnnxGraph,
  nodes: ReadonlySet<NodeProto>,
  inputs: ValueInfoProto[],
  further: NodeProto[],
  outputs: string[],
  initializers: TensorProto[] = [],
): GraphPart {
  const read = [
    ...[...nodes].flatMap((node) => [...graph.inputsOf(node)]),
    ...further.flatMap(({ input }) => input),
  ];
  const weightNodes = graph.ancestors([...read, ...outputs].filter((name) => graph.isWeight(name)));
  const kept = graph.nodes.filter((node) => nodes.has(node) || weightNodes.has(node));
  const names = new Set([...read, ...outputs, ...kept.flatMap((node) => [...graph.inputsOf(node)])]);
  const modelInputs = graph.inputs.map(({ name }) => name).filter((name) => names.has(name));
  const { graph: whole, model } = graph;
  const bytes = toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: model.irVersion,
      opsetImport: model.opsetImport,
      functions: model.functions,
      graph: create(GraphProtoSchema, {
        name: 'part',
        node: [...first(further), ...kept, ...rest(further)],
        initializer: [...whole.initializer.filter(({ name }) => names.has(name)), ...initializers],
        sparseInitializer: whole.sparseInitializer.filter(({ values }) => values && names.has(values.name)),
        quantizationAnnotation: whole.quantizationAnnotation.filter(({ tensorName }) =>
          names.has(tensorName),
        ),
        input: [...whole.input.filter(({ name }) => modelInputs.includes(name)), ...inputs],
        output: outputs.map((name) => create(ValueInfoProtoSchema, { name })),
      }),
    }),
  );
  return { bytes, modelInputs, crossing: [] };
}

/**
 * The node that brings in the edited activations must stand before its users, all others after the kept
 * nodes.
 */
const first = (nodes: NodeProto[]) => nodes.filter(({ input }) => input.includes(EDITED));
const rest = (nodes: NodeProto[]) => nodes.filter(({ input }) => !input.includes(EDITED));

function activationsOutput(hook: string): NodeProto {
  return cast(hook, ACTIVATIONS, ELEMENT.float);
}

/** A Cast; between equal types ONNX Runtime removes it. */
export function cast(input: string, output: string, to: number): NodeProto {
  return node('Cast', [input], output, { to });
}

/** A node of the standard operator set with whole-number attributes. */
export function node(
  opType: string,
  input: string[],
  output: string | string[],
  attributes: Record<string, number> = {},
): NodeProto {
  const outputs = typeof output === 'string' ? [output] : output;
  const attribute: AttributeProto[] = Object.entries(attributes).map(([name, value]) =>
    create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) }),
  );
  return create(NodeProtoSchema, { opType, input, output: outputs, name: outputs[0], attribute });
}

/** ONNX element type by ONNX Runtime's name of it. */
const ELEMENT_OF: Record<string, number> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
};

/** A graph input with its type; axes that are not fixed are left free. */
export function valueInfo(name: string, { type, shape }: TensorInfo): ValueInfoProto {
  const dim = shape.map((axis) =>
    typeof axis === 'number' ? { value: { case: 'dimValue' as const, value: BigInt(axis) } } : {},
  );
  const tensorType: TypeProto = create(TypeProtoSchema, {
    value: { case: 'tensorType', value: { elemType: ELEMENT_OF[type], shape: { dim } } },
  });
  return create(ValueInfoProtoSchema, { name, type: tensorType });
}
