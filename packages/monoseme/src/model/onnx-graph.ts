import { fromBinary } from '@bufbuild/protobuf';
import { type GraphProto, type ModelProto, ModelProtoSchema, type NodeProto } from 'onnx-buf';
import { MonosemeError } from '../errors.ts';

/** ONNX element types (TensorProto.DataType) that this folder names. */
export const ELEMENT = {
  float: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  double: 11,
  bfloat16: 16,
} as const;

/** A graph input as declared: a size, or undefined where it is free. */
export interface DeclaredInput {
  name: string;
  elementType: number;
  dims: (number | undefined)[];
  /** Names of the free axes, as in `sequence_length`: axes of one name are of one size. */
  axisNames: (string | undefined)[];
}

/**
 * An ONNX graph that can be walked: which node makes a tensor, which nodes use it, which tensors are weights.
 *
 * *Weights* are the initialisers and everything computed from nothing else (Constant nodes, a transposed
 * weight): they do not depend on the inputs. Nodes with bodies (If, Loop) count as users of every outer
 * tensor that a body names.
 */
export class OnnxGraph {
  readonly model: ModelProto;
  readonly graph: GraphProto;
  /** In an order in which every node comes after those that it needs. */
  readonly nodes: readonly NodeProto[];
  readonly inputs: readonly DeclaredInput[];
  readonly #producers = new Map<string, NodeProto>();
  readonly #consumers = new Map<string, NodeProto[]>();
  readonly #inputsOf = new Map<NodeProto, readonly string[]>();
  readonly #weights = new Set<string>();

