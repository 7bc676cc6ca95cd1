import { join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type ActivationSource, modelSource } from '../activations/index.ts';
import type { TokenSet, Tokenizer } from '../corpus/index.ts';
import type { Dictionary } from '../dictionary/index.ts';
import { GOES_ON } from '../errors.ts';
import { readReport, reportFigures, writeReport, writeReportPage } from '../evaluation/index.ts';
import { openFeatureIndex } from '../features/index.ts';
import type { KernelBackend } from '../kernels/index.ts';
import { ModelRunner } from '../model/index.ts';
import { percentText } from '../report/index.ts';
import { expectFreePort } from '../server/index.ts';
import type { TrainOptions } from '../training/index.ts';
import { addBackendFlags, type BackendFlags, openBackend } from './backend-option.ts';
import { type CommandContext, withStage } from './context.ts';
import { dictionaryHash, tokensHash, subjectText } from './dictionary-option.ts';
import { evaluateWithProgress } from './evaluate.ts';
import { DEFAULT_PORT, serveUntilInterrupted } from './explore.ts';
import { indexSource, indexWithProgress } from './index-features.ts';
import type { DeclareCommand } from './main.ts';
import { DEFAULT_HOOK, DEFAULT_MODEL, MODEL_HELP, openModel } from './model-option.ts';
import { portOption } from './options.ts';
import { compact, duration } from './progress.ts';
import { featureRows, separatedFeatures } from './separated-features.ts';
import { table } from './table.ts';
import { readTokens } from './text.ts';
import { addTrainFlags, type TrainFlags, trainOptions } from './train-flags.ts';
import { trainWithProgress } from './train.ts';

/** Held-out tokens on which the dictionary is measured. */
const EVALUATION_TOKENS = 131_072;
/** Features in the table at the end. */
const FEATURES_SHOWN = 10;

interface Flags extends BackendFlags, TrainFlags {
  readonly model: string;
  readonly hook: string;
  readonly out: string;
  readonly serve: boolean;
  readonly port: number;
}

/** `monoseme demo`: the whole way, from text to the page. */
export const demoCommand: DeclareCommand = (program, run) => {
  const command = program
    .command('demo')
    .description('The whole way in one command: text, model, dictionary, evaluation, index, page.')
    .option('--model <model>', MODEL_HELP, DEFAULT_MODEL)
    .option('--hook <name>', 'tensor to read', DEFAULT_HOOK)
    .option('--out <folder>', 'where the artifacts are kept; what is unchanged is used again', 'out/demo')
    .option('--no-serve', 'end instead of serving the page')
    .option('--port <n>', 'port of the page on 127.0.0.1', portOption, DEFAULT_PORT)
    .addHelpText('after', '\nExample:\n  monoseme demo --tokens 300k --d-sae 1024 --out out/small')
    .action(run(demo, GOES_ON));
  addTrainFlags(command);
  addBackendFlags(command.optionsGroup('Kernels:'));
};

async function demo(context: CommandContext, flags: Flags): Promise<void> {
  const options = trainOptions(flags);
  if (flags.serve) await expectFreePort(flags.port);
  const work = await openWork(context, flags, options);
  const index = join(work.out, 'index');
  try {
    const dictionary = await train(context, work);
    const figures = await evaluate(context, work, dictionary);
    await buildIndex(context, work, dictionary, index, figures);
    await printFeatures(context, index);
    const end = (url?: string): void => {
      const result = demoResult(work, figures, index);
      context.print(`\n${closingTable(result, work.heldOut.tokens.length)}`);
      context.result({ ...result, url });
    };
    const { runner, backend, tokenizer } = work;
    const live = { runner, dictionary, backend, tokenizer };
    if (flags.serve) await serveUntilInterrupted(context, { index, port: flags.port, live }, end);
    else end();
  } finally {
    await work.runner.close();
  }
}

/** What the stages share. */
interface Work {
  readonly out: string;
  readonly modelName: string;
  readonly modelHash: string;
  readonly options: TrainOptions;
  readonly backend: KernelBackend;
  readonly runner: ModelRunner;
  readonly tokenizer: Tokenizer;
  readonly training: TokenSet;
  readonly heldOut: TokenSet;
  readonly source: ActivationSource;
}

