import { MonosemeError } from '../errors.ts';
import { decodeFloats } from '../tensor/index.ts';
import type { SafetensorsDtype } from './safetensors-header.ts';

/** An array's bytes as they lie in a file: little-endian, row-major. */
export interface RawTensor {
  dtype: SafetensorsDtype;
  shape: number[];
  bytes: Uint8Array<ArrayBuffer>;
}

/** F32, F16, BF16 or F64 elements as f32, rounded to nearest. @throws {MonosemeError} ERR_FORMAT for other types */
export function toFloats({ dtype, bytes }: RawTensor, what: string): Float32Array<ArrayBuffer> {
  if (dtype === 'F64')
    return Float32Array.from(new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8));
  if (dtype === 'F32' || dtype === 'F16' || dtype === 'BF16')
    return decodeFloats(bytes, dtype) as Float32Array<ArrayBuffer>;
  throw new MonosemeError('ERR_FORMAT', `${what} holds ${dtype}, not floating-point numbers.`, '');
}

const WHOLE: Partial<Record<SafetensorsDtype, (bytes: Uint8Array<ArrayBuffer>) => ArrayLike<number>>> = {
  BOOL: (bytes) => bytes,
  U8: (bytes) => bytes,
  I8: ({ buffer }) => new Int8Array(buffer),
  I16: ({ buffer }) => new Int16Array(buffer),
  U16: ({ buffer }) => new Uint16Array(buffer),
  I32: ({ buffer }) => new Int32Array(buffer),
  U32: ({ buffer }) => new Uint32Array(buffer),
  I64: ({ buffer }) => Float64Array.from(new BigInt64Array(buffer), Number),
  U64: ({ buffer }) => Float64Array.from(new BigUint64Array(buffer), Number),
};

/** Elements of any type as numbers; whole ones beyond 2^53 are rounded. @throws {MonosemeError} ERR_FORMAT */
export function toNumbers(tensor: RawTensor, what: string): ArrayLike<number> {
  const { dtype, bytes } = tensor;
  const whole = WHOLE[dtype];
  if (!whole) return toFloats(tensor, what);
  return whole(bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice());
}

const READERS: Partial<Record<SafetensorsDtype, (view: DataView) => number>> = {
  BOOL: (view) => view.getUint8(0),
  U8: (view) => view.getUint8(0),
  I8: (view) => view.getInt8(0),
  I16: (view) => view.getInt16(0, true),
  I32: (view) => view.getInt32(0, true),
  I64: (view) => Number(view.getBigInt64(0, true)),
  F64: (view) => view.getFloat64(0, true),
};

/** The one element of an array. @throws {MonosemeError} ERR_FORMAT when it has another number of them */
export function toNumber(tensor: RawTensor, what: string): number {
  const { dtype, shape, bytes } = tensor;
  if (shape.some((size) => size !== 1))
    throw new MonosemeError('ERR_FORMAT', `${what} has the shape [${shape}], expected one number.`, '');
  const read = READERS[dtype];
  return read ? read(new DataView(bytes.buffer, bytes.byteOffset)) : toFloats(tensor, what)[0];
}

/** @throws {MonosemeError} ERR_FORMAT naming both shapes when they differ */
export function expectSameShape(what: string, shape: readonly number[], expected: readonly number[]): void {
  if (shape.length === expected.length && shape.every((size, i) => size === expected[i])) return;
  throw new MonosemeError(
    'ERR_FORMAT',
    `${what} has the shape [${shape}], expected [${expected}].`,
    'Check that the file belongs to these settings.',
  );
}
