import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { isNotFound, MonosemeError } from '../errors.ts';
import { type RawTensor, readSafetensors, writeSafetensors } from '../formats/index.ts';
import type { SafetensorsFile, TensorToWrite } from '../formats/index.ts';
import { decodeRows, type EncodedRows, type StoreDtype } from './encoding.ts';
import { cutPieces, isChunk, type ShardSums, ShardSummer } from './shard-sums.ts';
import type { RowOrigins, SourceRows } from './source.ts';
import { planHash, shardFile, type StorePlan } from './store-plan.ts';

/** A shard of a finished store. */
export interface StoreShard extends Partial<ShardSums> {
  /** Its file, in the store's folder. */
  readonly file: string;
  readonly rows: number;
  /** Of its tensors in the order of {@link TENSORS}. */
  readonly sha256: string;
  /** Names of its tensors where they are not those that a harvest gives; absent ones are not there. */
  readonly tensors?: Readonly<Record<string, string>>;
}

/** A shard of an open store. */
export interface OpenShard extends StoreShard {
  /** Rows of the shards before it. */
  readonly firstRow: number;
}

/** What a shard holds: activations [rows, d_in] (or any shape of as many elements), the others one entry a row. */
export const TENSORS = ['activations', 'scales', 'token_ids', 'positions', 'documents'] as const;
type TensorName = (typeof TENSORS)[number];

/** Rows of a shard before they are written, in pieces that follow each other, and where they are from. */
export interface ShardRows {
  rows: number;
  pieces: EncodedRows[];
  origins: RowOrigins[];
}

/** Write a shard, atomically; its metadata say which plan it belongs to and the SHA-256 of its tensors. */
export async function writeShard(
  folder: string,
  plan: StorePlan,
  shard: number,
  { rows, pieces, origins }: ShardRows,
): Promise<StoreShard> {
  const column = (name: keyof RowOrigins): TensorToWrite | undefined =>
    origins.every((origin) => origin[name])
      ? { dtype: 'I32', shape: [rows], data: joined(origins.map((origin) => origin[name]!)) }
      : undefined;
  const scales = pieces.flatMap((piece) => piece.scales ?? []);
  const all: Record<TensorName, TensorToWrite | undefined> = {
    activations: { dtype: plan.dtype, shape: [rows, plan.dIn], data: joined(pieces.map(({ data }) => data)) },
    scales: plan.dtype === 'I8' ? { dtype: 'F32', shape: [rows], data: scales } : undefined,
    token_ids: column('tokenIds'),
    positions: column('positions'),
    documents: column('documents'),
  };
  const tensors = Object.fromEntries(Object.entries(all).filter(([, tensor]) => tensor)) as Record<
    string,
    TensorToWrite
  >;
  const file = shardFile(shard);
  const sums = new ShardSummer();
  for (const [name, { data }] of Object.entries(tensors)) {
    const pieces = (data as (Uint8Array | Float32Array)[]).map(bytesOf);
    const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
    for (const chunk of cutPieces(pieces, (bytes / rows) * plan.rowsPerChunk)) sums.add(name, chunk);
  }
  const { sha256, crc32 } = sums.end();
  const metadata = { plan: planHash(plan), shard: String(shard), sha256 };
  await writeSafetensors(join(folder, file), tensors, metadata);
  return { file, rows, sha256, ...namesUnlessAll(Object.keys(tensors)), crc32 };
}

/** The same bytes, where pieces follow each other in memory as one: each is written by a call of its own. */
function joined(pieces: readonly (Uint8Array | Uint32Array)[]): Uint8Array[] {
  const whole: Uint8Array[] = [];
  for (const { buffer, byteOffset, byteLength } of pieces) {
    const last = whole.at(-1);
    const follows = last?.buffer === buffer && last.byteOffset + last.byteLength === byteOffset;
    if (!follows) whole.push(new Uint8Array(buffer, byteOffset, byteLength));
    else whole[whole.length - 1] = new Uint8Array(buffer, last.byteOffset, last.byteLength + byteLength);
  }
  return whole;
}

/** What a shard says of its tensors where it lacks some that a harvest of tokens gives. */
function namesUnlessAll(names: readonly string[]): Pick<StoreShard, 'tensors'> {
  const lacks = ['token_ids', 'positions', 'documents'].some((name) => !names.includes(name));
  if (!lacks) return {};
  return {
    tensors: Object.fromEntries(TENSORS.filter((name) => names.includes(name)).map((name) => [name, name])),
  };
}

