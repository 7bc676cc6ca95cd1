import ort from 'onnxruntime-node';
import { ACTIVATIONS, editedInput } from './cut.ts';
import { ROWS } from './suffix-heads.ts';
import type { Handlers } from './worker-messages.ts';
import { native, sessions } from './worker-sessions.ts';
import { floatTensors, int64Tensor, toTensors } from './worker-tensors.ts';

/** A batch on its way through the parts of a model. */
interface Pass {
  /** The model's inputs, what the parts so far gave, and edited activations by the name of their input. */
  tensors: Record<string, ort.Tensor>;
  /** Sizes of the activations that the last part gave. */
  dims: readonly number[];
}

const passes = new Map<number, Pass>();
/** Keys and values of texts, by the names of the inputs that take them. */
const caches = new Map<number, Record<string, ort.Tensor>>();
let nextPass = 0;

/** Batches that go through the parts of a model cut at several tensors. */
export const passHandlers: Handlers<'openPass' | 'nextPart' | 'keepCache' | 'dropCache' | 'closePass'> = {
  async openPass({ feeds, cache }) {
    const past = cache === undefined ? undefined : caches.get(cache);
    passes.set(nextPass, { tensors: { ...toTensors(feeds), ...past }, dims: [] });
    return nextPass++;
  },

  async nextPart({ pass: number, part, edited, rows }) {
    const pass = passes.get(number)!;
    const { tensors } = pass;
    if (edited) tensors[editedInput(edited.hook)] = new ort.Tensor('float32', edited.values, pass.dims);
    if (rows) tensors[ROWS] = int64Tensor(rows);
    const { session, spec } = sessions.get(part)!;
    const fed = session.inputNames.map((name) => [name, tensors[name]]);
    const outputs = await native(() => session.run(Object.fromEntries(fed)));
    const found: Record<string, ort.Tensor> = {};
    for (const [name, tensor] of Object.entries(outputs))
      (spec.gives.includes(name) ? tensors : found)[name] = tensor;
    pass.dims = found[ACTIVATIONS]?.dims ?? [];
    return floatTensors(found);
  },

  async keepCache({ pass, cache, pairs, grownBy }) {
    const { tensors } = passes.get(pass)!;
    const grown = pairs.every(({ past, present }) =>
      hasGrown(tensors[past].dims, tensors[present].dims, grownBy),
    );
    if (grown)
      caches.set(cache, Object.fromEntries(pairs.map(({ past, present }) => [past, tensors[present]])));
    return grown;
  },

  async dropCache({ cache }) {
    caches.delete(cache);
  },

  async closePass({ pass }) {
    passes.delete(pass);
  },
};

/** Whether one axis is longer by some places, and the others are as they were. */
function hasGrown(before: readonly number[], after: readonly number[], by: number): boolean {
  const changes = after.map((size, axis) => size - before[axis]).filter((change) => change !== 0);
  return before.length === after.length && changes.length === 1 && changes[0] === by;
}
