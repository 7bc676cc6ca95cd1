import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileError, MonosemeError } from '../errors.ts';
import { type ArrayFile, openArrays, readJson, SafetensorsFile } from '../formats/index.ts';
import { type HubOptions, resolveHubPath } from '../hub/index.ts';
import { isDictionaryLearning, loadDictionaryLearning } from './dictionary-learning.ts';
import type { Dictionary } from './dictionary.ts';
import { type Checkpoint, hasArrays, jsonRecord, MAX_CONFIG_BYTES } from './exchange.ts';
import { expectFiniteWeights } from './finite-weights.ts';
import { isGemmaScope, isGemmaScope2, loadGemmaScope, loadGemmaScope2 } from './gemma-scope.ts';
import { isLlamaScope, isLlamascopium, loadLlamaScope, loadLlamascopium } from './llama-scope.ts';
import { isOpenAi, loadOpenAi } from './openai.ts';
import { loadSaeLens } from './saelens.ts';
import { isSparsify, loadSparsify } from './sparsify.ts';

/** A format: how it is known by arrays and configurations, and its reader. Tried in this order. */
interface Format {
  readonly name: string;
  matches(checkpoint: Checkpoint): boolean;
  load(checkpoint: Checkpoint): Promise<Dictionary>;
}

const FORMATS: readonly Format[] = [
  { name: 'OpenAI', matches: isOpenAi, load: loadOpenAi },
  { name: 'dictionary_learning', matches: isDictionaryLearning, load: loadDictionaryLearning },
  { name: 'Llama Scope', matches: isLlamaScope, load: loadLlamaScope },
  { name: 'llamascopium', matches: isLlamascopium, load: loadLlamascopium },
  { name: 'Gemma Scope', matches: isGemmaScope, load: loadGemmaScope },
  { name: 'Gemma Scope 2', matches: isGemmaScope2, load: loadGemmaScope2 },
  { name: 'sparsify', matches: isSparsify, load: loadSparsify },
  {
    name: 'SAELens',
    matches: isSaeLens,
    load: ({ file }) => loadSaeLens(file.path),
  },
];

/** Not every architecture of SAELens has a W_enc; the other formats with these two are told apart before. */
function isSaeLens(checkpoint: Checkpoint): boolean {
  return checkpoint.file instanceof SafetensorsFile && hasArrays(checkpoint, 'W_dec', 'b_dec');
}

/** Files beside the weights that hold arrays too. */
const NOT_WEIGHTS =
  /^(sparsity|checkpoint|activations_store_state|optimizer|lr_scheduler|state|trainer|rank_\d+)/;
const WEIGHTS = /\.(safetensors|npz|pt|pth)$/;
/** Where the tools of OpenMOSS keep the weights below the folder of the configuration, the best first. */
const FINAL = ['checkpoints/final.safetensors', 'checkpoints/pruned.safetensors'];
/** In the folder of a run that has not ended: its last checkpoint as a dictionary. */
export const CHECKPOINT_DICTIONARY = join('training', 'checkpoint');
const CONFIGS = ['cfg.json', 'config.json', 'hyperparams.json'];

/**
 * Read a dictionary from a folder, a file of weights, or the hub (`hf:owner/repo/path@revision`, see
 * {@link resolveHubPath}). The format is told from what the files hold: SAELens (version 6 and before), sparsify,
 * dictionary_learning, OpenAI, Gemma Scope and Gemma Scope 2, Llama Scope, llamascopium. Nothing of a `.pt` is executed.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND (also for a training that has not ended), ERR_FORMAT (a setting this version cannot
 *   honour, tensors that do not fit the configuration, no known format), ERR_NOT_FINITE (naming the tensor and the file);
 *   and what the hub refuses
 */
export async function loadDictionary(path: string, hub: HubOptions = {}): Promise<Dictionary> {
  const local = await localDictionary(path, hub);
  return withWeights(local, async (checkpoint, format) => {
    const dictionary = await format.load(checkpoint);
    // Folding can make infinities of finite numbers.
    expectFiniteWeights(dictionary.weights, checkpoint.file.path);
    return dictionary;
  });
}

/** Where a dictionary stands on this machine: downloaded from the hub where its path says so. */
export function localDictionary(path: string, hub: HubOptions = {}): Promise<string> {
  const wants = (name: string) =>
    FINAL.includes(name) || (!name.includes('/') && (isWeights(name) || name.endsWith('.json')));
  return resolveHubPath(path, { wants, ...hub });
}

/** The file with the weights of the dictionary at a local path. Errors as {@link loadDictionary}. */
export async function weightsFile(path: string): Promise<string> {
  return withWeights(path, ({ file }) => Promise.resolve(file.path));
}

