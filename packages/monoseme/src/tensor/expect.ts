import { MonosemeError } from '../errors.ts';

/** @throws {MonosemeError} ERR_SHAPE when the array does not have as many elements as its shape says. */
export function expectLength(name: string, array: { length: number }, ...shape: number[]): void {
  const expected = shape.reduce((product, n) => product * n, 1);
  if (array.length === expected) return;
  throw new MonosemeError(
    'ERR_SHAPE',
    `${name} has ${array.length} elements, but [${shape.join(', ')}] holds ${expected}.`,
    'Pass an array of that shape, row-major.',
  );
}

/** @throws {MonosemeError} ERR_OPTION when the value is not a whole number of at least 1. */
export function expectPositiveInteger(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 1) return;
  throw new MonosemeError('ERR_OPTION', `${name} is ${value}.`, 'It takes a whole number of at least 1.');
}

/**
 * Whether there is no NaN and no infinity: then alone is the sum finite, since numbers of f32 are far too small for that of f64
 * to overflow. Four sums, because one would wait for itself.
 */
export function allFinite(values: Float32Array): boolean {
  const fours = values.length - (values.length % 4);
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let i = 0; i < fours; i += 4) {
    a += values[i];
    b += values[i + 1];
    c += values[i + 2];
    d += values[i + 3];
  }
  for (let i = fours; i < values.length; i++) a += values[i];
  return Number.isFinite(a + b + c + d);
}

/** @throws {MonosemeError} ERR_NOT_FINITE naming the first NaN or infinity and its place. */
export function expectFinite(name: string, array: Float32Array): void {
  if (allFinite(array)) return;
  const index = array.findIndex((value) => !Number.isFinite(value));
  throw new MonosemeError(
    'ERR_NOT_FINITE',
    `${name} holds ${array[index]} at element ${index}.`,
    'Look for the cause where the data was made (overflow in fp16 is the usual one).',
  );
}
