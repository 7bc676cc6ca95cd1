import type { KernelBackend } from './contract.ts';

/**
 * Work on a backend whose results pass with it: their memory is given back when the work is done, so none of them may be
 * part of what it returns. After an error they are left to be collected: calls begun beside the one that failed may
 * still read them.
 */
export async function withPassingResults<T>(
  backend: KernelBackend,
  work: (backend: KernelBackend) => Promise<T>,
): Promise<T> {
  const passing: ArrayBufferView[] = [];
  const noted =
    <I extends object, O extends object>(call: (input: I) => Promise<O>) =>
    async (input: I): Promise<O> => {
      const result = await call(input);
      // An array that the caller passed to be filled stays the caller's.
      const given: unknown[] = Object.values(input);
      passing.push(...arraysOf(result).filter((array) => !given.includes(array)));
      return result;
    };
  const result = await work({
    ...backend,
    encode: noted(backend.encode),
    decode: noted(backend.decode),
    sampledProducts: noted(backend.sampledProducts),
    residuals: noted(backend.residuals),
    nestedResiduals: noted(backend.nestedResiduals),
    product: noted(backend.product),
    transpose: noted(backend.transpose),
  });
  backend.release(passing);
  return result;
}

function arraysOf(result: object): ArrayBufferView[] {
  return ArrayBuffer.isView(result)
    ? [result]
    : Object.values(result).filter((value) => ArrayBuffer.isView(value));
}
