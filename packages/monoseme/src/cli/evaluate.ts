import { join } from 'node:path';
import { loadDictionary } from '../dictionary/index.ts';
import {
  type EvaluationReport,
  evaluateDictionary,
  FIGURE_HEADER,
  figureRows,
  intervalNote,
  reportFigures,
  writeReport,
  writeReportPage,
} from '../evaluation/index.ts';
import { ModelRunner } from '../model/index.ts';
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
import { wholeOption } from './options.ts';
import { percent, table } from './table.ts';
import { addTextFlags, readTokens, type TextFlags } from './text.ts';

interface Flags extends TextFlags, BackendFlags, DictionaryFlags, CheckFlags {
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
    .option('--seed <n>', 'order of the documents', wholeOption, 0)
    .option('--out <folder>', 'where evaluation.json and evaluation.html go (default: the dictionary)')
    .addHelpText('after', '\nExample:\n  monoseme evaluate out/demo/dictionary')
    .action(
      run(async (context, flags: Flags, folder) => {
        const backend = await openBackend(flags, context);
        const dictionary = await loadDictionary(folder);
        const out = flags.out ?? (await reportFolder(folder));
        const { model, hook } = await modelOfDictionary(context, dictionary, flags);
        const { tokens } = await readTokens(context, model, flags, {
          maxTokens: flags.tokens,
          seed: flags.seed,
        });
        const runner = await ModelRunner.start(model, { hook, threads: flags.threads, suffix: true });
        try {
          if (flags.check)
            await checkDictionary(context, { dictionary, path: folder, backend, runner, tokens });
          const provenance = {
            madeFrom: {
              dictionary: await dictionaryHash(folder),
              model: model.sha256,
              tokens: tokensHash(tokens),
            },
            subject: subjectText(dictionary, runner),
            backend: backend.description,
            seed: flags.seed,
            split: flags.split ?? 'heldOut',
            command: context.command,
          };
          const report = await evaluateWithProgress(context, {
            ...{
              dictionary,
              backend,
              runner,
              tokens,
              seed: flags.seed,
              downstreamTokens: flags.downstreamTokens,
            },
            progressFile: {
              path: join(out, 'evaluation.unfinished.safetensors'),
              fingerprint: JSON.stringify([
                runner.tensorName,
                backend.description,
                flags.downstreamTokens,
                provenance.madeFrom,
              ]),
            },
          });
          const path = await writeReport(out, report, provenance);
          const page = await writeReportPage(out, report, provenance);
          context.print(table(FIGURE_HEADER, figureRows(report)));
          context.print(clusterLine(report));
          if (!report.intervals) context.print(intervalNote(report));
          context.print(`${path}\n${page}`);
          context.result({ report: path, page, ...reportFigures(report) });
        } finally {
          await runner.close();
        }
      }),
    );
  addDictionaryFlags(command);
  addCheckFlag(command);
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
    const recovered = percent(report.figures.ceLossScore);
    return [report, `L0 ${report.figures.l0.toFixed(1)}, ${recovered} of the loss recovered`];
  });
}

function clusterLine({ clusters, directions }: EvaluationReport): string {
  const { nLive, nUltralow, nDead } = clusters;
  const duplicates = percent(directions.fracNearDuplicates);
  return `${nLive} latents live, ${nUltralow} of ultralow density, ${nDead} never active; ${duplicates} near-duplicates`;
}
