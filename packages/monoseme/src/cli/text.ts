import { dirname } from 'node:path';
import { type Command, Option } from 'commander';
import { expectRowNumbers } from '../activations/index.ts';
import {
  ChatTemplate,
  type Document,
  packContexts,
  packIntoFile,
  type PackOptions,
  readSources,
  TEXT_FORMATS,
  type TextCounts,
  type TextFile,
  type TextFormat,
  type TokenSet,
  type TokenText,
  type Tokenizer,
} from '../corpus/index.ts';
import type { OnnxModel } from '../model/index.ts';
import { type CommandContext, withStage } from './context.ts';
import { countOption, repeatable, tokenizerOption, wholeOption } from './options.ts';
import { openTokenizer } from './model-option.ts';
import { compact } from './progress.ts';
import type { RowFlags } from './row-options.ts';

export interface TextFlags {
  readonly text?: string[];
  readonly textColumn?: string;
  readonly chatTemplate?: string;
  readonly textFormat?: TextFormat;
  readonly deduplicate?: boolean;
  readonly skip?: number;
  readonly take?: number;
  readonly tokenizer?: string;
  readonly contextSize?: number;
  readonly packing?: PackOptions['packing'];
  readonly beginDocument?: string;
  readonly endDocument?: string;
  readonly beginContext?: string;
  readonly split?: 'train' | 'heldOut' | 'all';
}

const DEFAULT_CONTEXT_SIZE = 256;

export function addTextFlags(command: Command, split: TextFlags['split']): Command {
  return command
    .option(
      '--text <source>',
      'a file, folder or glob, - for the standard input, package:NAME or hf:datasets/OWNER/NAME; may be repeated (default: the built-in mixture)',
      repeatable,
    )
    .option(
      '--text-column <name>',
      'field or column with the text or conversation in JSONL, CSV, TSV, Parquet (default: text, messages or conversations)',
    )
    .option(
      '--chat-template <file>',
      'Jinja template or tokenizer_config.json for conversations (default: the one beside the tokenizer)',
    )
    .addOption(
      new Option(
        '--text-format <format>',
        'how documents lie in the files (default: as their names say)',
      ).choices(TEXT_FORMATS),
    )
    .option('--deduplicate', 'leave out documents whose text has been before')
    .option('--skip <n>', 'documents to pass over at the start', wholeOption)
    .option('--take <n>', 'documents to read after those, at most', wholeOption)
    .option(
      '--tokenizer <path>',
      'a tokenizer.json, or a folder with one (default: the one beside the model)',
      tokenizerOption,
    )
    .option(
      '--context-size <n>',
      'tokens the model sees at once (default: as in its config.json, else 256)',
      countOption,
    )
    .addOption(
      new Option(
        '--packing <way>',
        'stream: documents one after another; documents: one document a context, what is left of it dropped',
      )
        .choices(['stream', 'documents'])
        .default('stream'),
    )
    .option('--begin-document <token>', 'token before each document, or none (default: the BOS or separator)')
    .option('--end-document <token>', 'token after each document (default: none)')
    .option('--begin-context <token>', 'first token of each context (default: none)')
    .addOption(
      new Option('--split <name>', 'documents to use; one in twenty is held out, by its id')
        .choices(['train', 'heldOut', 'all'])
        .default(split),
    );
}

type ReadFlags = TextFlags & Pick<RowFlags, 'tokensPerContext' | 'maxNormRatio'>;

interface TokenLimits {
  readonly maxTokens: number;
  readonly seed: number;
  readonly split?: TextFlags['split'];
}

/** Tokenise text for a model: at most `maxTokens` tokens, in whole contexts. */
export function readTokens(
  context: CommandContext,
  model: OnnxModel,
  flags: ReadFlags,
  in_: TokenLimits,
): Promise<{ tokens: TokenSet; tokenizer: Tokenizer }> {
  return packed(context, model, flags, in_, packContexts);
}

