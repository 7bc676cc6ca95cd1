import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import type { TensorProto } from 'onnx-buf';
import { fileError, MonosemeError } from '../errors.ts';
import { readJson } from '../formats/index.ts';
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
 * Find a model: the .onnx file itself, or `model.onnx` or `onnx/model.onnx` in a folder, or the only .onnx
 * there. `tokenizer.json` and `config.json` are looked for beside it and, for `onnx/`, one folder up.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_MODEL (a folder without, or with several), ERR_FORMAT
 * (config.json)
 */
export async function findModel(path: string): Promise<ModelFiles> {
  let onnx = resolve(path);
  try {
    if ((await stat(onnx)).isDirectory()) onnx = await onnxIn(onnx);
  } catch (error) {
    throw fileError(error, `open the model ${path}`);
  }
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

async function onnxIn(folder: string): Promise<string> {
  for (const name of ['model.onnx', join('onnx', 'model.onnx')]) {
    if (await isFile(join(folder, name))) return join(folder, name);
  }
  const others = (await readdir(folder)).filter((name) => name.endsWith('.onnx'));
  if (others.length === 1) return join(folder, others[0]);
  const found = others.length === 0 ? 'no .onnx file' : `${others.length} .onnx files and none is model.onnx`;
  throw new MonosemeError('ERR_MODEL', `${folder} has ${found}.`, 'Give the path of the .onnx file.');
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
 * Paths of the external data files that a graph names, each once, sorted.
 *
 * @throws {MonosemeError} ERR_MODEL for a path that leads out of the model's folder, ERR_NOT_FOUND
 */
export async function externalDataFiles(graph: OnnxGraph, onnx: string): Promise<string[]> {
  const tensors: TensorProto[] = [...graph.graph.initializer];
  for (const node of graph.nodes) for (const { t } of node.attribute) if (t) tensors.push(t);
  const locations = tensors.flatMap(({ externalData }) =>
    externalData.filter(({ key }) => key === 'location').map(({ value }) => value),
  );
  const paths: string[] = [];
  for (const location of [...new Set(locations)].sort()) {
    if (isAbsolute(location) || /^[A-Za-z]:/.test(location) || location.split(/[\\/]/).includes('..'))
      throw notAModel(onnx, `its weights are outside its folder ("${location.slice(0, 80)}")`);
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
