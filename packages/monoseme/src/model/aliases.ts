import type { NodeProto } from 'onnx-buf';
import type { OnnxGraph } from './onnx-graph.ts';
import { rowWidth, type TensorInfo } from './tensor-shapes.ts';

/**
 * Find the places of a transformer that have names in TransformerLens, by the shape of the graph.
 *
 * The residual stream is followed from the token embedding (of patches or frames: from the first tensor that something
 * computed from it is added to): at each step it is the sum of itself and a branch
 * that was computed from it. A branch with a softmax is attention, one with a weight product and no softmax
 * an MLP, and a sum of both is a parallel block. Inside a branch, the input of the last weight product is
 * what the neurons (`hook_post`) or the heads (`hook_z`) give out. Where a norm stands on the stream itself,
 * behind each sum (BERT), the stream goes on with what it gives (`hook_normalized_resid_post`). Graphs with another layout simply have
 * fewer aliases, or none.
 *
 * @returns tensor name by alias; one tensor may have two (`blocks.0.hook_resid_post`,
 * `blocks.1.hook_resid_pre`)
 */
export function findAliases(graph: OnnxGraph, infos: ReadonlyMap<string, TensorInfo>): Map<string, string> {
  return new AliasFinder(graph, infos).find();
}

interface Branch {
  kind: 'attn' | 'mlp';
  output: string;
  region: Set<NodeProto>;
}

interface Step {
  before: string;
  /** The sum of the stream and the branches. */
  after: string;
  /** The stream behind the step: the sum, or its norm where blocks end with one (BERT). */
  stream: string;
  branches: Branch[];
}

const ATTENTION_OPS = new Set(['Softmax', 'Attention', 'MultiHeadAttention', 'GroupQueryAttention']);
const PASSING = new Set(['Cast', 'Identity', 'Dropout', 'Reshape', 'DynamicQuantizeLinear']);
const NORMS = new Set(['LayerNormalization', 'SimplifiedLayerNormalization', 'RMSNormalization']);

class AliasFinder {
  readonly #graph: OnnxGraph;
  readonly #infos: ReadonlyMap<string, TensorInfo>;
  readonly #readsTokens: boolean;
  readonly #aliases = new Map<string, string>();
  readonly #residuals = new Set<string>();

  constructor(graph: OnnxGraph, infos: ReadonlyMap<string, TensorInfo>) {
    this.#graph = graph;
    this.#infos = infos;
    this.#readsTokens = graph.inputs.some(({ name }) => name === 'input_ids');
  }

  find(): Map<string, string> {
    const first = this.#readsTokens ? this.#firstOfTokens() : this.#firstOfArrays();
    if (first === undefined) return this.#aliases;
    const steps = this.#steps(first);
    let block = -1;
    for (let i = 0; i < steps.length; i++) {
      const step = steps[i];
      if (i === 0 || step.branches[0].kind === 'attn') block++;
      this.#nameStep(block, step, steps[i + 1]);
    }
    return this.#aliases;
  }

  #firstOfTokens(): string | undefined {
    const embedding = tokenEmbedding(this.#graph);
    const looked = embedding && this.#dequantized(embedding.output[0]);
    return looked === undefined || this.#width(looked) === undefined ? undefined : this.#embedded(looked);
  }

  /** Of patches or frames: the first tensor that a branch computed from it is added to. */
  #firstOfArrays(): string | undefined {
    for (const name of this.#graph.tensors()) {
      if (this.#width(name) === undefined) continue;
      if (this.#nextStep(name, this.#graph.descendants(name))) return name;
    }
    return undefined;
  }

  /** What a quantised table's row is as numbers. */
  #dequantized(row: string): string {
    const user = this.#graph.consumers(row).find(({ opType }) => opType === 'DequantizeLinear');
    return user?.output[0] ?? row;
  }