/** The same into files without a name in a folder, which the caller closes. */
export function readTokensIntoFile(
  context: CommandContext,
  model: OnnxModel,
  flags: ReadFlags,
  in_: TokenLimits & { readonly folder: string },
): Promise<{ tokens: TextFile; tokenizer: Tokenizer }> {
  return packed(context, model, flags, in_, (documents, tokenizer, options) =>
    packIntoFile(documents, tokenizer, options, in_.folder),
  );
}

async function packed<T extends TokenText>(
  context: CommandContext,
  model: OnnxModel,
  flags: ReadFlags,
  in_: TokenLimits,
  pack: (documents: AsyncIterable<Document>, tokenizer: Tokenizer, options: PackOptions) => Promise<T>,
): Promise<{ tokens: T; tokenizer: Tokenizer }> {
  model.expectReadsTokens();
  const contextSize = flags.contextSize ?? model.contextSize ?? DEFAULT_CONTEXT_SIZE;
  expectRowNumbers(flags, contextSize);
  const tokenizer = await openTokenizer(model, flags.tokenizer);
  model.expectVocabulary(tokenizer.vocabSize);
  const counts: TextCounts = { brokenSequences: 0, duplicates: 0 };
  const tokens = await withStage(context, 'tokens', 'tokens', async (stage) => {
    let download = '';
    const documents = readSources(flags.text ?? ['default'], {
      ...{ seed: in_.seed, counts, deduplicate: flags.deduplicate, skip: flags.skip, take: flags.take },
      ...{ textField: flags.textColumn, format: flags.textFormat, chatTemplate: chatTemplate(model, flags) },
      hub: {
        signal: context.signal,
        onProgress(done, total, path) {
          download = done < total ? `${path} ${Math.floor((100 * done) / total)}% downloaded` : '';
          stage.update(0, in_.maxTokens, download);
        },
      },
    });
    const set = await pack(documents, tokenizer, {
      contextSize,
      maxTokens: in_.maxTokens,
      split: in_.split ?? flags.split ?? 'all',
      seed: in_.seed,
      packing: flags.packing,
      ...framing(tokenizer, flags),
      signal: context.signal,
      onProgress: (done, total) => stage.update(done, total, download),
    });
    const size = set.nContexts * set.contextSize;
    return [set, `${compact(size)} tokens in ${set.nContexts} contexts of ${set.contextSize}`];
  });
  context.progress.write(countsLine(counts));
  return { tokens, tokenizer };
}

/** The chat template named, or the one beside the tokenizer; looked for when there is a conversation, once. */
function chatTemplate(model: OnnxModel, flags: TextFlags): () => ChatTemplate {
  let template: ChatTemplate | undefined;
  const open = () =>
    flags.chatTemplate === undefined
      ? ChatTemplate.find(dirname(flags.tokenizer ?? model.tokenizerPath ?? model.path))
      : ChatTemplate.open(flags.chatTemplate);
  return () => (template ??= open());
}

/** The tokens around documents and contexts, by their names. */
function framing(
  tokenizer: Tokenizer,
  { beginDocument, endDocument, beginContext }: TextFlags,
): Pick<PackOptions, 'beginDocument' | 'endDocument' | 'beginContext'> {
  const id = (name: string | undefined) =>
    name === undefined ? undefined : name === 'none' ? null : tokenizer.tokenId(name);
  return { beginDocument: id(beginDocument), endDocument: id(endDocument), beginContext: id(beginContext) };
}

/** What reading came across, as a line; empty when it was nothing. */
function countsLine({ brokenSequences, duplicates }: TextCounts): string {
  const parts = [
    brokenSequences > 0 && `${brokenSequences} broken UTF-8 sequences became U+FFFD`,
    duplicates > 0 && `${duplicates} documents left out whose text had been before`,
  ].filter(Boolean);
  return parts.length > 0 ? `${' '.repeat(11)}${parts.join(', ')}\n` : '';
}

/** A token as it is shown in a line: spaces as dots. */
export function shownToken(tokenizer: Tokenizer, token: number): string {
  return tokenizer.tokenText(token).replace(/\s/g, '·');
}
