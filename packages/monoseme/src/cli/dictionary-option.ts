import type { Command } from 'commander';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { TokenSet } from '../corpus/index.ts';
import { type Dictionary, localDictionary, weightsFile } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import { sha256, sha256File } from '../formats/index.ts';
import { isInHubCache } from '../hub/index.ts';
import type { OnnxModel } from '../model/index.ts';
import { type CommandContext, withStage } from './context.ts';
import { addInputFlag, type InputFlags, MODEL_HELP, openModel } from './model-option.ts';

export const DICTIONARY_HELP = 'folder or file of the dictionary, or hf:owner/repo/path';

/** The local path of a dictionary of the hub, downloaded as far as it is not in the cache. */
export function downloadDictionary(context: CommandContext, path: string): Promise<string> {
  return withStage(context, 'download', 'B', async (stage) => {
    const local = await localDictionary(path, {
      signal: context.signal,
      onProgress: (done, total, name) => stage.update(done, total, name),
    });
    return [local, path];
  });
}

/** The hash that stands for a dictionary: that of its weights. */
export async function dictionaryHash(path: string): Promise<string> {
  return sha256File(await weightsFile(path));
}

/**
 * Where the report of a dictionary stands: in its folder, or beside it when it is a single file.
 *
 * @throws {MonosemeError} ERR_USAGE for one of the hub: the cache holds only what the hub has
 */
export async function reportFolder(path: string): Promise<string> {
  if (isInHubCache(path))
    throw new MonosemeError(
      'ERR_USAGE',
      'The report of a dictionary of the hub has no folder.',
      'Give one with --out.',
    );
  return (await stat(path)).isDirectory() ? path : dirname(path);
}

/** What a report is about, for people. */
export function subjectText({ config }: Dictionary, hookName: string, modelName: string): string {
  const { dSae, dIn, architecture } = config;
  const size = `${dSae.toLocaleString('en')} latents (${architecture}) of ${dIn} inputs`;
  return `${size} at ${hookName} of ${modelName}.`;
}

/** The hash that stands for a text as a model reads it. */
export function tokensHash({ tokens, contextSize }: TokenSet): string {
  return sha256(`${contextSize} `, new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength));
}

export interface DictionaryFlags extends InputFlags {
  readonly model?: string;
  readonly hook?: string;
}

export function addDictionaryFlags(command: Command): Command {
  return addInputFlag(command)
    .option('--model <model>', `${MODEL_HELP} (default: as the dictionary says)`)
    .option('--hook <name>', 'tensor that the dictionary reads (default: as it says)');
}

/**
 * The model and hook that a dictionary was trained on, unless others are named.
 *
 * @throws {MonosemeError} ERR_USAGE when neither says, ERR_MISMATCH when the model has changed since
 */
export async function modelOfDictionary(
  context: CommandContext,
  dictionary: Dictionary | undefined,
  flags: DictionaryFlags,
): Promise<{ model: OnnxModel; hook: string }> {
  const { modelName = '', hookName = '' } = dictionary?.config ?? {};
  const name = flags.model ?? modelName;
  const hook = flags.hook ?? hookName;
  if (name === '' || hook === '')
    throw new MonosemeError(
      'ERR_USAGE',
      dictionary
        ? 'The dictionary does not say which model and tensor it was trained on.'
        : 'Without a dictionary nothing says which model and tensor are meant.',
      'Name them with --model and --hook.',
    );
  const model = await openModel(context, name, flags);
  if (dictionary && isOther(dictionary, model)) {
    if (flags.model === undefined) throw changed(model);
    context.progress.write(`model      ${model.name} is not the one that the dictionary was trained on\n`);
  }
  return { model, hook };
}

function isOther({ config }: Dictionary, model: OnnxModel): boolean {
  const trainedOn = config.metadata['model_sha256'];
  return typeof trainedOn === 'string' && trainedOn !== model.sha256;
}

/** A model of the same name may be another by now; one that is named is taken as it is. */
function changed(model: OnnxModel): MonosemeError {
  return new MonosemeError(
    'ERR_MISMATCH',
    `${model.path} is not the model that the dictionary was trained on: its content has changed.`,
    'Give --model to use it all the same, or another.',
  );
}
