import { Option } from 'commander';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Dictionary,
  expectDictionaryLearning,
  expectGemmaScope,
  expectSparsify,
  formatOf,
  loadDictionary,
  saveDictionary,
  saveDictionaryLearning,
  saveGemmaScope,
  saveSparsify,
} from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import { expectOnnx, saveOnnx } from '../export/index.ts';
import { snakeCaseKeys } from '../formats/index.ts';
import { ModelRunner } from '../model/index.ts';
import { addBackendFlags, type BackendFlags, openBackend } from './backend-option.ts';
import {
  addCheckFlag,
  CHECK_TOKENS,
  checkDictionary,
  type CheckFlags,
  type CheckResult,
} from './check-dictionary.ts';
import type { CommandContext } from './context.ts';
import {
  addDictionaryFlags,
  DICTIONARY_HELP,
  type DictionaryFlags,
  modelOfDictionary,
} from './dictionary-option.ts';
import type { DeclareCommand } from './main.ts';
import { addTextFlags, readTokens, type TextFlags } from './text.ts';
import { expectCheck } from './unread-flags.ts';

/** Formats that are written, each into a folder. */
const WRITERS = {
  saelens: { expectWritable: () => {}, save: saveDictionary },
  sparsify: { expectWritable: expectSparsify, save: saveSparsify },
  'gemma-scope': {
    expectWritable: expectGemmaScope,
    save: (folder, dictionary) => saveGemmaScope(join(folder, 'params.npz'), dictionary),
  },
  'dictionary-learning': { expectWritable: expectDictionaryLearning, save: saveDictionaryLearning },
  onnx: { expectWritable: expectOnnx, save: saveOnnx },
} as const satisfies Record<string, Writer>;

interface Writer {
  /** @throws {MonosemeError} for a dictionary that the format has no place for */
  expectWritable(dictionary: Dictionary): void;
  save(folder: string, dictionary: Dictionary): Promise<void>;
}

interface Flags extends TextFlags, BackendFlags, DictionaryFlags, CheckFlags {
  readonly format: keyof typeof WRITERS;
}

/** `monoseme convert`: a dictionary in another format. */
export const convertCommand: DeclareCommand = (program, run) => {
  const command = program
    .command('convert')
    .description('Write a dictionary, ours or of another tool, in another format.')
    .argument('<dictionary>', DICTIONARY_HELP)
    .argument('<folder>', 'where the converted one goes; must not exist or be empty')
    .addOption(
      new Option('--format <name>', 'format to write').choices(Object.keys(WRITERS)).default('saelens'),
    )
    .addHelpText('after', '\nExample:\n  monoseme convert out/demo/dictionary onnx --format onnx')
    .action(
      run(async (context, flags: Flags, path, folder) => {
        expectCheck(flags);
        await expectEmpty(folder);
        const dictionary = await loadDictionary(path);
        const { expectWritable, save } = WRITERS[flags.format];
        expectWritable(dictionary);
        const from = await formatOf(path);
        const check = flags.check ? await checkWithModel(context, flags, path, dictionary) : undefined;
        await save(folder, dictionary);
        context.print(`${from} → ${flags.format}: ${folder}`);
        const { architecture, dIn, dSae } = dictionary.config;
        context.result({
          from,
          format: flags.format,
          folder,
          architecture,
          dIn,
          dSae,
          ...(check && { check: snakeCaseKeys({ ...check }) }),
        });
      }),
    );
  addCheckFlag(command);
  addDictionaryFlags(command);
  addBackendFlags(command);
  addTextFlags(command, 'heldOut');
};

async function checkWithModel(
  context: CommandContext,
  flags: Flags,
  path: string,
  dictionary: Dictionary,
): Promise<CheckResult> {
  const backend = await openBackend(flags, context);
  const { model, hook } = await modelOfDictionary(context, dictionary, flags);
  const { tokens } = await readTokens(context, model, flags, { maxTokens: CHECK_TOKENS, seed: 0 });
  const runner = await ModelRunner.start(model, { hook, threads: flags.threads });
  try {
    return await checkDictionary(context, { dictionary, path, backend, runner, tokens });
  } finally {
    await runner.close();
  }
}

/** @throws {MonosemeError} ERR_EXISTS when the folder holds anything */
async function expectEmpty(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new MonosemeError('ERR_EXISTS', `${folder} exists and is no folder.`, 'Name a new folder.');
  });
  if (names.length > 0)
    throw new MonosemeError(
      'ERR_EXISTS',
      `${folder} holds ${names.slice(0, 4).join(', ')} already.`,
      'Name a new folder.',
    );
}
