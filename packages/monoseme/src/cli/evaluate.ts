import { join } from 'node:path';
import {
  type ActivationSource,
  ActivationStore,
  type LeftOut,
  leftOutOf,
  modelSource,
  readLeftOut,
} from '../activations/index.ts';
import type { Tokenizer } from '../corpus/index.ts';
import { type Dictionary, loadDictionary } from '../dictionary/index.ts';
import {
  type EvaluationReport,
  evaluateDictionary,
  evaluateRows,
  expectAutoencoder,
  FIGURE_HEADER,
  figureRows,
  hasDownstream,
  intervalNote,
  NOT_RUN_ON,
  type Provenance,
  reportFigures,
  writeReport,
  writeReportPage,
} from '../evaluation/index.ts';
import { MonosemeError } from '../errors.ts';
import type { KernelBackend } from '../kernels/index.ts';
import { ModelRunner } from '../model/index.ts';
import { percentText } from '../report/index.ts';
import { addArrayFlags, type ArrayFlags, openArraySource } from './array-input.ts';
import { addBackendFlags, type BackendFlags, openBackend } from './backend-option.ts';
import { addCheckFlag, checkDictionary, type CheckFlags } from './check-dictionary.ts';
import { type CommandContext, withStage } from './context.ts';
import {
  addDictionaryFlags,
  DICTIONARY_HELP,
  type DictionaryFlags,
  dictionaryHash,
  modelOfDictionary,
  reportFolder,
  subjectText,
  tokensHash,
} from './dictionary-option.ts';
import type { DeclareCommand } from './main.ts';
import { repeatable, wholeOption } from './options.ts';
import { addBatchFlag, type BatchFlags, setBatch } from './model-option.ts';
import { evaluateCrosscoder } from './evaluate-crosscoder.ts';
import { addLeftOutFlags, type LeftOutFlags, leftOutRows } from './row-options.ts';
import { table } from './table.ts';
import { addTextFlags, readTokens, type TextFlags } from './text.ts';
import { expectOnlyStore } from './unread-flags.ts';

interface Flags
  extends TextFlags, BackendFlags, DictionaryFlags, CheckFlags, LeftOutFlags, BatchFlags, ArrayFlags {
  readonly store?: string[];
  readonly everyToken?: boolean;
  readonly tokens: number;
  readonly downstreamTokens: number;
  readonly out?: string;
  readonly seed: number;
}

/** `monoseme evaluate`: how good a dictionary is, on held-out text. */
export const evaluateCommand: DeclareCommand = (program, run) => {
  const command = program
    .command('evaluate')
    .description('Measure a dictionary on text that it was not trained on.')
    .argument('<dictionary>', DICTIONARY_HELP)
    .option('--tokens <n>', 'tokens to measure on, at most', wholeOption, 131_072)
    .option(
      '--downstream-tokens <n>',
      'tokens on which the model is run on from edited activations, at most',
      wholeOption,
      131_072,
    )
    .option(
      '--store <folder>',
      'measure on an activation store, without the model; again for each source of a crosscoder',
      repeatable,
    )
    .option(
      '--every-token',
      'measure on tokens too that the dictionary was trained without (as its cfg.json says)',
    )
    .option('--seed <n>', 'order of the documents', wholeOption, 0)
    .option('--out <folder>', 'where evaluation.json and evaluation.html go (default: the dictionary)')
    .addHelpText('after', '\nExample:\n  monoseme evaluate out/demo/dictionary')
    .action(
      run(async (context, flags: Flags, folder) => {
        if (flags.store !== undefined) expectOnlyStore(flags);
        const backend = await openBackend(flags, context);
        const dictionary = await loadDictionary(folder);
        const out = flags.out ?? (await reportFolder(folder));
        const work = { context, flags, folder, out, dictionary, backend };
        if (dictionary.config.sources) return context.result({ sources: await evaluateCrosscoder(work) });
        expectAutoencoder(dictionary);
        const found =
          flags.store === undefined ? await measureModel(work) : await measureStore(work, flags.store);
        context.result(await writeFound(work, out, found));
      }),
    );
  addDictionaryFlags(command);
  addCheckFlag(command);
  addBackendFlags(command);
  addBatchFlag(command);
  addLeftOutFlags(command);
  addArrayFlags(command);
  addTextFlags(command, 'heldOut');
};

/** A dictionary to measure. */
export interface EvaluateWork {
  readonly context: CommandContext;
  readonly flags: Flags;
  readonly folder: string;
  readonly out: string;
  readonly dictionary: Dictionary;
  readonly backend: KernelBackend;
}

export type Found = [EvaluationReport, Provenance];

/** Write a report into a folder and print it. @returns what `--json` says of it */
export async function writeFound(
  { context }: EvaluateWork,
  out: string,
  [report, provenance]: Found,
): Promise<Record<string, unknown>> {
  const path = await writeReport(out, report, provenance);
  const page = await writeReportPage(out, report, provenance);
  context.print(table(FIGURE_HEADER, figureRows(report)));
  context.print(clusterLine(report));
  if (!hasDownstream(report)) context.print(NOT_RUN_ON);
  if (report.nLeftOut > 0) context.print(leftOutLine(report));
  if (!report.intervals) context.print(intervalNote(report));
  context.print(`${path}\n${page}`);
  return { report: path, page, ...reportFigures(report) };
}

