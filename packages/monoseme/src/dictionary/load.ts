import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileError, MonosemeError } from '../errors.ts';
import { readNpz, readSafetensors } from '../formats/index.ts';
import type { Dictionary } from './dictionary.ts';
import { loadGemmaScope } from './gemma-scope.ts';
import { loadSaeLens } from './saelens.ts';
import { loadSparsify } from './sparsify.ts';

/** A format: the arrays by which a file of it is known, and its reader. */
interface Format {
  readonly name: string;
  readonly arrays: readonly string[];
  load(path: string): Promise<Dictionary>;
}

const FORMATS: readonly Format[] = [
  { name: 'sparsify', arrays: ['encoder.weight', 'encoder.bias', 'b_dec'], load: loadSparsify },
  { name: 'SAELens', arrays: ['W_enc', 'W_dec', 'b_dec'], load: loadSaeLens },
];
const GEMMA_SCOPE: Format = {
  name: 'Gemma Scope',
  arrays: ['W_enc', 'W_dec', 'b_enc', 'b_dec', 'threshold'],
  load: loadGemmaScope,
};

/** Files beside the weights that are safetensors too. */
const NOT_WEIGHTS = new Set([
  'sparsity.safetensors',
  'checkpoint.safetensors',
  'activations_store_state.safetensors',
]);

/**
 * Read a dictionary from a folder or a file of weights. The format is told from what the files hold: SAELens (version
 * 6 and before), sparsify, or Gemma Scope's npz.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FORMAT (a setting this version cannot honour, tensors that do not fit
 *   the configuration, no known format), ERR_NOT_FINITE (naming the tensor)
 */
export async function loadDictionary(path: string): Promise<Dictionary> {
  const { file, format } = await findWeights(path);
  return format.load(file);
}

/** The file with the weights of the dictionary at a path. Errors as {@link loadDictionary}. */
export async function weightsFile(path: string): Promise<string> {
  return (await findWeights(path)).file;
}

async function findWeights(path: string): Promise<{ file: string; format: Format }> {
  const found: string[] = [];
  for (const file of await filesOfWeights(path)) {
    const isNpz = file.endsWith('.npz');
    const names = await namesOf(isNpz ? readNpz(file) : readSafetensors(file));
    const formats = isNpz ? [GEMMA_SCOPE] : FORMATS;
    const format = formats.find(({ arrays }) => arrays.every((name) => names.includes(name)));
    if (format) return { file, format };
    found.push(`${basename(file)} with ${names.slice(0, 8).join(', ')}`);
  }
  throw new MonosemeError(
    'ERR_FORMAT',
    `${path} holds no dictionary of a known format (it holds: ${found.join('; ') || 'no weights'}).`,
    'SAELens, sparsify and Gemma Scope are read.',
  );
}

async function filesOfWeights(path: string): Promise<string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const names = (await readdir(path)).filter(
      (name) => /\.(safetensors|npz)$/.test(name) && !NOT_WEIGHTS.has(name),
    );
    if (names.length === 0)
      throw new MonosemeError(
        'ERR_NOT_FOUND',
        `${path} holds no weights (.safetensors or .npz).`,
        'Name the folder or the file of a dictionary.',
      );
    return names.sort().map((name) => join(path, name));
  } catch (error) {
    throw fileError(error, `read the dictionary ${path}`);
  }
}

async function namesOf(opening: Promise<{ names(): string[]; close(): Promise<void> }>): Promise<string[]> {
  const file = await opening;
  await file.close();
  return file.names();
}
