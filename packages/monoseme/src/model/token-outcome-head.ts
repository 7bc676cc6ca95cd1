import type { NodeProto } from 'onnx-buf';
import { cast, type Head, node, valueInfo } from './cut.ts';
import { ELEMENT, type OnnxGraph } from './onnx-graph.ts';
import { ones, ORIGINAL_ROWS, TOP } from './outcome-head.ts';
import { int64, type Logits, requireOpset, ROWS, TARGETS } from './suffix-heads.ts';

/** Outputs of the head: f32 [edits, 1]; tokens, int64 [edits, top], and their changes, f32 [edits, top]. */
export const TOKEN_OUTCOME = {
  targetChanges: 'monoseme.token_outcome.target_changes',
  divergences: 'monoseme.token_outcome.divergences',
  raised: 'monoseme.token_outcome.raised',
  raisedBy: 'monoseme.token_outcome.raised_by',
  lowered: 'monoseme.token_outcome.lowered',
  loweredBy: 'monoseme.token_outcome.lowered_by',
} as const;

/**
 * What edits of single tokens do to the prediction at those tokens, where nothing behind the hook mixes tokens: the
 * batch holds tokens as they are and edited ones, each a sequence of its own.
 *
 *   change = log p_edited − log p_original;  the target's change, KL(original ‖ edited), and the changes of the tokens
 *   whose probability p_edited − p_original rises and falls most: by the logarithm alone, tokens that are never said
 *   would come first
 */
export function tokenOutcomeHead(graph: OnnxGraph, logits: Logits): Head {
  requireOpset(graph);
  const name = (part: string) => `monoseme.token_outcome.part.${part}`;
  const { targetChanges, divergences, raised, raisedBy, lowered, loweredBy } = TOKEN_OUTCOME;
  return {
    nodes: [
      cast(logits.name, name('logits'), ELEMENT.float),
      node('LogSoftmax', [name('logits')], name('log_softmax'), { axis: 2 }),
      node('Reshape', [name('log_softmax'), name('flat')], name('rows')),
      node('Gather', [name('rows'), ROWS], name('edited_rows'), { axis: 0 }),
      node('Gather', [name('rows'), ORIGINAL_ROWS], name('original_rows'), { axis: 0 }),
      node('Sub', [name('edited_rows'), name('original_rows')], name('changes')),
      node('GatherElements', [name('changes'), TARGETS], targetChanges, { axis: 1 }),
      node('Exp', [name('original_rows')], name('probabilities')),
      node('Mul', [name('probabilities'), name('changes')], name('products')),
      node('MatMul', [name('products'), name('ones')], name('negative_divergences')),
      node('Neg', [name('negative_divergences')], divergences),
      node('Exp', [name('edited_rows')], name('edited_probabilities')),
      node('Sub', [name('edited_probabilities'), name('probabilities')], name('moved')),
      ...mostMoved(name, 1, raised, raisedBy),
      ...mostMoved(name, 0, lowered, loweredBy),
    ],
    initializers: [int64(name('flat'), [-1, logits.vocabSize]), ones(name('ones'), logits.vocabSize)],
    inputs: [
      valueInfo(TARGETS, { type: 'int64', shape: ['?', 1] }),
      valueInfo(ROWS, { type: 'int64', shape: ['?'] }),
      valueInfo(ORIGINAL_ROWS, { type: 'int64', shape: ['?'] }),
      valueInfo(TOP, { type: 'int64', shape: [1] }),
    ],
    outputs: Object.values(TOKEN_OUTCOME),
  };
}

/** Tokens whose probability moves most in one direction, and the change of their log-probability. */
function mostMoved(
  name: (part: string) => string,
  largest: 0 | 1,
  tokens: string,
  changes: string,
): NodeProto[] {
  const probability = name(`probability_${largest}`);
  return [
    node('TopK', [name('moved'), TOP], [probability, tokens], { axis: 1, largest, sorted: 1 }),
    node('GatherElements', [name('changes'), tokens], changes, { axis: 1 }),
  ];
}
