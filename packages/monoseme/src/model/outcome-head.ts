import { create } from '@bufbuild/protobuf';
import { type NodeProto, type TensorProto, TensorProtoSchema } from 'onnx-buf';
import { cast, type Head, node, valueInfo } from './cut.ts';
import { ELEMENT, type OnnxGraph } from './onnx-graph.ts';
import { int64, type Logits, requireOpset, ROWS, TARGETS } from './suffix-heads.ts';

/** Input of the head: of each context of the batch, the one that holds it as it is, int64 [batch]. */
export const ORIGINALS = 'monoseme.originals';
/** Input: the rows to compare them with, int64 [rows]. */
export const ORIGINAL_ROWS = 'monoseme.original_rows';
/** Input: how many tokens are listed, int64 [1]. */
export const TOP = 'monoseme.top';

/**
 * Outputs of the head: log-probabilities of the targets, f32 [batch, sequence − 1, 1]; divergences, f32 [batch,
 * sequence, 1]; agreements, bool [batch, sequence]; tokens, int64 [rows, top], and their changes, f32 [rows, top].
 */
export const OUTCOME = {
  logProbs: 'monoseme.outcome.log_probs',
  divergences: 'monoseme.outcome.divergences',
  agreements: 'monoseme.outcome.agreements',
  raised: 'monoseme.outcome.raised',
  raisedBy: 'monoseme.outcome.raised_by',
  lowered: 'monoseme.outcome.lowered',
  loweredBy: 'monoseme.outcome.lowered_by',
} as const;

/**
 * What edits do to the next-token distributions, within one batch that holds the contexts as they are beside
 * their edited versions: logits never leave the runtime.
 *
 *   p = softmax(logits),  KL = Σ_v p_original[v] (log p_original[v] − log p[v]),
 *   agreement = [argmax p = argmax p_original], ties to the lower token,
 *   change of a token = log p[v] − log p_original[v], the `top` largest and smallest of a row
 */
export function outcomeHead(graph: OnnxGraph, logits: Logits): Head {
  requireOpset(graph);
  const name = (part: string) => `monoseme.outcome.part.${part}`;
  const logProbs = name('log_softmax');
  return {
    nodes: [
      cast(logits.name, name('logits'), ELEMENT.float),
      node('LogSoftmax', [name('logits')], logProbs, { axis: 2 }),
      node('Slice', [logProbs, ...['starts', 'ends', 'axes'].map(name)], name('predicting')),
      node('GatherElements', [name('predicting'), TARGETS], OUTCOME.logProbs, { axis: 2 }),
      node('Gather', [logProbs, ORIGINALS], name('original'), { axis: 0 }),
      node('Exp', [name('original')], name('probabilities')),
      node('Sub', [name('original'), logProbs], name('surprise')),
      node('Mul', [name('probabilities'), name('surprise')], name('products')),
      node('MatMul', [name('products'), name('ones')], OUTCOME.divergences),
      node('ArgMax', [logProbs], name('best'), { axis: 2, keepdims: 0 }),
      node('Gather', [name('best'), ORIGINALS], name('original_best'), { axis: 0 }),
      node('Equal', [name('best'), name('original_best')], OUTCOME.agreements),
      ...tokenChanges(logProbs, name),
    ],
    initializers: [
      int64(name('starts'), [0]),
      int64(name('ends'), [-1]),
      int64(name('axes'), [1]),
      int64(name('flat'), [-1, logits.vocabSize]),
      ones(name('ones'), logits.vocabSize),
    ],
    inputs: [
      valueInfo(TARGETS, { type: 'int64', shape: ['batch', 'sequence', 1] }),
      valueInfo(ORIGINALS, { type: 'int64', shape: ['batch'] }),
      valueInfo(ROWS, { type: 'int64', shape: ['?'] }),
      valueInfo(ORIGINAL_ROWS, { type: 'int64', shape: ['?'] }),
      valueInfo(TOP, { type: 'int64', shape: [1] }),
    ],
    outputs: Object.values(OUTCOME),
  };
}

/** The tokens whose log-probability rose or fell most, in the chosen rows. */
function tokenChanges(logProbs: string, name: (part: string) => string): NodeProto[] {
  const topK = (largest: number, outputs: string[]) =>
    node('TopK', [name('changes'), TOP], outputs, { axis: 1, largest, sorted: 1 });
  return [
    node('Reshape', [logProbs, name('flat')], name('rows')),
    node('Gather', [name('rows'), ROWS], name('edited_rows'), { axis: 0 }),
    node('Gather', [name('rows'), ORIGINAL_ROWS], name('original_rows'), { axis: 0 }),
    node('Sub', [name('edited_rows'), name('original_rows')], name('changes')),
    topK(1, [OUTCOME.raisedBy, OUTCOME.raised]),
    topK(0, [OUTCOME.loweredBy, OUTCOME.lowered]),
  ];
}

/** A column of ones, f32 [n, 1]: a product with it is a sum, in every operator set. */
export function ones(name: string, n: number): TensorProto {
  const rawData = new Uint8Array(new Float32Array(n).fill(1).buffer);
  return create(TensorProtoSchema, { name, dataType: ELEMENT.float, dims: [BigInt(n), 1n], rawData });
}