/**
 * Rows `from` … `to − 1` of a shard, a chunk of it, with their origins where it knows them.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FORMAT, ERR_MISMATCH, …
 */
export async function readShardRows(
  folder: string,
  plan: StorePlan,
  shard: OpenShard,
  range: readonly [number, number],
): Promise<SourceRows> {
  const file = await openShard(folder, plan, shard);
  try {
    const { bytes: data } = await readChunk(file, plan, shard, 'activations', range);
    const scales =
      plan.dtype === 'I8' ? toFloat32(await readChunk(file, plan, shard, 'scales', range)) : undefined;
    const origins = await readOriginsOf(file, plan, shard, range);
    return { activations: decodeRows({ data, scales }, plan.dIn, plan.dtype), origins };
  } finally {
    await file.close();
  }
}

/** The origins of rows alone. @throws as {@link readShardRows} */
export async function readShardOrigins(
  folder: string,
  plan: StorePlan,
  shard: OpenShard,
  range: readonly [number, number],
): Promise<RowOrigins> {
  const file = await openShard(folder, plan, shard);
  try {
    return await readOriginsOf(file, plan, shard, range);
  } finally {
    await file.close();
  }
}

/** Read a whole shard and compare it with its checksum. @throws {MonosemeError} ERR_FORMAT, ERR_MISMATCH, … */
export async function checkShard(folder: string, plan: StorePlan, shard: StoreShard): Promise<ShardSums> {
  const sums = await sumShard(folder, plan, shard);
  const isSame = sums.sha256 === shard.sha256 && isDeepStrictEqual(sums.crc32, shard.crc32 ?? sums.crc32);
  if (isSame) return sums;
  throw altered(join(folder, shard.file));
}

/** A shard with all its sums if it is there and whole, else undefined. @throws {MonosemeError} ERR_FILE */
export async function ifWhole(
  folder: string,
  plan: StorePlan,
  shard: StoreShard,
): Promise<StoreShard | undefined> {
  return unlessLost(async () => ({ ...shard, ...(await checkShard(folder, plan, shard)) }));
}

/** The same for a shard of a harvest that may not be finished, of which its own metadata tell. */
export async function wholeShard(
  folder: string,
  plan: StorePlan,
  shard: number,
): Promise<StoreShard | undefined> {
  return unlessLost(async () => {
    const file = await readSafetensors(join(folder, shardFile(shard)));
    const { metadata } = file;
    const rows = file.has('positions') ? file.info('positions').shape[0] : 0;
    const names = file.names();
    await file.close();
    if (metadata.shard !== String(shard) || metadata.plan !== planHash(plan)) return undefined;
    const found = { file: shardFile(shard), rows, sha256: metadata.sha256 };
    return ifWhole(folder, plan, { ...found, ...namesUnlessAll(names) });
  });
}

/** Undefined where an error says that a shard is not there, or not whole. */
async function unlessLost<T>(look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof MonosemeError && LOST.has(error.code)) return undefined;
    throw error;
  }
}

/** Codes of errors that say so. */
export const LOST: ReadonlySet<string> = new Set(['ERR_NOT_FOUND', 'ERR_FORMAT', 'ERR_MISMATCH']);

/** The sums of a shard, read chunk by chunk. @throws as {@link readShardRows} */
export async function sumShard(
  folder: string,
  plan: StorePlan,
  shard: Omit<StoreShard, 'sha256'>,
): Promise<ShardSums> {
  const file = await openShard(folder, plan, shard);
  const sums = new ShardSummer();
  try {
    for (const name of TENSORS) {
      if (tensorName(plan, shard, name) === undefined) continue;
      for (let from = 0; from < shard.rows; from += plan.rowsPerChunk) {
        const to = Math.min(shard.rows, from + plan.rowsPerChunk);
        sums.add(name, [(await readRows(file, plan, shard, name, from, to)).bytes]);
      }
    }
    return sums.end();
  } finally {
    await file.close();
  }
}

const REMAKE = 'Run the same harvest again, which makes only this shard anew, or import again.';

const foreign = (path: string): MonosemeError =>
  new MonosemeError('ERR_MISMATCH', `${path} does not belong to this store.`, REMAKE);

const altered = (path: string): MonosemeError =>
  new MonosemeError('ERR_FORMAT', `${path} does not hold what was written: its checksum differs.`, REMAKE);

