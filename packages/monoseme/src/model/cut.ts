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
import type { OnnxGraph } from './onnx-graph.ts';
import type { Axis, TensorInfo } from './tensor-shapes.ts';

/** Output of a prefix: the activations at the hook, in f32. */
export const ACTIVATIONS = 'monoseme.activations';
/** Input of a part behind a cut: the edited activations of the i-th hook, f32, in the shape of its tensor. */
export const editedInput = (hook: number): string => `monoseme.edited.${hook}`;
/** The same for a model cut at one tensor. */
export const EDITED = editedInput(0);

/** A part of a model, ready for ONNX Runtime. */
export interface GraphPart {
  bytes: Uint8Array<ArrayBuffer>;
  /** Inputs of the model that this part reads. */
  modelInputs: string[];
  /** Tensors that this part takes from those before it, edited activations not among them. */
  reads: string[];
  /** Tensors that it gives to those after it. */
  gives: string[];
  /** Numbers of the hooks whose edited activations it reads. */
  edits: number[];
}

/** Nodes put behind a model's output, with the weights and inputs that they bring along. */
export interface Head {
  nodes: NodeProto[];
  initializers?: TensorProto[];
  inputs?: ValueInfoProto[];
  outputs: string[];
}

/**
 * The part of a model that computes one tensor and nothing else: inputs → activations [as the hook, f32 or f16, where
 * values beyond 65,504 become infinite].
 */
export function harvestPrefix(
  graph: OnnxGraph,
  hook: string,
  infos: ReadonlyMap<string, TensorInfo>,
  type: 'float32' | 'float16' = 'float32',
): GraphPart {
  return prefixOf(graph, hook, activationsHead(hook, infos, type));
}

/** The same with a head of any kind. */
export function prefixOf(graph: OnnxGraph, hook: string, head: Head): GraphPart {
  return { ...part(graph, graph.ancestors([hook]), head), ...NOTHING_CROSSES };
}

/**
 * Cut a model at tensors, into one part more than there are tensors.
 *
 * Part i computes the i-th tensor's activations from the edited activations of those before it; the last part
 * computes the head's outputs. A node stands in the first part in which all that it needs is edited: so no
 * node is in two parts, and what does not depend on a tensor is computed before it, once, however often the
 * parts after it run. Weights are copied to where they are used, and so is the arithmetic on sizes (see
 * {@link isSize}): what crosses a cut has one entry a context, so that a part can run on another number of
 * contexts than those before it did.
 *
 * @param hooks tensors, in the order of the graph ({@link inGraphOrder})
 * @param infos element types and axes of the graph's tensors
 * @param head what the last part computes; it may read any tensor of the model
 * @param kept tensors that the parts give out besides, each that which computes it
 */
export function cutGraph(
  graph: OnnxGraph,
  hooks: readonly string[],
  infos: ReadonlyMap<string, TensorInfo>,
  head: Head,
  kept: readonly string[] = [],
): GraphPart[] {
  const heads: Head[] = [...hooks.map((hook) => activationsHead(hook, infos, 'float32')), head];
  const stages = stagesOf(graph, hooks, heads, kept);
  const parts = heads.map((own, i) => {
    const nodes = new Set([...stages].flatMap(([node, stage]) => (stage === i ? [node] : [])));
    const wanted = own.nodes.flatMap(({ input }) => input).concat(own === head ? head.outputs : []);
    const readNow = () => [...nodes].flatMap((node) => [...graph.inputsOf(node)]).concat(wanted);
    if (i > 0)
      for (const name of readNow()) if (isSize(infos.get(name))) addSizeNodes(graph, infos, name, nodes);
    const made = new Set([...nodes].flatMap(({ output }) => output));
    const reads = [...new Set(readNow())].filter(
      (name) => !made.has(name) && !graph.isWeight(name) && graph.producer(name) !== undefined,
    );
    // The tensor that this part is to give out is read as it is, those before it as they were edited.
    const isEdited = (name: string) => hooks.indexOf(name) >= 0 && hooks.indexOf(name) < i;
    return { own, nodes, reads: reads.filter((name) => !isEdited(name)), edits: reads.filter(isEdited) };
  });
  return parts.map(({ own, nodes, reads, edits }, i) => {
    const after = new Set([...parts.slice(i + 1).flatMap((part) => part.reads), ...kept]);
    const gives = [...after].filter((name) => stages.get(graph.producer(name)!) === i);
    const numbers = edits.map((name) => hooks.indexOf(name));
    const info = (name: string) => infos.get(name)!;
    const given = [
      ...edits.map((name, e) =>
        valueInfo(editedInput(numbers[e]), { type: 'float32', shape: info(name).shape }),
      ),
      ...reads.map((name) => valueInfo(name, info(name))),
    ];
    const casts = edits.map((name, e) => cast(editedInput(numbers[e]), name, ELEMENT_OF[info(name).type]));
    const whole = {
      ...own,
      inputs: [...given, ...(own.inputs ?? [])],
      nodes: [...casts, ...own.nodes],
      outputs: [...own.outputs, ...gives],
    };
    return { ...part(graph, nodes, whole), reads, gives, edits: numbers };
  });
}

/** Tensors sorted so that none has an effect on one before it; each once. */
export function inGraphOrder(graph: OnnxGraph, tensors: Iterable<string>): string[] {
  const order = new Map([...graph.tensors()].map((name, i) => [name, i]));
  return [...new Set(tensors)].sort((a, b) => order.get(a)! - order.get(b)!);
}

