import { dirname, join } from 'node:path';
import { type TensorProto, TensorProto_DataLocation } from 'onnx-buf';
import { ELEMENT, notAModel } from './onnx-graph.ts';

/** Bytes of an entry by element type, of the types that weights have, quantised ones included. */
const ENTRY_BYTES: ReadonlyMap<number, number> = new Map([
  [ELEMENT.float, 4],
  [ELEMENT.uint8, 1],
  [ELEMENT.int8, 1],
  [ELEMENT.float16, 2],
  [ELEMENT.double, 8],
  [ELEMENT.bfloat16, 2],
]);

/** Bytes of one entry of a weight; undefined for other element types. */
export const entryBytes = ({ dataType }: TensorProto): number | undefined => ENTRY_BYTES.get(dataType);

export const nEntries = ({ dims }: TensorProto): number => dims.reduce((all, size) => all * Number(size), 1);

export const isExternal = ({ dataLocation }: TensorProto): boolean =>
  dataLocation === TensorProto_DataLocation.EXTERNAL;

/** Where an external tensor's bytes lie. @throws {MonosemeError} ERR_MODEL for an entry that is no number */
export function externalPlace(
  tensor: TensorProto,
  onnx: string,
): { path: string; offset: number; length: number } {
  const entry = (wanted: string) => tensor.externalData.find(({ key }) => key === wanted)?.value;
  const length = nEntries(tensor) * entryBytes(tensor)!;
  const offset = Number(entry('offset') ?? 0);
  const declared = Number(entry('length') ?? length);
  if (!Number.isSafeInteger(offset) || offset < 0 || declared !== length)
    throw notAModel(onnx, `the place of ${tensor.name.slice(0, 80)} in its data file makes no sense`);
  return { path: join(dirname(onnx), entry('location') ?? ''), offset, length };
}

/**
 * The bytes of a tensor that is kept in the graph itself, little-endian, as a copy.
 *
 * @throws {MonosemeError} ERR_MODEL when they are not as many as the dimensions say
 */
export function rawBytes(tensor: TensorProto, onnx: string): Uint8Array<ArrayBuffer> {
  const { rawData, floatData, doubleData, int32Data, dataType } = tensor;
  let bytes = rawData.slice();
  if (rawData.length === 0 && dataType === ELEMENT.float) bytes = bytesOf(Float32Array.from(floatData));
  else if (rawData.length === 0 && dataType === ELEMENT.double)
    bytes = bytesOf(Float64Array.from(doubleData));
  else if (rawData.length === 0 && entryBytes(tensor) === 2) bytes = bytesOf(Uint16Array.from(int32Data));
  else if (rawData.length === 0) bytes = Uint8Array.from(int32Data);
  if (bytes.length === nEntries(tensor) * entryBytes(tensor)!) return bytes;
  throw notAModel(
    onnx,
    `${tensor.name.slice(0, 80)} has ${bytes.length} bytes, not as many as its dimensions say`,
  );
}

/** Put bytes into a tensor in place of what it held. */
export function setRawBytes(tensor: TensorProto, bytes: Uint8Array): void {
  Object.assign(tensor, { rawData: bytes, floatData: [], doubleData: [], int32Data: [] });
}

const bytesOf = ({ buffer }: { buffer: ArrayBuffer }): Uint8Array<ArrayBuffer> => new Uint8Array(buffer);