/** The name of the format of the dictionary at a local path. Errors as {@link loadDictionary}. */
export async function formatOf(path: string): Promise<string> {
  return withWeights(path, (_, format) => Promise.resolve(format.name));
}

async function withWeights<T>(
  path: string,
  use: (checkpoint: Checkpoint, format: Format) => Promise<T>,
): Promise<T> {
  const others: string[] = [];
  const found: { checkpoint: Checkpoint; format: Format }[] = [];
  const open: ArrayFile[] = [];
  // A file that cannot be read is no matter where another holds the dictionary, as beside the state of a training.
  let unreadable: unknown;
  try {
    for (const name of await filesOfWeights(path)) {
      const file = await openArrays(name).catch((error: unknown) => void (unreadable ??= error));
      if (!file) continue;
      open.push(file);
      const checkpoint = { file, configs: await configsBeside(name) };
      const format = FORMATS.find(({ matches }) => matches(checkpoint));
      if (format) found.push({ checkpoint, format });
      else others.push(`${basename(name)} with ${file.names().slice(0, 8).join(', ')}`);
    }
    const [first, second] = found;
    if (second) throw severalIn(path, found);
    if (first) return await use(first.checkpoint, first.format);
  } finally {
    for (const file of open) await file.close();
  }
  if (unreadable !== undefined) throw unreadable;
  throw new MonosemeError(
    'ERR_FORMAT',
    `${path} holds no dictionary of a known format (it holds: ${others.join('; ') || 'no weights'}).`,
    `Of these formats the arrays and the configuration are known: ${FORMATS.map(({ name }) => name).join(', ')}.`,
  );
}

/** OpenAI keeps the dictionaries of all layers in one folder. */
function severalIn(path: string, found: readonly { checkpoint: Checkpoint }[]): MonosemeError {
  const names = found.map(({ checkpoint }) => basename(checkpoint.file.path));
  const shown = names.length > 4 ? [...names.slice(0, 4), '…'] : names;
  return new MonosemeError(
    'ERR_FORMAT',
    `${path} holds ${names.length} dictionaries: ${shown.join(', ')}.`,
    'Name the file of one of them.',
  );
}

async function filesOfWeights(path: string): Promise<string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const entries = await readdir(path, { withFileTypes: true });
    const here = entries.map(({ name }) => name).filter(isWeights);
    const names = here.length > 0 ? here : FINAL.filter((name) => existsSync(join(path, name))).slice(0, 1);
    if (names.length === 0) {
      const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
      if (folders.includes('training')) throw unfinished(path);
      const beside = folders.length > 0 ? `, but folders: ${folders.slice(0, 4).join(', ')}` : '';
      throw new MonosemeError(
        'ERR_NOT_FOUND',
        `${path} holds no weights (.safetensors, .npz or .pt)${beside}.`,
        'Name the folder or the file of a dictionary.',
      );
    }
    return names.sort().map((name) => join(path, name));
  } catch (error) {
    throw fileError(error, `read the dictionary ${path}`);
  }
}

/** The folder of a run holds `training/` alone until it ends. */
function unfinished(path: string): MonosemeError {
  const checkpoint = join(path, CHECKPOINT_DICTIONARY);
  const isThere = existsSync(join(checkpoint, 'cfg.json'));
  return new MonosemeError(
    'ERR_NOT_FOUND',
    `The training in ${path} has not ended.`,
    `Run its command again (train with --resume)${isThere ? `, or take the dictionary of its last checkpoint, ${checkpoint}` : ''}.`,
  );
}

function isWeights(name: string): boolean {
  return WEIGHTS.test(name) && !NOT_WEIGHTS.test(name);
}

/** The configurations beside a file; those of Llama Scope stand beside the folder `checkpoints`. */
async function configsBeside(file: string): Promise<Checkpoint['configs']> {
  const folders = [
    dirname(file),
    ...(basename(dirname(file)) === 'checkpoints' ? [dirname(dirname(file))] : []),
  ];
  const configs: Record<string, Record<string, unknown>> = {};
  for (const name of CONFIGS) {
    for (const folder of folders) {
      const json = await readOptional(join(folder, name));
      if (json !== undefined) configs[name] ??= jsonRecord(json, join(folder, name));
    }
  }
  return configs;
}

async function readOptional(path: string): Promise<unknown> {
  try {
    return await readJson(path, MAX_CONFIG_BYTES);
  } catch (error) {
    if (error instanceof MonosemeError && error.code === 'ERR_NOT_FOUND') return undefined;
    throw error;
  }
}
