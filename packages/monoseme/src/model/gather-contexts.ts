import ort from 'onnxruntime-node';
import type { Axis } from './tensor-shapes.ts';

/** Whether it is known which elements of a tensor belong to which context of the batch. */
export function isPerContext(shape: readonly Axis[]): boolean {
  return shape.every((axis, i) => {
    if (typeof axis === 'number' || axis === 'batch' || axis === 'sequence') return true;
    return axis === 'batch*sequence' && i === 0;
  });
}

/**
 * Rows of a tensor for other contexts: entry i along the axis of the batch is the old entry `contexts[i]`. A
 * tensor without such an axis is the same for all contexts and stays.
 *
 * @param shape the tensor's axes, see {@link isPerContext}
 */
export function gatherContexts(
  tensor: ort.Tensor,
  shape: readonly Axis[],
  sequence: number,
  contexts: Uint32Array,
): ort.Tensor {
  const joined = shape[0] === 'batch*sequence';
  const axis = joined ? 0 : shape.indexOf('batch');
  if (axis < 0) return tensor;
  const dims = [...tensor.dims];
  const outer = product(dims.slice(0, axis));
  const inner = product(dims.slice(axis + 1)) * (joined ? sequence : 1);
  const before = joined ? dims[0] / sequence : dims[axis];
  const source = tensor.data as Float32Array;
  const Data = source.constructor as typeof Float32Array;
  const data = new Data(outer * contexts.length * inner);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < contexts.length; i++) {
      const from = (o * before + contexts[i]) * inner;
      data.set(source.subarray(from, from + inner), (o * contexts.length + i) * inner);
    }
  }
  dims[axis] = contexts.length * (joined ? sequence : 1);
  return new ort.Tensor(tensor.type as 'float32', data, dims);
}

/** Tokens of other contexts, [contexts.length, sequence]. */
export function gatherTokens(tokens: Uint32Array, sequence: number, contexts: Uint32Array): Uint32Array {
  const gathered = new Uint32Array(contexts.length * sequence);
  contexts.forEach((context, i) =>
    gathered.set(tokens.subarray(context * sequence, (context + 1) * sequence), i * sequence),
  );
  return gathered;
}

const product = (sizes: readonly number[]): number => sizes.reduce((all, size) => all * size, 1);

/** Rows of a tensor that has one entry a token, each as a context of one token. */
export function gatherTokenRows(tensor: ort.Tensor, shape: readonly Axis[], rows: Uint32Array): ort.Tensor {
  const joined = shape[0] === 'batch*sequence';
  if (!joined && shape[0] !== 'batch') return tensor;
  const rest = tensor.dims.slice(joined ? 1 : 2);
  const flat = tensor.reshape([tensor.data.length / product(rest), ...rest]);
  const gathered = gatherContexts(flat, ['batch*sequence'], 1, rows);
  return joined ? gathered : gathered.reshape([rows.length, 1, ...rest]);
}

/** Tokens in pieces of `perRun` contexts. */
export function* runsOf(tokens: Uint32Array, contextSize: number, perRun: number): Generator<Uint32Array> {
  const step = perRun * contextSize;
  for (let start = 0; start < tokens.length; start += step) yield tokens.subarray(start, start + step);
}