  /**
   * The stream before the first block: the embedding, plus what is added to it (positions), scaled or cast.
   */
  #embedded(embedding: string): string {
    this.#aliases.set('hook_embed', embedding);
    let stream = embedding;
    for (;;) {
      const after = this.#graph.descendants(stream);
      const next = this.#graph.consumers(stream).find((node) => {
        const others = node.input.filter((name) => name !== stream);
        const independent = others.every((name) => !this.#madeBy(name, after));
        const keeps = this.#width(node.output[0]) === this.#width(stream);
        const single = this.#users(stream).length === 1;
        const passes = /^(Mul|Cast|Identity)$/.test(node.opType) || NORMS.has(node.opType);
        return keeps && independent && (node.opType === 'Add' || (single && passes));
      });
      if (next === undefined) return stream;
      const added = next.input.find((name) => name !== stream);
      if (next.opType === 'Add' && added !== undefined) this.#nameAdded(added);
      stream = next.output[0];
    }
  }

  /** Name what is added to the token embedding: by token type, or by position. */
  #nameAdded(added: string): void {
    const nodes = [...this.#graph.ancestors([added])];
    const ofType = nodes.some((node) => this.#graph.inputsOf(node).includes('token_type_ids'));
    const alias = ofType ? 'hook_token_type_embed' : 'hook_pos_embed';
    if (!this.#aliases.has(alias)) this.#aliases.set(alias, added);
  }

  /** Nodes that use a tensor's values, not only its sizes. */
  #users(tensor: string): NodeProto[] {
    return this.#graph.consumers(tensor).filter(({ opType }) => opType !== 'Shape');
  }

  #steps(first: string): Step[] {
    const steps: Step[] = [];
    const after = this.#graph.descendants(first);
    let stream: string | undefined = first;
    while (stream !== undefined) {
      this.#residuals.add(stream);
      const step = this.#nextStep(stream, after);
      if (step) steps.push(step);
      if (step) this.#residuals.add(step.after);
      stream = step?.stream;
    }
    return steps;
  }

  #nextStep(stream: string, after: ReadonlySet<NodeProto>): Step | undefined {
    const same = this.#casts(stream);
    for (const node of same.flatMap((name) => this.#graph.consumers(name))) {
      const added = node.input.find((name) => !same.includes(name));
      if (node.opType !== 'Add' || added === undefined || !this.#madeBy(added, after)) continue;
      if (this.#width(node.output[0]) !== this.#width(stream) || this.#width(added) !== this.#width(stream))
        continue;
      const branches = this.#branches(added);
      if (branches)
        return { before: stream, after: node.output[0], stream: this.#normed(node.output[0]), branches };
    }
    return undefined;
  }

  /** A tensor and what it is after casts, which are on the stream where an exporter wrote them for a norm. */
  #casts(tensor: string): string[] {
    const casts = this.#graph.consumers(tensor).filter(({ opType }) => /^(Cast|Identity)$/.test(opType));
    return [tensor, ...casts.flatMap(({ output }) => this.#casts(output[0]))];
  }

  /** The norm of a sum that nothing else reads, or the sum itself. */
  #normed(sum: string): string {
    const users = this.#users(sum);
    const norm = users.length === 1 && NORMS.has(users[0].opType) ? users[0].output[0] : undefined;
    return norm !== undefined && this.#width(norm) === this.#width(sum) ? norm : sum;
  }

  /** A branch's kind; for the sum of an attention and an MLP branch both, attention first. */
  #branches(output: string): Branch[] | undefined {
    const region = this.#graph.ancestors([output], this.#residuals);
    const attention = [...region].some(({ opType }) => ATTENTION_OPS.has(opType));
    const sum = this.#graph.producer(output)!;
    if (attention && sum.opType === 'Add' && sum.input.every((name) => !this.#graph.isWeight(name))) {
      const parts = sum.input.flatMap((name) => this.#branches(name) ?? []);
      const kinds = parts.map(({ kind }) => kind).sort();
      if (kinds.join() === 'attn,mlp') return parts.sort((a, b) => (a.kind < b.kind ? -1 : 1));
    }
    if (attention) return [{ kind: 'attn', output, region }];
    return this.#linear(region).length > 0 ? [{ kind: 'mlp', output, region }] : undefined;
  }

  #nameStep(block: number, step: Step, next: Step | undefined): void {
    const name = (hook: string) => `blocks.${block}.${hook}`;
    const startsBlock = step.branches[0].kind === 'attn';
    const endsBlock = next === undefined || next.branches[0].kind === 'attn';
    if (startsBlock) this.#aliases.set(name('hook_resid_pre'), step.before);
    // A parallel MLP reads the stream as it was before attention: then there is no middle.
    const middle = next?.branches[0].region;
    if (!endsBlock && middle && this.#reads(middle, step.stream))
      this.#aliases.set(name('hook_resid_mid'), step.after);
    if (endsBlock) this.#aliases.set(name('hook_resid_post'), step.after);
    if (endsBlock && next !== undefined && step.stream !== step.after)
      this.#aliases.set(name('hook_normalized_resid_post'), step.stream);
    for (const { kind, output, region } of step.branches) {
      this.#aliases.set(name(`hook_${kind}_out`), output);
      const linear = this.#linear(region);
      const inner = linear.length > 0 ? this.#rows(linear.at(-1)!.input[0]) : undefined;
      if (inner !== undefined)
        this.#aliases.set(name(kind === 'attn' ? 'attn.hook_z' : 'mlp.hook_post'), inner);
      if (kind === 'mlp' && inner !== undefined) this.#namePre(name, linear, inner);
    }
  }

  /** Name what goes into an MLP's function; where a gate is multiplied with a second product, also that product. */
  #namePre(name: (hook: string) => string, linear: readonly NodeProto[], post: string): void {
    const before = linear.slice(0, -1).map((product) => this.#withBias(this.#product(product)));
    if (before.some((tensor) => this.#width(tensor) === undefined)) return;
    const factors = this.#graph.producer(post)?.input ?? [];
    const ungated = before.filter((tensor) => factors.includes(tensor));
    const gates = before.filter((tensor) => !ungated.includes(tensor));
    const isGated = before.length === 2 && gates.length === 1;
    if (before.length === 1) this.#aliases.set(name('mlp.hook_pre'), before[0]);
    if (!isGated) return;
    this.#aliases.set(name('mlp.hook_pre'), gates[0]);
    this.#aliases.set(name('mlp.hook_pre_linear'), ungated[0]);
  }

  #reads(region: ReadonlySet<NodeProto>, tensor: string): boolean {
    return this.#casts(tensor).some((name) => this.#graph.consumers(name).some((node) => region.has(node)));
  }

  /** Products with a weight matrix, in the order of the graph. */
  #linear(region: ReadonlySet<NodeProto>): NodeProto[] {
    return this.#graph.nodes.filter(
      (node) =>
        region.has(node) &&
        /^(MatMul|Gemm|MatMulNBits|MatMulInteger)$/.test(node.opType) &&
        this.#graph.isWeight(node.input[1]) &&
        !this.#graph.isWeight(node.input[0]),
    );
  }

  /** What a product gives; of integers, once it is cast and scaled. */
  #product({ opType, output }: NodeProto): string {
    let [tensor] = output;
    if (opType !== 'MatMulInteger') return tensor;
    for (const op of ['Cast', 'Mul']) {
      const next = this.#graph.consumers(tensor).find((node) => node.opType === op);
      tensor = next?.output[0] ?? tensor;
    }
    return tensor;
  }

  #withBias(tensor: string): string {
    const next = this.#graph.consumers(tensor).find(({ opType }) => opType === 'Add');
    const biased = next?.input.some((name) => this.#graph.isWeight(name));
    return next && biased ? this.#withReshape(next.output[0]) : this.#withReshape(tensor);
  }

  #withReshape(tensor: string): string {
    const next = this.#graph.consumers(tensor)[0];
    return this.#width(tensor) === undefined && next && PASSING.has(next.opType) ? next.output[0] : tensor;
  }

  /** The tensor itself, or what it was before it was reshaped to other axes than rows of tokens. */
  #rows(tensor: string): string | undefined {
    let name: string | undefined = tensor;
    while (name !== undefined && this.#width(name) === undefined) {
      const node: NodeProto | undefined = this.#graph.producer(name);
      name = node && PASSING.has(node.opType) ? node.input[0] : undefined;
    }
    return name;
  }

  #madeBy(tensor: string, nodes: ReadonlySet<NodeProto>): boolean {
    const node = this.#graph.producer(tensor);
    return node !== undefined && nodes.has(node);
  }

  /** Width of a row of the stream; of a model that reads arrays, the size of the last of three axes or more. */
  #width(tensor: string): number | undefined {
    const { type, shape } = this.#infos.get(tensor) ?? { type: '', shape: [] };
    if (!type.startsWith('float') || shape[0] !== 'batch') return undefined;
    if (this.#readsTokens) return rowWidth(shape);
    const [last, ...rest] = shape.slice(1).reverse();
    return rest.length > 0 && typeof last === 'number' && rest.every((size) => typeof size === 'number')
      ? last
      : undefined;
  }
}

/** The node that looks token ids up in a table of weights. */
export function tokenEmbedding(graph: OnnxGraph): NodeProto | undefined {
  return graph.nodes.find((node) => {
    if (node.opType !== 'Gather' || !graph.isWeight(node.input[0])) return false;
    let indices: string | undefined = node.input[1];
    while (indices !== undefined && indices !== 'input_ids') {
      const before: NodeProto | undefined = graph.producer(indices);
      indices = before && PASSING.has(before.opType) ? before.input[0] : undefined;
    }
    return indices === 'input_ids';
  });
}
