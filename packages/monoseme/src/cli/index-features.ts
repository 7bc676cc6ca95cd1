import { type ActivationSource, modelSource } from '../activations/index.ts';
import type { TokenSet, Tokenizer } from '../corpus/index.ts';
import { type Dictionary, loadDictionary } from '../dictionary/index.ts';
import { readReport } from '../evaluation/index.ts';
import { type BuiltIndex, buildFeatureIndex } from '../features/index.ts';
import type { KernelBackend } from '../kernels/index.ts';
import { averageLogitJacobian, ModelRunner } from '../model/index.ts';
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
} from './dictionary-option.ts';
import type { DeclareCommand } from './main.ts';
import { wholeOption } from './options.ts';
import { compact } from './progress.ts';
import { addTextFlags, readTokens, type TextFlags } from './text.ts';

interface Flags extends TextFlags, BackendFlags, DictionaryFlags, CheckFlags {
  readonly tokens: number;
  readonly out: string;
  readonly seed: number;
  readonly ablations: number;
}

/** `monoseme index`: the feature index that the page reads. */
export const indexCommand: DeclareCommand = (program, run) => {
  const command = program
    .command('index')
    .description('Build the index of a dictionary: examples, histograms and logit effects of every feature.')
    .argument('<dictionary>', DICTIONARY_HELP)
    .requiredOption('--out <folder>', 'folder of the index')
    .option('--tokens <n>', 'tokens to read, at most', wholeOption, 1_000_000)
    .option(
      '--ablations <tokens>',
      'tokens that may go through the model to measure what features do; 0 for none',
      wholeOption,
      DEFAULT_ABLATIONS,
    )
    .option('--seed <n>', 'order of the documents, and which examples are drawn', wholeOption, 0)
    .addHelpText('after', '\nExample:\n  monoseme index out/demo/dictionary --out index')
    .action(
      run(async (context, flags: Flags, folder) => {
        const backend = await openBackend(flags, context);
        const dictionary = await loadDictionary(folder);
        const { model, hook } = await modelOfDictionary(context, dictionary, flags);
        const { tokens, tokenizer } = await readTokens(context, model, flags, {
          maxTokens: flags.tokens,
          seed: flags.seed,
        });
        const runner = await ModelRunner.start(model, {
          hook,
          threads: flags.threads,
          suffix: model.logits !== undefined,
        });
        try {
          if (flags.check)
            await checkDictionary(context, { dictionary, path: folder, backend, runner, tokens });
          const madeFrom = { dictionary: await dictionaryHash(folder), model: model.sha256 };
          // Without figures of this very dictionary the index has none.
          const report = await readReport(await reportFolder(folder)).catch(() => undefined);
          const evaluation = report?.madeFrom['dictionary'] === madeFrom.dictionary ? report.figures : {};
          const source = modelSource(runner, tokens);
          const built = await indexWithProgress(context, {
            ...{ out: flags.out, dictionary, backend, runner, source, tokens, tokenizer },
            ...{ evaluation, madeFrom, seed: flags.seed, ablations: flags.ablations },
          });
          context.print(flags.out);
          context.result({ index: flags.out, ...built });
        } finally {
          await runner.close();
        }
      }),
    );
  addDictionaryFlags(command);
  addCheckFlag(command);
  addBackendFlags(command);
  addTextFlags(command, 'all');
};

/** Enough for all examples of 8,192 features of a model whose last half runs token by token. */
const DEFAULT_ABLATIONS = 1_000_000;

export interface IndexInput {
  readonly out: string;
  readonly dictionary: Dictionary;
  readonly backend: KernelBackend;
  readonly runner: ModelRunner;
  readonly source: ActivationSource;
  readonly tokens: TokenSet;
  readonly tokenizer: Tokenizer;
  readonly evaluation: Readonly<Record<string, number>>;
  readonly madeFrom: Readonly<Record<string, string>>;
  readonly seed: number;
  /** Tokens for ablations; {@link DEFAULT_ABLATIONS} when left out. */
  readonly ablations?: number;
}

export async function indexWithProgress(context: CommandContext, input: IndexInput): Promise<BuiltIndex> {
  const { signal } = context;
  const { runner, tokens, seed } = input;
  return withStage(context, 'index', 'tokens', async (stage) => {
    const jacobian =
      runner.vocabSize === undefined
        ? undefined
        : await averageLogitJacobian(runner, tokens.tokens, tokens.contextSize, { seed, signal });
    const built = await buildFeatureIndex({
      ...input,
      tokenSet: tokens,
      jacobian,
      ablations:
        runner.vocabSize === undefined ? undefined : { runner, tokens: input.ablations ?? DEFAULT_ABLATIONS },
      signal,
      onProgress: (done, total) => stage.update(done, total),
    });
    const size = `${compact(built.bytes)}B, ${(built.bytesPerLatent / 1000).toFixed(1)} kB a feature`;
    return [built, `${built.nAlive} features over ${compact(built.nTokens)} tokens, ${size}`];
  });
}
