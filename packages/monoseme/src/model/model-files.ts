import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import type { StringStringEntryProto, TensorProto } from 'onnx-buf';
import { fileError, MonosemeError } from '../errors.ts';
import { readJson } from '../formats/index.ts';
import { isRelativePath } from '../hub/index.ts';
import { notAModel, type OnnxGraph } from './onnx-graph.ts';

/** A protobuf message ends at 2 GiB; larger models keep their weights in external data files. */
export const MODEL_BYTES_LIMIT = 2 ** 31;

/** Where a model and its companions lie. */
export interface ModelFiles {
  onnx: string;
  tokenizer: string | undefined;
  contextSize: number | undefined;
}

/**
 * The companions of a .onnx file: `tokenizer.json` and `config.json` beside it and, for `onnx/`, one folder up.
 *
 * @throws {MonosemeError} ERR_FORMAT (config.json)
 */
export async function modelFiles(onnx: string): Promise<ModelFiles> {
  const folders = companionFolders(onnx);
  const config = await firstFile(folders, 'config.json');
  return {
    onnx,
    tokenizer: await firstFile(folders, 'tokenizer.json'),
    contextSize: config === undefined ? undefined : contextSizeOf(await readJson(config)),
  };
}

/** Folders in which a model's tokenizer and configuration may lie, the nearest first. */
export function companionFolders(onnx: string): string[] {
  const folder = dirname(onnx);
  return basename(folder) === 'onnx' ? [folder, dirname(folder)] : [folder];
}

/**
 * The .onnx file itself, or of a folder the one that {@link chooseOnnx} takes.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_MODEL (a folder without, or with several)
 */
export async function findOnnx(path: string): Promise<string> {
  const place = resolve(path);
  try {
    if (!(await stat(place)).isDirectory()) return place;
    const names = await readdir(place);
    const inner = names.includes('onnx') ? await readdir(join(place, 'onnx')).catch(() => []) : [];
    return join(place, chooseOnnx(path, [...names, ...inner.map((name) => `onnx/${name}`)]));
  } catch (error) {
    throw fileError(error, `open the model ${path}`);
  }
}

/**
 * Which graph of a folder is meant: `model.onnx`, `onnx/model.onnx`, or the only one there or in `onnx/`.
 *
 * @param names paths below the folder, with `/`
 * @throws {MonosemeError} ERR_MODEL where none or several may be meant
 */
export function chooseOnnx(folder: string, names: readonly string[]): string {
  for (const usual of ['model.onnx', 'onnx/model.onnx']) if (names.includes(usual)) return usual;
  const graphs = names.filter((name) => /^(onnx\/)?[^/]*\.onnx$/.test(name)).sort();
  if (graphs.length === 1) return graphs[0];
  throw new MonosemeError(
    'ERR_MODEL',
    graphs.length === 0
      ? `${folder} has no .onnx file.`
      : `${folder} has ${graphs.length} .onnx files and none is model.onnx: ${graphs.slice(0, 8).join(', ')}.`,
    'Give the path of the .onnx file.',
  );
}

async function firstFile(folders: string[], name: string): Promise<string | undefined> {
  for (const folder of folders) if (await isFile(join(folder, name))) return join(folder, name);
  return undefined;
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

/** The longest context by the names that configurations of different model families use. */
function contextSizeOf(config: unknown): number | undefined {
  if (typeof config !== 'object' || config === null) return undefined;
  const names = ['n_positions', 'max_position_embeddings', 'n_ctx', 'context_size', 'max_seq_len'];
  const sizes = names.map((name) => (config as Record<string, unknown>)[name]);
  return sizes.find((size): size is number => Number.isSafeInteger(size) && (size as number) > 0);
}

/**
 * The external data files that a graph names, each once, sorted, as paths from the model's folder.
 *
 * @throws {MonosemeError} ERR_MODEL for a path that leads out of the folder
 */
export function externalLocations(graph: OnnxGraph, onnx: string): string[] {
  const locations = locationEntries(graph).map(({ value }) => value);
  const outside = locations.find((location) => !isRelativePath(location));
  if (outside === undefined) return [...new Set(locations)].sort();
  throw notAModel(onnx, `its weights are outside its folder ("${outside.slice(0, 80)}")`);
}

function locationEntries(graph: OnnxGraph): StringStringEntryProto[] {
  const tensors: TensorProto[] = [...graph.graph.initializer];
  for (const node of graph.nodes) for (const { t } of node.attribute) if (t) tensors.push(t);
  return tensors.flatMap(({ externalData }) => externalData.filter(({ key }) => key === 'location'));
}

/** Paths of these files. @throws {MonosemeError} as {@link externalLocations}, ERR_NOT_FOUND */
export async function externalDataFiles(graph: OnnxGraph, onnx: string): Promise<string[]> {
  const paths: string[] = [];
  for (const location of externalLocations(graph, onnx)) {
    const path = join(dirname(onnx), location);
    if (!(await isFile(path)))
      throw new MonosemeError(
        'ERR_NOT_FOUND',
        `${onnx} keeps weights in ${location}, which does not exist beside it.`,
        'Put the file there.',
      );
    paths.push(path);
  }
  return paths;
}

/**
 * The folder from which ONNX Runtime is to read external data. It refuses links that lead out of it, as caches of the hub
 * have them: then it is the folder that the real files have in common. Mutates the graph: its places become paths from there.
 */
export async function resolveDataFolder_(graph: OnnxGraph, onnx: string): Promise<string> {
  const folder = await realpath(dirname(onnx));
  const entries = locationEntries(graph);
  const real = new Map<string, string>();
  for (const { value } of entries) if (!real.has(value)) real.set(value, await realpath(join(folder, value)));
  if ([...real].every(([location, path]) => path === join(folder, location))) return folder;
  let common = dirname([...real.values()][0]);
  const holds = (path: string) => path.startsWith(common.endsWith(sep) ? common : common + sep);
  while (![...real.values()].every(holds)) common = dirname(common);
  for (const entry of entries) entry.value = relative(common, real.get(entry.value)!).replaceAll(sep, '/');
  return common;
}
