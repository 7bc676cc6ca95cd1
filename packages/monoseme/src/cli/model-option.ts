import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Tokenizer } from '../corpus/index.ts';
import { MonosemeError } from '../errors.ts';
import { OnnxModel } from '../model/index.ts';

/** The models that come with the toolkit: in the package, or at the root of a checkout. */
const EMBEDDED_ROOTS = ['../../models', '../../../../models'].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);

export const DEFAULT_MODEL = 'one-layer-a';
export const DEFAULT_HOOK = 'blocks.0.mlp.hook_post';
export const MODEL_HELP =
  'an .onnx file, a folder with model.onnx and tokenizer.json, or one-layer-a, one-layer-b';

/** Path of a model given by its path, or by the name of an embedded one. A path that exists goes first. */
export function modelPath(nameOrPath: string): string {
  if (existsSync(nameOrPath) || !/^[\w-]+$/.test(nameOrPath)) return nameOrPath;
  return EMBEDDED_ROOTS.map((root) => join(root, nameOrPath)).find(existsSync) ?? nameOrPath;
}

export async function openModel(nameOrPath: string): Promise<OnnxModel> {
  return OnnxModel.open(modelPath(nameOrPath));
}

/** The tokenizer in the model's folder, or the one named. */
export async function openTokenizer(model: OnnxModel, path: string | undefined): Promise<Tokenizer> {
  const found = path ?? model.tokenizerPath;
  if (found === undefined)
    throw new MonosemeError(
      'ERR_TOKENIZER',
      `There is no tokenizer.json beside ${model.path}.`,
      'Name one with --tokenizer FILE.',
    );
  return Tokenizer.open(found);
}
