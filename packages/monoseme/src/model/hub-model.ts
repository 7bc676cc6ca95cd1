import { join, posix } from 'node:path';
import { MonosemeError } from '../errors.ts';
import { readLimited } from '../formats/index.ts';
import { type HubOptions, isHubPath, listHubFiles, parseHubPath, resolveHubPath } from '../hub/index.ts';
import {
  chooseOnnx,
  companionFolders,
  externalLocations,
  findOnnx,
  MODEL_BYTES_LIMIT,
} from './model-files.ts';
import { parseOnnx } from './onnx-graph.ts';

const COMPANIONS = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'];

/**
 * The local path of a model's .onnx file: found from the path of a file or folder, or downloaded from the hub. Of a
 * repository (`hf:owner/repo`) only one graph is downloaded, `onnx/model.onnx` say, with the data files that it names and
 * `config.json`, the tokenizer and its chat template; another is named by its path (`hf:owner/repo/onnx/model_fp16.onnx`).
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_MODEL (no graph or several), what {@link resolveHubPath} throws
 */
export async function localModel(path: string, hub: HubOptions = {}): Promise<string> {
  if (!isHubPath(path)) return findOnnx(path);
  const isOffline = hub.offline ?? process.env['HF_HUB_OFFLINE'] === '1';
  if (isOffline) return findOnnx(await resolveHubPath(path, hub));
  const { kind, repo, path: within } = parseHubPath(path);
  if (kind !== 'models')
    throw new MonosemeError('ERR_OPTION', `${path} is a data set, not a model.`, 'Write hf:owner/repo.');
  const { commit, isFolder, files } = await listHubFiles(path, hub);
  const below = within === '' ? '' : `${within}/`;
  const names = files.flatMap((file) => (file.path.startsWith(below) ? [file.path.slice(below.length)] : []));
  const onnx = isFolder ? posix.join(within, chooseOnnx(path, names)) : within;
  const root = `hf:${repo}@${commit}`;
  const fetch = async (wanted: readonly string[]) =>
    resolveHubPath(root, { ...hub, wants: (name) => wanted.includes(name) });
  const companions = companionFolders(onnx).flatMap((folder) =>
    COMPANIONS.map((name) => posix.join(folder, name)),
  );
  const local = join(await fetch([onnx, ...companions]), onnx);
  const graph = parseOnnx(await readLimited(local, MODEL_BYTES_LIMIT), `${repo}/${onnx}`);
  const data = externalLocations(graph, local).map((name) => posix.join(posix.dirname(onnx), name));
  if (data.length > 0) await fetch([onnx, ...data]);
  return local;
}
