import type { FileHandle } from 'node:fs/promises';
import { MonosemeError } from '../errors.ts';
import { encodeFloats } from '../tensor/index.ts';
import { atomicWrite, writeAll } from './atomic-write.ts';
import { byteLength, ELEMENT_BYTES } from './safetensors-header.ts';
import type { SafetensorsDtype } from './safetensors-header.ts';

type NumberArray =
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array
  | BigInt64Array
  | BigUint64Array;

/**
 * What to write under a name. f32 data for F16 and BF16 are rounded to the dtype (nearest, ties to even); in
 * every other case the array's own bytes are written, so it must be of that element type. Data may come in
 * pieces, one after the other, so that a large tensor is never whole in memory.
 */
export interface TensorToWrite {
  dtype: SafetensorsDtype;
  shape: readonly number[];
  data: NumberArray | AsyncIterable<NumberArray> | Iterable<NumberArray>;
}

/**
 * Write a safetensors file, atomically.
 *
 * The same tensors give the same bytes: largest elements first, then by name (so that every tensor is
 * aligned), the header padded with spaces to a multiple of 8.
 *
 * @throws {MonosemeError} ERR_SHAPE when the data do not fill the shape; ERR_DISK_FULL, ERR_FILE
 */
export async function writeSafetensors(
  path: string,
  tensors: Record<string, TensorToWrite>,
  metadata: Record<string, string> = {},
): Promise<void> {
  const ordered = Object.entries(tensors).sort(
    ([a, x], [b, y]) => ELEMENT_BYTES[y.dtype] - ELEMENT_BYTES[x.dtype] || (a < b ? -1 : 1),
  );
  const header = encodeHeader(ordered, metadata);
  await atomicWrite(path, async (file) => {
    await writeAll(file, header);
    for (const [name, tensor] of ordered) await writeTensor(file, name, tensor);
  });
}

function encodeHeader(tensors: [string, TensorToWrite][], metadata: Record<string, string>): Uint8Array {
  const entries: [string, unknown][] = [];
  const metadataEntries = Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1));
  if (metadataEntries.length > 0) entries.push(['__metadata__', Object.fromEntries(metadataEntries)]);
  let offset = 0;
  for (const [name, { dtype, shape }] of tensors) {
    const end = offset + byteLength(dtype, shape);
    entries.push([name, { dtype, shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  // Entry by entry: an object would reorder names that look like numbers.
  const fields = entries.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  const json = new TextEncoder().encode(`{${fields.join(',')}}`);
  const padded = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(padded.buffer).setBigUint64(0, BigInt(padded.length - 8), true);
  padded.set(json, 8);
  return padded;
}

async function writeTensor(file: FileHandle, name: string, tensor: TensorToWrite): Promise<void> {
  const { dtype, shape, data } = tensor;
  const expected = byteLength(dtype, shape);
  let written = 0;
  for await (const piece of ArrayBuffer.isView(data) ? [data] : data) {
    for (const bytes of encode(piece, dtype)) {
      written += bytes.byteLength;
      if (written > expected) throw wrongLength(name, tensor, written);
      await writeAll(file, bytes);
    }
  }
  if (written !== expected) throw wrongLength(name, tensor, written);
}

/**
 * Bytes of an array, converted a megabyte at a time so that conversion needs no second copy of a large array.
 */
function* encode(piece: NumberArray, dtype: SafetensorsDtype): Iterable<Uint8Array> {
  if ((dtype === 'F16' || dtype === 'BF16') && piece instanceof Float32Array) {
    const step = 2 ** 18;
    for (let i = 0; i < piece.length; i += step) yield encodeFloats(piece.subarray(i, i + step), dtype);
  } else {
    yield new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength);
  }
}

function wrongLength(name: string, { dtype, shape }: TensorToWrite, bytes: number): MonosemeError {
  return new MonosemeError(
    'ERR_SHAPE',
    `The data of "${name}" have ${bytes} bytes, but ${dtype} [${shape.join(', ')}] takes ${byteLength(dtype, shape)}.`,
    'Pass data of that shape, row-major.',
  );
}
