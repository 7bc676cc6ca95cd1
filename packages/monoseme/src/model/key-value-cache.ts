import type { OnnxModel } from './onnx-model.ts';
import { fixedSizes } from './model-inputs.ts';

/** An output of keys or values, and the input that takes it when the text goes on. */
export interface CachePair {
  readonly past: string;
  readonly present: string;
}

/**
 * The caches of a model that reads texts piece by piece, as Optimum and ONNX Runtime name them: `past_key_values.0.key` and
 * `present.0.key`, `past_0` and `present_0`.
 *
 * Undefined where pieces might not give what the whole text does: an input without its output; a sequence of a fixed
 * length; inputs that somebody gave (they may say whether there is a cache); dynamic quantisation, whose scales follow from
 * all that is read at once.
 */
export function cachePairs(model: OnnxModel): readonly CachePair[] | undefined {
  const { inputs, graph } = model;
  const outputs = new Map(graph.graph.output.map(({ name }) => [placeOf(name), name]));
  const past = inputs.filter(({ role }) => role === 'past').map(({ name }) => name);
  const pairs = past.map((name) => ({ past: name, present: outputs.get(placeOf(name)) }));
  const isCertain =
    pairs.length > 0 &&
    inputs.every(({ role }) => role !== 'constant') &&
    fixedSizes(inputs).sequence === undefined &&
    graph.nodes.every(({ opType }) => opType !== 'DynamicQuantizeLinear');
  return isCertain && pairs.every(isPair) ? pairs : undefined;
}

const isPair = (pair: { past: string; present: string | undefined }): pair is CachePair =>
  pair.present !== undefined;

/** What a cache is of: the name without its first word. */
function placeOf(name: string): string | undefined {
  return /^(?:past_key_values|present_key_values|past|present)[._]?(.*)$/.exec(name)?.[1];
}
