import { type Command, Option } from 'commander';
import { packContexts, readSources, type TokenSet, type Tokenizer } from '../corpus/index.ts';
import type { OnnxModel } from '../model/index.ts';
import { type CommandContext, withStage } from './context.ts';
import { wholeOption, repeatable } from './options.ts';
import { openTokenizer } from './model-option.ts';
import { compact } from './progress.ts';

export interface TextFlags {
  readonly text?: string[];
  readonly tokenizer?: string;
  readonly contextSize?: number;
  readonly split?: 'train' | 'heldOut' | 'all';
}

const DEFAULT_CONTEXT_SIZE = 256;

export function addTextFlags(command: Command, split: TextFlags['split']): Command {
  return command
    .option(
      '--text <source>',
      'a file, folder or glob, or package:NAME; may be repeated (default: the built-in mixture)',
      repeatable,
    )
    .option('--tokenizer <file>', 'a tokenizer.json (default: the one beside the model)')
    .option(
      '--context-size <n>',
      'tokens the model sees at once (default: as in its config.json, else 256)',
      wholeOption,
    )
    .addOption(
      new Option('--split <name>', 'documents to use; one in twenty is held out, by its id')
        .choices(['train', 'heldOut', 'all'])
        .default(split),
    );
}

/** Tokenise text for a model: at most `maxTokens` tokens, in whole contexts. */
export async function readTokens(
  context: CommandContext,
  model: OnnxModel,
  flags: TextFlags,
  in_: { maxTokens: number; seed: number; split?: TextFlags['split'] },
): Promise<{ tokens: TokenSet; tokenizer: Tokenizer }> {
  const tokenizer = await openTokenizer(model, flags.tokenizer);
  model.expectVocabulary(tokenizer.vocabSize);
  const tokens = await withStage(context, 'tokens', 'tokens', async (stage) => {
    const set = await packContexts(readSources(flags.text ?? ['default'], { seed: in_.seed }), tokenizer, {
      contextSize: flags.contextSize ?? model.contextSize ?? DEFAULT_CONTEXT_SIZE,
      maxTokens: in_.maxTokens,
      split: in_.split ?? flags.split ?? 'all',
      seed: in_.seed,
      signal: context.signal,
      onProgress: (done, total) => stage.update(done, total),
    });
    const size = set.nContexts * set.contextSize;
    return [set, `${compact(size)} tokens in ${set.nContexts} contexts of ${set.contextSize}`];
  });
  return { tokens, tokenizer };
}
