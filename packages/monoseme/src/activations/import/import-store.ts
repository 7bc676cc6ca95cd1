import { link, rm, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { MonosemeError, throwIfAborted } from '../../errors.ts';
import { lockFolder, sha256 } from '../../formats/index.ts';
import { expectPositiveInteger } from '../../tensor/index.ts';
import { bytesPerRow, encodeRows, STORE_DTYPES, type StoreDtype } from '../encoding.ts';
import { expectSpace } from '../expect-space.ts';
import { isStoreDtype, type ShardRows, type StoreShard, sumShard, writeShard } from '../shard.ts';
import { ActivationStore } from '../store.ts';
import { writeStoreManifest } from '../store-manifest.ts';
import { mayImportInto, shardFile, type StorePlan, writePlan } from '../store-plan.ts';
import type { ForeignFile, ForeignNames } from './foreign-file.ts';
import { foreignFiles, openForeign } from './open-foreign.ts';

export interface ImportOptions {
  /** Names of arrays or columns; usual ones are looked for. */
  names?: ForeignNames;
  /** As in the files where they agree, else F32. Rows are only copied where it is another. */
  dtype?: StoreDtype;
  /** Tokens of a context, where rows follow each other and the axes do not tell. */
  contextSize?: number;
  hookName?: string;
  modelName?: string;
  signal?: AbortSignal;
  /** In rows. */
  onProgress?: (done: number, total: number) => void;
}

export interface ImportedStore {
  store: ActivationStore;
  /** Files that are shards as they are, by a second name for the same bytes. */
  nLinked: number;
}

/** Rows read at once of an imported store, about. */
const ROWS_PER_CHUNK = 2048;
const SHARD_BYTES = 2 ** 26;

interface Importing {
  folder: string;
  plan: StorePlan;
  shards: StoreShard[];
  signal?: AbortSignal;
  onRows: (rows: number) => void;
}

/**
 * Make a store of activations that other programs wrote: safetensors, `.npy`, `.npz`, Parquet, and Arrow data sets, as
 * files or folders of them. Every number is looked at. A safetensors file of the store's element type becomes a shard by a
 * hard link, all else is written anew.
 *
 * @throws {MonosemeError} ERR_EXISTS (the folder is not empty), ERR_MISMATCH (files of several widths or context sizes),
 * ERR_NOT_FINITE naming file and row, ERR_FORMAT, ERR_LOCKED, ERR_DISK_FULL, ERR_INTERRUPTED
 */
export async function importStore(
  folder: string,
  paths: readonly string[],
  options: ImportOptions = {},
): Promise<ImportedStore> {
  if (options.contextSize !== undefined) expectPositiveInteger('The context size', options.contextSize);
  const files = (await Promise.all(paths.map(foreignFiles))).flat();
  const opened: ForeignFile[] = [];
  try {
    for (const file of files) opened.push(await openForeign(file, options.names ?? {}));
    const plan = importPlan(opened, options);
    return await writeImport(folder, opened, plan, options);
  } finally {
    for (const file of opened) await file.close();
  }
}

function importPlan(files: readonly ForeignFile[], options: ImportOptions): StorePlan {
  const [first] = files;
  for (const file of files) {
    if (file.dIn === first.dIn && file.contextSize === first.contextSize) continue;
    const axes = ({ dIn, contextSize }: ForeignFile) =>
      contextSize ? `[${contextSize}, ${dIn}]` : `[${dIn}]`;
    throw new MonosemeError(
      'ERR_MISMATCH',
      `${first.path} holds rows of ${axes(first)}, ${file.path} of ${axes(file)}.`,
      'Import them into stores of their own.',
    );
  }
  const own =
    files.every(({ dtype }) => dtype === first.dtype) && isStoreDtype(first.dtype) ? first.dtype : 'F32';
  const dtype = options.dtype ?? own;
  if (!STORE_DTYPES.includes(dtype))
    throw new MonosemeError(
      'ERR_OPTION',
      `The element type is ${String(dtype)}.`,
      `It is one of ${STORE_DTYPES.join(', ')}.`,
    );
  const nRows = files.reduce((sum, file) => sum + file.nRows, 0);
  const contextSize = first.contextSize ?? options.contextSize ?? 1;
  const hookName = options.hookName ?? first.name;
  const modelName = options.modelName ?? 'unknown';
  return {
    sourceHash: '',
    description: `${hookName} [${first.dIn}] of ${modelName}, ${nRows} rows from ${basename(first.path)}${files.length > 1 ? ` and ${files.length - 1} more` : ''}`,
    ...{ modelName, hookName, dtype, contextSize },
    dIn: first.dIn,
    mostRows: nRows,
    nShards: 1,
    rowsPerChunk: Math.ceil(ROWS_PER_CHUNK / contextSize) * contextSize,
  };
}

async function writeImport(
  folder: string,
  files: readonly ForeignFile[],
  plan: StorePlan,
  { signal, onProgress }: ImportOptions,
): Promise<ImportedStore> {
  await expectRoom(folder);
  const unlock = await lockFolder(folder);
  try {
    await expectRoom(folder);
    let done = 0;
    const onRows = (rows: number) => onProgress?.((done += rows), plan.mostRows);
    const importing: Importing = { folder, plan, shards: [], signal, onRows };
    const nLinked = await writeShards(importing, files);
    const { shards } = importing;
    // What it is made from is known only now: the plan comes last.
    const sourceHash = sha256(...shards.map((shard) => shard.sha256));
    const finished = { ...plan, sourceHash, nShards: shards.length };
    await writePlan(folder, finished);
    await writeStoreManifest(folder, { plan: finished, shards });
    return { store: await ActivationStore.open(folder), nLinked };
  } finally {
    await unlock();
  }
}

async function expectRoom(folder: string): Promise<void> {
  if (await mayImportInto(folder)) return;
  throw new MonosemeError('ERR_EXISTS', `${folder} is not empty.`, 'Choose another folder.');
}

/** @returns how many files were linked */
async function writeShards(importing: Importing, files: readonly ForeignFile[]): Promise<number> {
  const { folder, plan, shards } = importing;
  let nLinked = 0;
  for (const file of files) {
    if (file.dtype === plan.dtype && file.tensors && (await linkShard(importing, file))) {
      nLinked++;
      continue;
    }
    await expectSpace(folder, plan, file.nRows, 'Write to a disk with more room, or store I8.');
    await copyRows(importing, file);
  }
  for (let extra = shards.length; ; extra++) {
    // Left by an import that was interrupted.
    const path = join(folder, shardFile(extra));
    if (!(await stat(path).catch(() => undefined))) break;
    await rm(path);
  }
  return nLinked;
}

/** Let a file be a shard by a second name. @returns false where the file system cannot */
async function linkShard(importing: Importing, file: ForeignFile): Promise<boolean> {
  const { folder, plan, shards, onRows, signal } = importing;
  const shard = { file: shardFile(shards.length), rows: file.nRows, tensors: file.tensors! };
  const path = join(folder, shard.file);
  await rm(path, { force: true });
  const linked = await link(resolve(file.path), path).then(
    () => true,
    () => false,
  );
  if (!linked) return false;
  try {
    let row = 0;
    for await (const { activations } of file.pieces()) {
      throwIfAborted(signal);
      expectFinite(file, activations, row);
      row += activations.length / plan.dIn;
      onRows(activations.length / plan.dIn);
    }
    shards.push({ ...shard, ...(await sumShard(folder, plan, shard)) });
    return true;
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

async function copyRows(
  { folder, plan, shards, onRows, signal }: Importing,
  file: ForeignFile,
): Promise<void> {
  const mostRows =
    Math.max(1, Math.floor(SHARD_BYTES / bytesPerRow(plan.dtype, plan.dIn) / plan.contextSize)) *
    plan.contextSize;
  let making: ShardRows = { rows: 0, pieces: [], origins: [] };
  const finish = async () => {
    if (making.rows > 0) shards.push(await writeShard(folder, plan, shards.length, making));
    making = { rows: 0, pieces: [], origins: [] };
  };
  let row = 0;
  for await (const { activations, origins } of file.pieces()) {
    throwIfAborted(signal);
    expectFinite(file, activations, row, plan.dtype === 'F16' ? 65_520 : Infinity);
    const rows = activations.length / plan.dIn;
    row += rows;
    making.rows += rows;
    making.pieces.push(encodeRows(activations, plan.dIn, plan.dtype));
    making.origins.push(origins);
    onRows(rows);
    if (making.rows >= mostRows && making.rows % plan.contextSize === 0) await finish();
  }
  await finish();
}

/** @throws {MonosemeError} ERR_NOT_FINITE for a value that is not finite, or too large for F16 */
function expectFinite(
  { path, dIn }: ForeignFile,
  rows: Float32Array,
  firstRow: number,
  limit = Infinity,
): void {
  let index = 0;
  while (index < rows.length && rows[index] < limit && rows[index] > -limit) index++;
  if (index === rows.length) return;
  const value = rows[index];
  const place = `row ${firstRow + Math.floor(index / dIn)}, element ${index % dIn}, of ${path}`;
  throw Number.isFinite(value)
    ? new MonosemeError(
        'ERR_NOT_FINITE',
        `${value} is too large for F16: ${place}.`,
        'Store BF16 or F32 instead (--dtype).',
      )
    : new MonosemeError(
        'ERR_NOT_FINITE',
        `${place} is ${value}.`,
        'Make the activations again, in fp32 or bf16.',
      );
}