async function openWork(context: CommandContext, flags: Flags, options: TrainOptions): Promise<Work> {
  const backend = await openBackend(flags, context);
  const model = await openModel(context, flags.model);
  const { tokens: training, tokenizer } = await readTokens(
    context,
    model,
    {},
    {
      maxTokens: options.tokens,
      seed: options.seed,
      split: 'train',
    },
  );
  const { tokens: heldOut } = await readTokens(
    context,
    model,
    {},
    {
      maxTokens: Math.min(EVALUATION_TOKENS, options.tokens),
      seed: options.seed,
      split: 'heldOut',
    },
  );
  tokenizer.forgetWords();
  const runner = await ModelRunner.start(model, { hook: flags.hook, threads: flags.threads, suffix: true });
  return {
    out: resolve(flags.out),
    modelName: flags.model,
    modelHash: model.sha256,
    options,
    backend,
    runner,
    tokenizer,
    training,
    heldOut,
    source: modelSource(runner, training),
  };
}

async function train(context: CommandContext, work: Work): Promise<Dictionary> {
  const { source, backend, options, out, modelName, runner } = work;
  const { dictionary } = await trainWithProgress(context, {
    source,
    backend,
    options,
    out: join(out, 'dictionary'),
    hookName: runner.hookName,
    modelName,
    resume: true,
    replace: true,
  });
  return dictionary;
}

async function evaluate(
  context: CommandContext,
  work: Work,
  dictionary: Dictionary,
): Promise<Readonly<Record<string, number>>> {
  const { backend, runner, heldOut, out, modelHash } = work;
  const folder = join(out, 'dictionary');
  const madeFrom = {
    dictionary: await dictionaryHash(folder),
    model: modelHash,
    tokens: tokensHash(heldOut),
  };
  const existing = await readReport(folder).catch(() => undefined);
  if (existing && isDeepStrictEqual(existing.madeFrom, madeFrom)) {
    await unchanged(context, 'evaluate');
    return existing.figures;
  }
  const report = await evaluateWithProgress(context, { dictionary, backend, runner, tokens: heldOut });
  const provenance = {
    madeFrom,
    subject: subjectText(dictionary, runner.hookName, runner.model.name),
    backend: backend.description,
    seed: work.options.seed,
    split: 'heldOut',
    command: context.command,
  } as const;
  await writeReport(folder, report, provenance);
  await writeReportPage(folder, report, provenance);
  return reportFigures(report);
}

function unchanged(context: CommandContext, stage: string): Promise<void> {
  return withStage(context, stage, '', async () => [undefined, 'unchanged']);
}

async function buildIndex(
  context: CommandContext,
  work: Work,
  dictionary: Dictionary,
  index: string,
  evaluation: Readonly<Record<string, number>>,
): Promise<void> {
  const { backend, runner, training, tokenizer, options, out, modelHash } = work;
  const source = indexSource(runner, training);
  const madeFrom = { dictionary: await dictionaryHash(join(out, 'dictionary')), model: modelHash };
  const existing = (await openFeatureIndex(index).catch(() => undefined))?.manifest;
  const isUnchanged =
    existing !== undefined &&
    existing.madeFrom['dictionary'] === madeFrom.dictionary &&
    existing.madeFrom['activations'] === source.hash;
  if (isUnchanged) return unchanged(context, 'index');
  await indexWithProgress(context, {
    ...{ out: index, dictionary, backend, runner, source, tokens: training, tokenizer },
    ...{ evaluation, madeFrom, seed: options.seed },
  });
}

async function printFeatures(context: CommandContext, folder: string): Promise<void> {
  const index = await openFeatureIndex(folder);
  const rows = featureRows(await separatedFeatures(index, FEATURES_SHOWN));
  context.print(`\n${table(['feature', 'density', 'fires on', 'raises the logits of'], rows)}`);
}

function demoResult(
  { training, options, backend, out }: Work,
  figures: Readonly<Record<string, number>>,
  index: string,
) {
  return {
    tokens: Math.floor(training.tokens.length / options.batchRows) * options.batchRows,
    dSae: options.dSae,
    l0: figures['l0'],
    explainedVariance: figures['explained_variance'],
    ceLossScore: figures['ce_loss_score'],
    fracDead: figures['frac_dead'],
    seconds: Number(process.uptime().toFixed(2)),
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    backend: backend.description,
    dictionary: join(out, 'dictionary'),
    index,
  };
}

function closingTable(result: ReturnType<typeof demoResult>, heldOutTokens: number): string {
  return table(
    ['', ''],
    [
      ['tokens', result.tokens.toLocaleString('en')],
      ['latents', result.dSae.toLocaleString('en')],
      ['L0', result.l0.toFixed(1)],
      ['explained variance', percentText(result.explainedVariance)],
      ['loss recovered', percentText(result.ceLossScore)],
      [
        'dead latents',
        `${percentText(result.fracDead)} (silent on ${compact(heldOutTokens)} held-out tokens)`,
      ],
      ['time', duration(result.seconds)],
      ['peak memory', `${compact(result.peakMemoryBytes)}B`],
      ['kernels', result.backend],
    ],
  ).trimStart();
}
