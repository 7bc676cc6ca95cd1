import ort from 'onnxruntime-node';
import type { Feed } from './model-inputs.ts';
import type { FloatTensor } from './worker-messages.ts';

/** Between the runtime's tensors and plain arrays. */

export function toTensors(feeds: Record<string, Feed>): Record<string, ort.Tensor> {
  const tensors: Record<string, ort.Tensor> = {};
  for (const [name, { type, data, dims }] of Object.entries(feeds))
    tensors[name] = new ort.Tensor(type as 'float32', data as Float32Array, dims);
  return tensors;
}

export function int64Tensor(values: ArrayLike<number>): ort.Tensor {
  return new ort.Tensor('int64', BigInt64Array.from(Array.from(values, BigInt)), [values.length]);
}

/** The next token of every position but the last, int64 [contexts, contextSize − 1, 1]. */
export function targetTensor(tokens: Uint32Array, contextSize: number): ort.Tensor {
  const nContexts = tokens.length / contextSize;
  const targets = new BigInt64Array(nContexts * (contextSize - 1));
  const low = new Int32Array(targets.buffer);
  let at = 0;
  for (let context = 0; context < nContexts; context++) {
    for (let i = 1; i < contextSize; i++, at += 2) low[at] = tokens[context * contextSize + i];
  }
  return new ort.Tensor('int64', targets, [nContexts, contextSize - 1, 1]);
}

/** Outputs as copies that can leave this thread. */
export function floatTensors(outputs: Record<string, ort.Tensor>): Record<string, FloatTensor> {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, tensor]) => [
      name,
      { values: floats(tensor).slice(), dims: [...tensor.dims] },
    ]),
  );
}

export const floats = (tensor: ort.Tensor): Float32Array => tensor.data as Float32Array;

/** Bits of f16 elements, as which some versions of Node have a type of their own. */
export function halves({ data }: ort.Tensor): Uint16Array {
  const { buffer, byteOffset, length } = data as Uint16Array;
  return new Uint16Array(buffer, byteOffset, length);
}

/** One after the other. */
export function joined(parts: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const out = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}