  constructor(model: ModelProto, path: string) {
    this.model = model;
    this.graph = model.graph!;
    for (const { name } of this.graph.initializer) this.#weights.add(name);
    for (const { values } of this.graph.sparseInitializer) if (values) this.#weights.add(values.name);
    for (const node of this.graph.node) this.#addNode(node, path);
    this.nodes = this.#sorted(path);
    for (const node of this.nodes) this.#markWeights(node);
    this.inputs = this.graph.input.filter(({ name }) => !this.#weights.has(name)).map(declared);
  }

  /** The node that makes a tensor; undefined for inputs and initialisers. */
  producer(tensor: string): NodeProto | undefined {
    return this.#producers.get(tensor);
  }

  consumers(tensor: string): readonly NodeProto[] {
    return this.#consumers.get(tensor) ?? [];
  }

  /** Names of all tensors that a node needs, those named in its bodies included. */
  inputsOf(node: NodeProto): readonly string[] {
    return this.#inputsOf.get(node)!;
  }

  /** The node (If, Loop, Scan) in whose body a tensor is made, at any depth. */
  holderOf(tensor: string): NodeProto | undefined {
    const makes = (body: GraphProto): boolean =>
      body.node.some((node) => node.output.includes(tensor) || bodiesOf(node).some(makes));
    return this.nodes.find((node) => bodiesOf(node).some(makes));
  }

  /** Whether a tensor does not depend on the graph's inputs. */
  isWeight(tensor: string): boolean {
    return this.#weights.has(tensor);
  }

  /** Tensors made by nodes from the graph's inputs, in order. */
  *tensors(): Generator<string> {
    for (const node of this.nodes) {
      for (const name of node.output) if (name !== '' && !this.#weights.has(name)) yield name;
    }
  }

  /** The nodes that the tensors need, themselves included, as a set. Stops at tensors in `given`. */
  ancestors(tensors: Iterable<string>, given: ReadonlySet<string> = new Set()): Set<NodeProto> {
    const found = new Set<NodeProto>();
    const open = [...tensors];
    while (open.length > 0) {
      const name = open.pop()!;
      const node = given.has(name) ? undefined : this.#producers.get(name);
      if (!node || found.has(node)) continue;
      found.add(node);
      for (const input of this.inputsOf(node)) open.push(input);
    }
    return found;
  }

  /** The nodes that a tensor has an effect on. */
  descendants(tensor: string): Set<NodeProto> {
    const found = new Set<NodeProto>();
    const open = [tensor];
    while (open.length > 0) {
      for (const node of this.consumers(open.pop()!)) {
        if (found.has(node)) continue;
        found.add(node);
        for (const output of node.output) open.push(output);
      }
    }
    return found;
  }

  /** Version of the standard operator set that the model uses. */
  get opset(): number {
    const standard = this.model.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx');
    return Number(standard?.version ?? 1n);
  }

  #addNode(node: NodeProto, path: string): void {
    for (const output of node.output) {
      if (output === '') continue;
      if (this.#producers.has(output))
        throw notAModel(path, `two nodes make the tensor "${output.slice(0, 80)}"`);
      this.#producers.set(output, node);
    }
    const inputs = [...new Set([...node.input, ...outerNames(node)])].filter((name) => name !== '');
    this.#inputsOf.set(node, inputs);
    for (const input of inputs) {
      const users = this.#consumers.get(input);
      if (users) users.push(node);
      else this.#consumers.set(input, [node]);
    }
  }

  /** Kahn's algorithm; among nodes that are ready, the order of the file. */
  #sorted(path: string): NodeProto[] {
    const missing = new Map<NodeProto, number>();
    const ready: NodeProto[] = [];
    for (const node of this.graph.node) {
      const n = this.inputsOf(node).filter((input) => this.#producers.has(input)).length;
      missing.set(node, n);
      if (n === 0) ready.push(node);
    }
    for (let i = 0; i < ready.length; i++) {
      for (const output of ready[i].output) {
        for (const user of this.consumers(output)) {
          const left = missing.get(user)! - 1;
          missing.set(user, left);
          if (left === 0) ready.push(user);
        }
      }
    }
    if (ready.length < this.graph.node.length) throw notAModel(path, 'its nodes form a cycle');
    return ready;
  }

  #markWeights(node: NodeProto): void {
    const random = node.opType.startsWith('Random');
    if (!random && this.inputsOf(node).every((name) => this.#weights.has(name)))
      for (const output of node.output) this.#weights.add(output);
  }
}

/** Names that a node's bodies use and do not define: they come from the graph around it. */
function outerNames(node: NodeProto): string[] {
  return bodiesOf(node).flatMap(freeNames);
}

const bodiesOf = (node: NodeProto): GraphProto[] =>
  node.attribute.flatMap(({ g, graphs }) => (g ? [g, ...graphs] : graphs));

function freeNames(body: GraphProto): string[] {
  const defined = new Set([
    ...body.input.map(({ name }) => name),
    ...body.initializer.map(({ name }) => name),
    ...body.node.flatMap(({ output }) => output),
  ]);
  const used = [
    ...body.node.flatMap((node) => [...node.input, ...outerNames(node)]),
    ...body.output.map(({ name }) => name),
  ];
  return used.filter((name) => !defined.has(name));
}

function declared({ name, type }: GraphProto['input'][number]): DeclaredInput {
  if (type?.value.case !== 'tensorType') return { name, elementType: 0, dims: [], axisNames: [] };
  const { elemType, shape } = type.value.value;
  const axes = (shape?.dim ?? []).map(({ value }) => value);
  const dims = axes.map((axis) => (axis.case === 'dimValue' ? Number(axis.value) : undefined));
  const axisNames = axes.map((axis) => (axis.case === 'dimParam' ? axis.value : undefined));
  return { name, elementType: elemType, dims, axisNames };
}

/**
 * Parse the bytes of an ONNX file.
 *
 * @throws {MonosemeError} ERR_MODEL when they are not an ONNX model, or its nodes cannot be put in order
 */
export function parseOnnx(bytes: Uint8Array<ArrayBuffer>, path: string): OnnxGraph {
  let model: ModelProto;
  try {
    model = fromBinary(ModelProtoSchema, bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0].slice(0, 120) : 'unreadable';
    throw notAModel(path, reason, error);
  }
  if (!model.graph || model.graph.node.length === 0 || model.graph.output.length === 0)
    throw notAModel(path, 'it holds no graph');
  return new OnnxGraph(model, path);
}

export function notAModel(path: string, reason: string, cause?: unknown): MonosemeError {
  return new MonosemeError(
    'ERR_MODEL',
    `${path} is not an ONNX model that can be read: ${reason}.`,
    'Give a .onnx file, or a folder with model.onnx in it.',
    { cause },
  );
}
