import type { Command } from 'commander';
import { modelSource } from '../activations/index.ts';
import { type Analysis, type CodedText, type Pass, writeAnalysis } from '../analysis/index.ts';
import type { TokenSet, Tokenizer } from '../corpus/index.ts';
import { loadDictionary } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import { sha256File } from '../formats/index.ts';
import { ModelRunner, type OnnxModel } from '../model/index.ts';
import { addBackendFlags, type BackendFlags, openBackend } from './backend-option.ts';
import { type CommandContext, withStage } from './context.ts';
import {
  addDictionaryFlags,
  dictionaryHash,
  type DictionaryFlags,
  modelOfDictionary,
  reportFolder,
  tokensHash,
} from './dictionary-option.ts';
import { wholeOption } from './options.ts';
import { compact } from './progress.ts';
import { table } from './table.ts';
import { addTextFlags, readTokens, type TextFlags } from './text.ts';

export interface AnalyzeFlags extends TextFlags, BackendFlags, DictionaryFlags {
  readonly tokens: number;
  readonly seed: number;
  readonly out?: string;
}

export function addAnalyzeFlags(command: Command): void {
  command
    .option('--tokens <n>', 'tokens to look at, at most', wholeOption, 1_000_000)
    .option('--seed <n>', 'order of the documents', wholeOption, 0)
    .option(
      '--out <folder>',
      'where the .json and the .html go (default: the folder of the first dictionary)',
    );
  addDictionaryFlags(command);
  addBackendFlags(command);
  addTextFlags(command, 'heldOut');
}

/** Dictionaries over one text, ready to be gone through. */
export interface AnalyzeInput {
  readonly texts: readonly CodedText[];
  readonly tokens: TokenSet;
  readonly tokenizer: Tokenizer;
  readonly pass: Pass;
  /** By text: what runs its model. */
  readonly runners: readonly ModelRunner[];
  /** Whether all of them read the same tensor of the same model. */
  readonly sameActivations: boolean;
}

/**
 * Open dictionaries with their models over one text, run an analysis, write and print what it found.
 *
 * @throws {MonosemeError} ERR_MISMATCH when the models' tokenizers differ
 */
export async function analyze(
  context: CommandContext,
  flags: AnalyzeFlags,
  folders: readonly string[],
  work: (input: AnalyzeInput) => Promise<Analysis>,
): Promise<void> {
  const backend = await openBackend(flags, context);
  const dictionaries = await Promise.all(folders.map((folder) => loadDictionary(folder)));
  const opened = await Promise.all(dictionaries.map((dictionary) => modelOfDictionary(dictionary, flags)));
  const models = opened.map(({ model }) => model);
  await expectOneTokenizer(models);
  const { tokens, tokenizer } = await readTokens(context, models[0], flags, {
    maxTokens: flags.tokens,
    seed: flags.seed,
  });
  tokenizer.forgetWords();
  const names = opened.map(({ model, hook }) => `${model.sha256} ${hook}`);
  const runners = new Map<string, ModelRunner>();
  try {
    for (const [i, { model, hook }] of opened.entries()) {
      if (!runners.has(names[i]))
        runners.set(names[i], await ModelRunner.start(model, { hook, threads: flags.threads }));
    }
    const sources = new Map([...runners].map(([name, runner]) => [name, modelSource(runner, tokens)]));
    const texts = dictionaries.map((dictionary, i) => ({ dictionary, source: sources.get(names[i])! }));
    const found = await withStage(context, 'analyze', 'tokens', async (stage) => {
      const total = tokens.tokens.length;
      const onProgress = (done: number) => stage.update(done, total);
      const pass = { backend, signal: context.signal, onProgress };
      const sameActivations = runners.size === 1;
      const ofTexts = names.map((name) => runners.get(name)!);
      return [
        await work({ texts, tokens, tokenizer, pass, sameActivations, runners: ofTexts }),
        `${compact(total)} tokens`,
      ];
    });
    const hashes = await Promise.all(folders.map(dictionaryHash));
    const paths = await writeAnalysis(flags.out ?? (await reportFolder(folders[0])), found, {
      madeFrom: {
        ...Object.fromEntries(hashes.map((hash, i) => [`dictionary${i === 0 ? '' : `_${i + 1}`}`, hash])),
        ...Object.fromEntries(models.map(({ sha256 }, i) => [`model${i === 0 ? '' : `_${i + 1}`}`, sha256])),
        tokens: tokensHash(tokens),
      },
      ...{ backend: backend.description, seed: flags.seed, command: context.command },
    });
    printFindings(context, found, paths);
  } finally {
    for (const runner of runners.values()) await runner.close();
  }
}

function printFindings(
  context: CommandContext,
  found: Analysis,
  paths: { json: string; page: string },
): void {
  context.print(found.summary);
  for (const { tables = [] } of found.sections) {
    const [first] = tables;
    if (first && first.rows.length > 0) context.print(`\n${table(first.header, first.rows)}`);
  }
  context.print(`\n${paths.json}\n${paths.page}`);
  context.result({ report: paths.json, page: paths.page, summary: found.summary, ...found.figures });
}

/** Token by token comparison needs one tokenizer. */
async function expectOneTokenizer(models: readonly OnnxModel[]): Promise<void> {
  const hashes = new Set<string>();
  for (const { tokenizerPath } of models) {
    hashes.add(tokenizerPath === undefined ? '' : await sha256File(tokenizerPath));
  }
  if (hashes.size > 1)
    throw new MonosemeError(
      'ERR_MISMATCH',
      'The models of the dictionaries have different tokenizers, so their tokens do not line up.',
      'Compare dictionaries of models that share a tokenizer.',
    );
}
