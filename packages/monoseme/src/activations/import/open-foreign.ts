import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileError, MonosemeError } from '../../errors.ts';
import { readJson } from '../../formats/index.ts';
import { openForeignArrays } from './foreign-arrays.ts';
import type { ForeignFile, ForeignNames } from './foreign-file.ts';
import { openForeignParquet } from './foreign-parquet.ts';

const OPEN: Readonly<Record<string, (path: string, names: ForeignNames) => Promise<ForeignFile>>> = {
  '.safetensors': openForeignArrays,
  '.npy': openForeignArrays,
  '.npz': openForeignArrays,
  '.parquet': openForeignParquet,
  // Its library is large, and few stores come so.
  '.arrow': async (path, names) => (await import('./foreign-arrow.ts')).openForeignArrow(path, names),
};
const KINDS = Object.keys(OPEN).join(', ');

/**
 * The files that a path stands for: itself, or in a folder those that a data set lists in its `state.json`, else all of a
 * known kind, by name.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FORMAT
 */
export async function foreignFiles(path: string): Promise<string[]> {
  const found = await stat(path).catch((error: unknown) => {
    throw fileError(error, `read ${path}`);
  });
  if (!found.isDirectory()) return [path];
  const names = (await readdir(path)).sort();
  if (names.includes('state.json'))
    return (await listedFiles(join(path, 'state.json'))).map((name) => join(path, name));
  const files = names.filter((name) => Object.hasOwn(OPEN, extname(name)));
  if (files.length > 0) return files.map((name) => join(path, name));
  throw new MonosemeError('ERR_NOT_FOUND', `${path} holds no ${KINDS} file.`, 'Check the path.');
}

/** Names of files beside a `state.json`; a path is no name. */
async function listedFiles(state: string): Promise<string[]> {
  const { _data_files: files } = ((await readJson(state)) ?? {}) as {
    _data_files?: { filename?: unknown }[];
  };
  const names = Array.isArray(files) ? files.map((file) => file?.filename) : [];
  if (names.length > 0 && names.every((name) => typeof name === 'string' && /^\w[\w.-]*\.arrow$/.test(name)))
    return names as string[];
  throw new MonosemeError('ERR_FORMAT', `${state} lists no Arrow files.`, 'Save the data set again.');
}

/** @throws {MonosemeError} ERR_OPTION for a file of another kind; ERR_NOT_FOUND, ERR_FORMAT, … */
export async function openForeign(path: string, names: ForeignNames): Promise<ForeignFile> {
  const open = OPEN[extname(path)];
  if (open) return open(path, names);
  throw new MonosemeError(
    'ERR_OPTION',
    `${path} is of no kind that is read.`,
    `It ends with one of ${KINDS}.`,
  );
}
