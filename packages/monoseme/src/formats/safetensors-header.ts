import { MonosemeError } from '../errors.ts';
import { parseJson } from './json.ts';
import { LIMITS } from './limits.ts';

/** Bytes of one element, by safetensors name. */
export const ELEMENT_BYTES = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  I64: 8,
  U64: 8,
  F64: 8,
} as const;

export type SafetensorsDtype = keyof typeof ELEMENT_BYTES;

/** Where a tensor lies: `begin` and `end` count from the first byte after the header. */
export interface TensorEntry {
  dtype: SafetensorsDtype;
  shape: number[];
  begin: number;
  end: number;
}

export interface SafetensorsHeader {
  tensors: Map<string, TensorEntry>;
  metadata: Record<string, string>;
}

/**
 * Parse and check the header of a safetensors file.
 *
 * Every tensor's bytes must be what dtype and shape need, and together they must fill the rest of the file
 * exactly: no overlap, no hole, nothing behind the end. So the header's numbers may be trusted afterwards.
 *
 * @param bytes the JSON, without the 8 length bytes
 * @param dataBytes how many bytes of the file follow the header
 * @throws {MonosemeError} ERR_FORMAT
 */
export function parseHeader(bytes: Uint8Array, dataBytes: number, path: string): SafetensorsHeader {
  const fail = (reason: string) => malformed(path, reason);
  if (bytes[0] !== 0x7b) throw fail('its header does not start with "{"');
  const json = parseJson(bytes, `The header of ${path}`) as Record<string, unknown>;
  const tensors = new Map<string, TensorEntry>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(json)) {
    if (name === '__metadata__') metadata = checkMetadata(value, fail);
    else tensors.set(name, checkEntry(name, value, fail));
  }
  return { tensors: checkLayout(tensors, dataBytes, fail), metadata };
}

/** @returns the error for a safetensors file that does not follow the format. */
export function malformed(path: string, reason: string): MonosemeError {
  return new MonosemeError(
    'ERR_FORMAT',
    `${path} is not a valid safetensors file: ${reason}.`,
    'It may be cut off or damaged: copy or make it again.',
  );
}

type Fail = (reason: string) => MonosemeError;

function checkMetadata(value: unknown, fail: Fail): Record<string, string> {
  if (!isObject(value) || Object.values(value).some((text) => typeof text !== 'string'))
    throw fail('its __metadata__ is not a table of strings');
  return Object.assign(Object.create(null), value);
}

function checkEntry(name: string, value: unknown, fail: Fail): TensorEntry {
  const tensor = `tensor "${name.slice(0, 80)}"`;
  if (!isObject(value)) throw fail(`${tensor} has no description`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(ELEMENT_BYTES, dtype))
    throw fail(`${tensor} has the unknown dtype ${JSON.stringify(dtype)?.slice(0, 40)}`);
  if (!Array.isArray(shape) || shape.length > LIMITS.tensorRank || !shape.every(isSize))
    throw fail(`the shape of ${tensor} is not a list of at most ${LIMITS.tensorRank} whole numbers`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize) || offsets[0] > offsets[1])
    throw fail(`the data_offsets of ${tensor} are not two rising whole numbers`);
  const [begin, end] = offsets;
  const needed = byteLength(dtype as SafetensorsDtype, shape);
  if (needed !== end - begin)
    throw fail(`${tensor} (${dtype} [${shape}]) needs ${needed} bytes, but its offsets hold ${end - begin}`);
  return { dtype: dtype as SafetensorsDtype, shape, begin, end };
}

/** Bytes of a tensor; Infinity where the product is no longer exact, which no real file can match. */
export function byteLength(dtype: SafetensorsDtype, shape: readonly number[]): number {
  if (shape.includes(0)) return 0;
  let bytes: number = ELEMENT_BYTES[dtype];
  for (const size of shape) {
    bytes *= size;
    if (bytes > Number.MAX_SAFE_INTEGER) return Infinity;
  }
  return bytes;
}

/** @returns the tensors in the order in which their data lie */
function checkLayout(
  tensors: Map<string, TensorEntry>,
  dataBytes: number,
  fail: Fail,
): Map<string, TensorEntry> {
  const inOrder = [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  const beyond = inOrder.find(([, entry]) => entry.end > dataBytes);
  if (beyond)
    throw fail(
      `tensor "${beyond[0].slice(0, 80)}" reaches to byte ${beyond[1].end}, but ${dataBytes} follow the header`,
    );
  let end = 0;
  for (const [name, entry] of inOrder) {
    if (entry.begin !== end) {
      const how = entry.begin < end ? 'overlaps the tensor before it' : 'leaves a hole before it';
      throw fail(`tensor "${name.slice(0, 80)}" ${how} (byte ${entry.begin}, expected ${end})`);
    }
    end = entry.end;
  }
  if (end !== dataBytes) throw fail(`its tensors take ${end} bytes, but ${dataBytes} follow the header`);
  return new Map(inOrder);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