/** On what its model makes of text, or of arrays. */
async function measureModel(work: EvaluateWork): Promise<Found> {
  const { context, flags, folder, out, dictionary, backend } = work;
  const { model, hook } = await modelOfDictionary(context, dictionary, flags);
  if (!model.readsTokens) {
    const { source, close } = await openArraySource(model, hook, flags);
    try {
      return await measureRows(work, source);
    } finally {
      await close();
    }
  }
  const limits = { maxTokens: flags.tokens, seed: flags.seed };
  const { tokens, tokenizer } = await readTokens(context, model, flags, limits);
  const suffix = model.logits !== undefined;
  const runner = await ModelRunner.start(model, { hook, threads: flags.threads, suffix });
  try {
    await setBatch(context, runner, tokens.contextSize, flags);
    if (flags.check) await checkDictionary(context, { dictionary, path: folder, backend, runner, tokens });
    const leftOut = rowsLeftOut(dictionary, tokenizer, flags);
    if (!suffix) {
      const source = modelSource(runner, tokens, { rows: leftOut });
      return await measureRows(work, source);
    }
    const madeFrom = {
      dictionary: await dictionaryHash(folder),
      model: model.sha256,
      tokens: tokensHash(tokens),
    };
    const { downstreamTokens, seed, split = 'heldOut' } = flags;
    const settings = [runner.tensorName, backend.description, downstreamTokens, leftOut, madeFrom];
    const report = await evaluateWithProgress(context, {
      ...{ dictionary, backend, runner, tokens, leftOut, seed, downstreamTokens },
      progressFile: {
        path: join(out, 'evaluation.unfinished.safetensors'),
        fingerprint: JSON.stringify(settings),
      },
    });
    return [report, { ...provenanceOf(work, madeFrom, runner.hookName, model.name), split, leftOut }];
  } finally {
    await runner.close();
  }
}

/** @throws {MonosemeError} ERR_USAGE (a second store), ERR_MISMATCH (activations of another model) */
async function measureStore(work: EvaluateWork, [folder, second]: readonly string[]): Promise<Found> {
  if (second !== undefined)
    throw new MonosemeError(
      'ERR_USAGE',
      `--store ${second} was given beside another, but the dictionary reads one hook point.`,
      'Only a crosscoder is measured on several stores.',
    );
  const store = await ActivationStore.open(folder);
  const trainedOn = work.dictionary.config.metadata['model_sha256'];
  if (typeof trainedOn === 'string' && store.modelHash !== undefined && trainedOn !== store.modelHash)
    throw new MonosemeError(
      'ERR_MISMATCH',
      `${folder} holds activations of another model than the dictionary was trained on.`,
      'Give a store of the same model.',
    );
  return measureRows(work, store);
}

/** On activations alone. */
async function measureRows(
  work: EvaluateWork,
  source: ActivationSource & { readonly hookName: string; readonly modelName: string },
): Promise<Found> {
  const { context, flags, folder, dictionary, backend } = work;
  const report = await withStage(context, 'evaluate', 'rows', async (stage) => {
    const found = await evaluateRows({
      ...{ dictionary, backend, source, seed: flags.seed, signal: context.signal },
      onProgress: (done, total) => stage.update(done, total),
    });
    const { l0, explainedVariance } = found.figures;
    return [found, `L0 ${l0.toFixed(1)}, explained variance ${percentText(explainedVariance)}`];
  });
  const madeFrom = {
    dictionary: await dictionaryHash(folder),
    ...(source.modelHash !== undefined && { model: source.modelHash }),
    activations: source.hash,
  };
  const { leftOut, hookName, modelName } = source;
  return [report, { ...provenanceOf(work, madeFrom, hookName, modelName), split: 'all', leftOut }];
}

function provenanceOf(
  { context, flags, dictionary, backend }: EvaluateWork,
  madeFrom: Readonly<Record<string, string>>,
  hookName: string,
  modelName: string,
): Omit<Provenance, 'split'> {
  return {
    madeFrom,
    subject: subjectText(dictionary, hookName, modelName),
    backend: backend.description,
    seed: flags.seed,
    command: context.command,
  };
}

/** What is asked for; without a word, what the dictionary says it was trained without. */
export function rowsLeftOut({ config }: Dictionary, tokenizer: Tokenizer, flags: Flags): LeftOut | undefined {
  const asked = leftOutOf(leftOutRows(flags, tokenizer));
  if (asked || flags.everyToken) return asked;
  return readLeftOut(config.metadata['left_out']);
}

function leftOutLine({ nLeftOut, counts }: EvaluationReport): string {
  const share = percentText(nLeftOut / (nLeftOut + counts.tokens));
  return `${nLeftOut} tokens (${share}) left out, where the activations stay as they are (--every-token: measured too)`;
}

export async function evaluateWithProgress(
  context: CommandContext,
  input: Omit<Parameters<typeof evaluateDictionary>[0], 'signal' | 'onProgress'>,
): Promise<EvaluationReport> {
  return withStage(context, 'evaluate', 'tokens', async (stage) => {
    const report = await evaluateDictionary({
      ...input,
      signal: context.signal,
      onProgress: (done, total) => stage.update(done, total),
    });
    const recovered = percentText(report.figures.ceLossScore);
    return [report, `L0 ${report.figures.l0.toFixed(1)}, ${recovered} of the loss recovered`];
  });
}

function clusterLine({ clusters, directions }: EvaluationReport): string {
  const { nLive, nUltralow, nDead } = clusters;
  const duplicates = percentText(directions.fracNearDuplicates);
  return `${nLive} latents live, ${nUltralow} of ultralow density, ${nDead} never active; ${duplicates} near-duplicates`;
}