/** The number of the part that each needed node belongs to. */
function stagesOf(
  graph: OnnxGraph,
  hooks: readonly string[],
  heads: readonly Head[],
  kept: readonly string[],
): Map<NodeProto, number> {
  const given = new Set(hooks);
  const needed = new Set<NodeProto>();
  const need = (names: readonly string[]) => {
    for (const node of graph.ancestors(names, given)) needed.add(node);
  };
  for (const hook of hooks) {
    const node = graph.producer(hook)!;
    needed.add(node);
    need(graph.inputsOf(node));
  }
  need(
    heads
      .at(-1)!
      .nodes.flatMap(({ input }) => input)
      .concat(heads.at(-1)!.outputs, kept),
  );
  const stages = new Map<NodeProto, number>();
  for (const node of graph.nodes) {
    if (!needed.has(node) || node.output.every((name) => graph.isWeight(name))) continue;
    const stage = (name: string) => {
      const producer = graph.producer(name);
      return given.has(name) ? hooks.indexOf(name) + 1 : ((producer && stages.get(producer)) ?? 0);
    };
    stages.set(node, Math.max(0, ...graph.inputsOf(node).map(stage)));
  }
  return stages;
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
  return { bytes: part(graph, nodes, { nodes: [], outputs: names }).bytes, names };
}

const NOTHING_CROSSES = { reads: [], gives: [], edits: [] };

/**
 * A model of some of the graph's nodes, in their order: weights that they need are copied (with the nodes
 * that compute weights from weights), and of the model's inputs those are declared that they read.
 */
function part(
  graph: OnnxGraph,
  nodes: ReadonlySet<NodeProto>,
  { nodes: further, initializers = [], inputs = [], outputs }: Head,
): { bytes: Uint8Array<ArrayBuffer>; modelInputs: string[] } {
  const read = [
    ...[...nodes].flatMap((node) => [...graph.inputsOf(node)]),
    ...further.flatMap(({ input }) => input),
  ];
  const weightNodes = graph.ancestors([...read, ...outputs].filter((name) => graph.isWeight(name)));
  const kept = graph.nodes.filter((node) => nodes.has(node) || weightNodes.has(node));
  const names = new Set([...read, ...outputs, ...kept.flatMap((node) => [...graph.inputsOf(node)])]);
  const modelInputs = graph.inputs.map(({ name }) => name).filter((name) => names.has(name));
  const { graph: whole, model } = graph;
  // The nodes that bring in edited activations must stand before their users, all others after the kept nodes.
  const bringsIn = ({ input }: NodeProto) =>
    input.some((name) => name.startsWith(editedInput(0).slice(0, -1)));
  const bytes = toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: model.irVersion,
      opsetImport: model.opsetImport,
      functions: model.functions,
      graph: create(GraphProtoSchema, {
        name: 'part',
        node: [...further.filter(bringsIn), ...kept, ...further.filter((node) => !bringsIn(node))],
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
  return { bytes, modelInputs };
}

/**
 * Gives out a tensor as f32 or f16. One that is of this type needs an Identity, which ONNX Runtime removes; a Cast whose result
 * is an output it keeps, as a copy.
 */
function activationsHead(hook: string, infos: ReadonlyMap<string, TensorInfo>, type: string): Head {
  const to = ELEMENT_OF[type];
  const output =
    infos.get(hook)?.type === type ? node('Identity', [hook], ACTIVATIONS) : cast(hook, ACTIVATIONS, to);
  return { nodes: [output], outputs: [ACTIVATIONS] };
}

export const castName = (output: string): string => `monoseme.cast.${output}`;

/** A Cast, under a name that no node of a model has; between equal types, inside a graph, ONNX Runtime removes it. */
export function cast(input: string, output: string, to: number): NodeProto {
  return { ...node('Cast', [input], output, { to }), name: castName(output) };
}

/** A node of the standard operator set with whole-number attributes. */
export function node(
  opType: string,
  input: string[],
  output: string | string[],
  attributes: Record<string, number | readonly number[]> = {},
): NodeProto {
  const outputs = typeof output === 'string' ? [output] : output;
  const { INT, INTS } = AttributeProto_AttributeType;
  const attribute: AttributeProto[] = Object.entries(attributes).map(([name, value]) =>
    typeof value === 'number'
      ? create(AttributeProtoSchema, { name, type: INT, i: BigInt(value) })
      : create(AttributeProtoSchema, { name, type: INTS, ints: value.map(BigInt) }),
  );
  return create(NodeProtoSchema, { opType, input, output: outputs, name: outputs[0], attribute });
}

/** A model of one node, y = x + x, to try a device with. */
export function oneNode(type: 'float32' | 'float16'): Uint8Array<ArrayBuffer> {
  const info = (name: string) => valueInfo(name, { type, shape: ['batch'] });
  const graph = {
    name: 'try',
    node: [node('Add', ['x', 'x'], 'y')],
    input: [info('x')],
    output: [info('y')],
  };
  const opsetImport = [{ domain: '', version: 13n }];
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 8n, opsetImport, graph }));
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

/** A graph input with its type; axes that are not fixed are left free, and those of nothing, where a cache may come. */
export function valueInfo(name: string, { type, shape }: TensorInfo): ValueInfoProto {
  const dim = shape.map((axis) =>
    typeof axis === 'number' && axis > 0 ? { value: { case: 'dimValue' as const, value: BigInt(axis) } } : {},
  );
  const tensorType: TypeProto = create(TypeProtoSchema, {
    value: { case: 'tensorType', value: { elemType: ELEMENT_OF[type], shape: { dim } } },
  });
  return create(ValueInfoProtoSchema, { name, type: tensorType });
}
