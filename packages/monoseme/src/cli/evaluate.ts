import { loadDictionary } from '../dictionary/index.ts';
import {
  type EvaluationReport,
  evaluateDictionary,
  reportFigures,
  writeReport,
} from '../evaluation/index.ts';
import { ModelRunner } from '../model/index.ts';
import { addBackendFlags, type BackendFlags, openBackend } from './backend-option.ts';
import { type CommandContext, withStage } from './context.ts';
import {
  addDictionaryFlags,
  type DictionaryFlags,
  dictionaryHash,
  modelOfDictionary,
  reportFolder,
  tokensHash,
} from './dictionary-option.ts';
import type { DeclareCommand } from './main.ts';
import { wholeOption } from './options.ts';
import { percent, table } from './table.ts';
import { addTextFlags, readTokens, type TextFlags } from './text.ts';

interface Flags extends TextFlags, BackendFlags, DictionaryFlags {
  readonly tokens: number;
  readonly out?: string;
  readonly seed: number;
}

/** `monoseme evaluate`: how good a dictionary is, on held-out text. */
export const evaluateCommand: DeclareCommand = (program, run) => {
  const command = program
    .command('evaluate')
    .description('Measure a dictionary on text that it was not trained on.')
    .argument('<dictionary>', 'folder of the dictionary')
    .option('--tokens <n>', 'tokens to measure on, at most', wholeOption, 131_072)
    .option('--seed <n>', 'order of the documents', wholeOption, 0)
    .option('--out <folder>', 'where evaluation.json goes (default: the dictionary)')
    .addHelpText('after', '\nExample:\n  monoseme evaluate out/demo/dictionary')
    .action(
      run(async (context, flags: Flags, folder) => {
        const backend = await openBackend(flags, context);
        const dictionary = await loadDictionary(folder);
        const { model, hook } = await modelOfDictionary(dictionary, flags);
        const { tokens } = await readTokens(context, model, flags, {
          maxTokens: flags.tokens,
          seed: flags.seed,
        });
        const runner = await ModelRunner.start(model, { hook, threads: flags.threads, suffix: true });
        try {
          const report = await evaluateWithProgress(context, { dictionary, backend, runner, tokens });
          const path = await writeReport(
            flags.out ?? (await reportFolder(folder)),
            report,
            {
              dictionary: await dictionaryHash(folder),
              model: model.sha256,
              tokens: tokensHash(tokens),
            },
            { backend: backend.description, seed: flags.seed, split: flags.split ?? 'heldOut' },
          );
          context.print(reportTable(report));
          context.print(path);
          context.result({ report: path, ...reportFigures(report) });
        } finally {
          await runner.close();
        }
      }),
    );
  addDictionaryFlags(command);
  addBackendFlags(command);
  addTextFlags(command, 'heldOut');
};

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
    const recovered = percent(report.ceLossScore);
    return [report, `L0 ${report.l0.toFixed(1)}, ${recovered} of the loss recovered`];
  });
}

/** The figures of a report for people. */
export function reportTable(report: EvaluationReport): string {
  const nats = (value: number) => `${value.toFixed(4)} nats`;
  return table(
    ['figure', 'value'],
    [
      ['tokens measured', report.nTokens.toLocaleString('en')],
      ['L0, active latents a token', report.l0.toFixed(2)],
      ['explained variance', percent(report.explainedVariance)],
      ['loss of the model', nats(report.ceLoss)],
      ['  with reconstructions', nats(report.ceLossReconstructed)],
      ['  with zeros', nats(report.ceLossZeroAblated)],
      ['  with the mean activation', nats(report.ceLossMeanAblated)],
      ['loss recovered, against zeros', percent(report.ceLossScore)],
      ['loss recovered, against the mean', percent(report.ceLossScoreMean)],
      ['never active on these tokens', percent(report.fracDead)],
      ['active on more than 1 % of them', percent(report.fracAbove1Percent)],
    ],
  );
}