/** Open a shard and check that it has the tensors that the store says. */
async function openShard(
  folder: string,
  plan: StorePlan,
  shard: Omit<StoreShard, 'sha256'>,
): Promise<SafetensorsFile> {
  const path = join(folder, shard.file);
  const file = await readSafetensors(path).catch((error: unknown) => {
    if (!isNotFound(error)) throw error;
    throw new MonosemeError('ERR_NOT_FOUND', `${path} is missing.`, REMAKE, { cause: error });
  });
  const fits = TENSORS.every((name) => {
    const stored = tensorName(plan, shard, name);
    if (stored === undefined) return true;
    if (!file.has(stored)) return false;
    const { dtype, shape } = file.info(stored);
    const elements = shape.reduce((product, size) => product * size, 1);
    if (name !== 'activations') return elements === shard.rows && dtype in READERS;
    return dtype === plan.dtype && elements === shard.rows * plan.dIn;
  });
  if (fits && (shard.tensors || file.metadata.plan === planHash(plan))) return file;
  await file.close();
  throw foreign(file.path);
}

function tensorName(
  plan: StorePlan,
  shard: Omit<StoreShard, 'sha256'>,
  name: TensorName,
): string | undefined {
  if (name === 'scales' && plan.dtype !== 'I8') return undefined;
  return shard.tensors ? shard.tensors[name] : name;
}

/** Elements of a chunk's rows, compared with its sum where there is one. @throws {MonosemeError} ERR_FORMAT, ERR_FILE */
async function readChunk(
  file: SafetensorsFile,
  plan: StorePlan,
  shard: StoreShard,
  name: TensorName,
  [from, to]: readonly [number, number],
): Promise<RawTensor> {
  const rows = await readRows(file, plan, shard, name, from, to);
  if (shard.crc32 && !isChunk(rows.bytes, shard.crc32[name], from / plan.rowsPerChunk))
    throw altered(file.path);
  return rows;
}

/** Elements of rows of a tensor whose shape may have several axes before those of one row. */
async function readRows(
  file: SafetensorsFile,
  plan: StorePlan,
  shard: Omit<StoreShard, 'sha256'>,
  name: TensorName,
  from: number,
  to: number,
): Promise<RawTensor> {
  const width = name === 'activations' ? plan.dIn : 1;
  return file.elements(tensorName(plan, shard, name)!, from * width, to * width);
}

async function readOriginsOf(
  file: SafetensorsFile,
  plan: StorePlan,
  shard: OpenShard,
  [from, to]: readonly [number, number],
): Promise<RowOrigins> {
  const read = async (name: TensorName) =>
    tensorName(plan, shard, name) === undefined
      ? undefined
      : toUint32(await readChunk(file, plan, shard, name, [from, to]));
  // What was made elsewhere says at most how long its contexts are.
  const counted = (of: (row: number) => number) =>
    plan.contextSize > 1
      ? Uint32Array.from({ length: to - from }, (_, i) => of(shard.firstRow + from + i))
      : undefined;
  return {
    tokenIds: await read('token_ids'),
    positions: (await read('positions')) ?? counted((row) => row % plan.contextSize),
    documents: (await read('documents')) ?? counted((row) => Math.floor(row / plan.contextSize)),
  };
}

/** Whole numbers of a file's element types, as far as they fit 32 bits. */
const READERS: Partial<Record<string, (bytes: Uint8Array<ArrayBuffer>) => ArrayLike<number | bigint>>> = {
  F32: ({ buffer }) => new Float32Array(buffer),
  I64: ({ buffer }) => new BigInt64Array(buffer),
  U64: ({ buffer }) => new BigUint64Array(buffer),
  I32: ({ buffer }) => new Int32Array(buffer),
  U32: ({ buffer }) => new Uint32Array(buffer),
  I16: ({ buffer }) => new Int16Array(buffer),
  U16: ({ buffer }) => new Uint16Array(buffer),
  U8: (bytes) => bytes,
};

/** Whole numbers of any of {@link ORIGIN_DTYPES} as 32 bits. */
export function toUint32({ dtype, bytes }: RawTensor): Uint32Array {
  return Uint32Array.from(READERS[dtype]!(bytes) as ArrayLike<number>, Number);
}

const toFloat32 = ({ bytes }: RawTensor): Float32Array => new Float32Array(bytes.buffer);

const bytesOf = (array: Uint8Array | Uint32Array | Float32Array): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** Element types in which a file may hold token ids, positions and documents. */
export const ORIGIN_DTYPES: readonly string[] = Object.keys(READERS).filter((dtype) => dtype !== 'F32');

/** Whether a file's element type is one of a store's. */
export const isStoreDtype = (dtype: string): dtype is StoreDtype =>
  ['F32', 'F16', 'BF16', 'I8'].includes(dtype);
