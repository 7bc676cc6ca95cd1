import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import { modelSource } from '../activations/index.ts';
import { type Analysis, type CodedText, type CutText, type Pass, writeAnalysis } from '../analysis/index.ts';
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
import { addBatchFlag, type BatchFlags, setBatch } from './model-option.ts';
import { wholeOption } from './options.ts';
import { compact } from './progress.ts';
import { table } from './table.ts';
import { addTextFlags, readTokens, type TextFlags } from './text.ts';

export interface AnalyzeFlags extends TextFlags, BackendFlags, DictionaryFlags, BatchFlags {
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
  addBatchFlag(command);
  addBackendFlags(command);
  addTextFlags(command, 'heldOut');
}

/** Dictionaries over one text, ready to be gone through. */
export interface AnalyzeInput {
  readonly texts: readonly CodedText[];
  /** Of the first. */
  readonly tokens: TokenSet;
  readonly tokenizer: Tokenizer;
  /** By text: tokens and tokenizer; the same object where the tokenizer is the same. */
  readonly cuts: readonly CutText[];
  readonly pass: Pass;
  /** By text: what runs its model. */
  readonly runners: readonly ModelRunner[];
  /** Whether all of them read the same tensor of the same model. */
  readonly sameActivations: boolean;
}

/**
 * Open dictionaries with their models over one text, run an analysis, write and print what it found.
 *
 * @param severalTokenizers whether the models may have different ones
 * @throws {MonosemeError} ERR_MISMATCH when the models' tokenizers differ and may not
 */
export async function analyze(
  context: CommandContext,
  flags: AnalyzeFlags,
  folders: readonly string[],
  work: (input: AnalyzeInput) => Promise<Analysis>,
  { severalTokenizers = false } = {},
): Promise<void> {
  const backend = await openBackend(flags, context);
  const dictionaries = await Promise.all(folders.map((folder) => loadDictionary(folder)));
  const opened = await Promise.all(
    dictionaries.map((dictionary) => modelOfDictionary(context, dictionary, flags)),
  );
  const models = opened.map(({ model }) => model);
  const cuts = await readCuts(context, models, flags, severalTokenizers);
  const [{ tokens, vocabulary: tokenizer }] = cuts;
  const names = opened.map(({ model, hook }, i) => `${model.sha256} ${hook} ${cuts.indexOf(cuts[i])}`);
  const runners = new Map<string, ModelRunner>();
  // Models run side by side: cores of their own spare them the waiting of threads for each other.
  const threads = Math.max(1, Math.floor(availableParallelism() / new Set(names).size));
  try {
    for (const [i, { model, hook }] of opened.entries()) {
      if (runners.has(names[i])) continue;
      const runner = await ModelRunner.start(model, { hook, threads: flags.threads ?? threads });
      runners.set(names[i], runner);
      await setBatch(context, runner, cuts[i].tokens.contextSize, flags);
    }
    const sources = new Map(names.map((name, i) => [name, modelSource(runners.get(name)!, cuts[i].tokens)]));
    const texts = dictionaries.map((dictionary, i) => ({ dictionary, source: sources.get(names[i])! }));
    const found = await withStage(context, 'analyze', 'tokens', async (stage) => {
      const total = tokens.tokens.length;
      const onProgress = (done: number) => stage.update(done, total);
      const pass = { backend, signal: context.signal, onProgress };
      const sameActivations = runners.size === 1;
      const ofTexts = names.map((name) => runners.get(name)!);
      return [
        await work({ texts, tokens, tokenizer, cuts, pass, sameActivations, runners: ofTexts }),
        `${compact(total)} tokens`,
      ];
    });
    const hashes = await Promise.all(folders.map(dictionaryHash));
    const paths = await writeAnalysis(flags.out ?? (await reportFolder(folders[0])), found, {
      madeFrom: {
        ...Object.fromEntries(hashes.map((hash, i) => [`dictionary${i === 0 ? '' : `_${i + 1}`}`, hash])),
        ...Object.fromEntries(models.map(({ sha256 }, i) => [`model${i === 0 ? '' : `_${i + 1}`}`, sha256])),
        ...Object.fromEntries(
          [...new Set(cuts)].map((cut, i) => [`tokens${i === 0 ? '' : `_${i + 1}`}`, tokensHash(cut.tokens)]),
        ),
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

/**
 * The text as the tokenizer of each model cuts it; models with the same tokenizer share one.
 *
 * @throws {MonosemeError} ERR_MISMATCH when there are several and only one is allowed
 */
async function readCuts(
  context: CommandContext,
  models: readonly OnnxModel[],
  flags: AnalyzeFlags,
  severalTokenizers: boolean,
): Promise<(CutText & { readonly vocabulary: Tokenizer })[]> {
  const paths = models.map(({ tokenizerPath }) => flags.tokenizer ?? tokenizerPath);
  const hashes = await Promise.all(paths.map((path) => (path === undefined ? '' : sha256File(path))));
  if (new Set(hashes).size > 1 && !severalTokenizers)
    throw new MonosemeError(
      'ERR_MISMATCH',
      'The models of the dictionaries have different tokenizers, so their tokens do not line up.',
      'Compare dictionaries of models that share a tokenizer; universality alone goes without.',
    );
  const cuts = new Map<string, CutText & { readonly vocabulary: Tokenizer }>();
  for (const [i, model] of models.entries()) {
    if (cuts.has(hashes[i])) continue;
    const { tokens, tokenizer } = await readTokens(context, model, flags, {
      maxTokens: flags.tokens,
      seed: flags.seed,
    });
    tokenizer.forgetWords();
    cuts.set(hashes[i], { tokens, vocabulary: tokenizer });
  }
  return hashes.map((hash) => cuts.get(hash)!);
}
