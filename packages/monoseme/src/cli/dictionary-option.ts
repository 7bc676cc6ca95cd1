import type { TokenSet } from '../corpus/index.ts';
import { type Dictionary, weightsFile } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import { sha256, sha256File } from '../formats/index.ts';
import type { OnnxModel } from '../model/index.ts';
import { openModel } from './model-option.ts';

/** The hash that stands for a dictionary: that of its weights. */
export async function dictionaryHash(path: string): Promise<string> {
  return sha256File(await weightsFile(path));
}

/** The hash that stands for a text as a model reads it. */
export function tokensHash({ tokens, contextSize }: TokenSet): string {
  return sha256(`${contextSize} `, new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength));
}

/** The model and hook that a dictionary was trained on, unless others are named. */
export async function modelOfDictionary(
  dictionary: Dictionary,
  flags: { model?: string; hook?: string },
): Promise<{ model: OnnxModel; hook: string }> {
  const { modelName, hookName } = dictionary.config;
  const name = flags.model ?? modelName;
  const hook = flags.hook ?? hookName;
  if (name === '' || hook === '')
    throw new MonosemeError(
      'ERR_USAGE',
      'The dictionary does not say which model and tensor it was trained on.',
      'Name them with --model and --hook.',
    );
  return { model: await openModel(name), hook };
}
