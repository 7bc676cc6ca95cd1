import { type ActivationSource, modelSource } from '../activations/index.ts';
import type { TokenText } from '../corpus/index.ts';
import { type Dictionary, loadDictionary } from '../dictionary/index.ts';
import { GOES_ON } from '../errors.ts';
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
import { addArrayFlags, type ArrayFlags, openArraySource } from './array-input.ts';
import { type IndexSubject, rowsSubject, storedSubject } from './index-store.ts';
import type { DeclareCommand } from './main.ts';
import { addBatchFlag, type BatchFlags, setBatch } from './model-option.ts';
import { wholeOption } from './options.ts';
import { compact } from './progress.ts';
import { addTextFlags, readTokensIntoFile, type TextFlags } from './text.ts';
import { expectOnlyStore } from './unread-flags.ts';

interface Flags extends TextFlags, BackendFlags, DictionaryFlags, CheckFlags, BatchFlags, ArrayFlags {
  readonly tokens: number;
  readonly store?: string;
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
      '--store <folder>',
      'activations of an activation store in place of those of a model; with --model the model says what features do',
    )
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
        if (flags.store !== undefined) expectOnlyStore(flags, 'tokenizer', ...besideStore(flags));
        const backend = await openBackend(flags, context);
        const dictionary = await loadDictionary(folder);
        const subject = flags.store
          ? await storedSubject(context, { ...flags, store: flags.store })
          : await modelSubject(context, dictionary, flags);
        const { runner, tokens } = subject;
        try {
          if (runner) await setBatch(context, runner, tokens.contextSize, flags);
          if (flags.check && runner)
            await checkDictionary(context, { dictionary, path: folder, backend, runner, tokens });
          const madeFrom = { dictionary: await dictionaryHash(folder), ...subject.madeFrom };
          // Without figures of this very dictionary the index has none.
          const report = await readReport(await reportFolder(folder)).catch(() => undefined);
          const evaluation = report?.madeFrom['dictionary'] === madeFrom.dictionary ? report.figures : {};
          const built = await indexWithProgress(context, {
            ...{ ...subject, out: flags.out, dictionary, backend },
            ...{ evaluation, madeFrom, seed: flags.seed, ablations: flags.ablations },
          });
          context.print(flags.out);
          context.result({ index: flags.out, ...built });
        } finally {
          await subject.close();
        }
      }, GOES_ON),
    );
  addDictionaryFlags(command);
  addCheckFlag(command);
  addBatchFlag(command);
  addArrayFlags(command);
  addBackendFlags(command);
  addTextFlags(command, 'all');
};

/** What says something of the model beside a store, where one is named that says what features do. */
function besideStore({ model }: Flags): ((keyof Flags & keyof DictionaryFlags) | 'check' | 'modelBatch')[] {
  return model === undefined ? [] : ['model', 'hook', 'input', 'device', 'check', 'modelBatch'];
}

/** The model of a dictionary, over text or arrays. */
async function modelSubject(
  context: CommandContext,
  dictionary: Dictionary,
  flags: Flags,
): Promise<IndexSubject> {
  const { model, hook } = await modelOfDictionary(context, dictionary, flags);
  if (!model.readsTokens) {
    const { source, close } = await openArraySource(model, hook, flags);
    return rowsSubject(context, source, flags.out, close);
  }
  const limits = { maxTokens: flags.tokens, seed: flags.seed, folder: flags.out };
  const { tokens, tokenizer } = await readTokensIntoFile(context, model, flags, limits);
  tokenizer.forgetWords();
  const suffix = model.logits !== undefined;
  const runner = await ModelRunner.start(model, { hook, threads: flags.threads, suffix });
  const close = async () => {
    tokens.close();
    await runner.close();
  };
  const madeFrom = { model: model.sha256 };
  const source = indexSource(runner, tokens);
  return { runner, source, tokens, tokenizer, madeFrom, close };
}

/** Floats of a chunk, about: what is known of a latent is fetched once a chunk, but much memory at once wakes the collector. */
const FLOATS_PER_CHUNK = 2 ** 21;
const FEWEST_TOKENS = 2048;

/** The activations of a text in chunks as the index likes them. */
export function indexSource(runner: ModelRunner, tokens: TokenText): ActivationSource {
  const tokensPerChunk = Math.max(FEWEST_TOKENS, FLOATS_PER_CHUNK / runner.dIn);
  const contextsPerChunk = Math.max(1, Math.floor(tokensPerChunk / tokens.contextSize));
  return modelSource(runner, tokens, { contextsPerChunk });
}

/** Enough for all examples of 8,192 features of a model whose last half runs token by token. */
const DEFAULT_ABLATIONS = 1_000_000;

export interface IndexInput extends Omit<IndexSubject, 'close'> {
  readonly out: string;
  readonly dictionary: Dictionary;
  readonly backend: KernelBackend;
  readonly evaluation: Readonly<Record<string, number>>;
  readonly seed: number;
  /** Tokens for ablations; {@link DEFAULT_ABLATIONS} when left out. */
  readonly ablations?: number;
}

export async function indexWithProgress(context: CommandContext, input: IndexInput): Promise<BuiltIndex> {
  const { signal } = context;
  const { runner, tokens, seed } = input;
  return withStage(context, 'index', 'tokens', async (stage) => {
    const model = runner?.vocabSize === undefined ? undefined : runner;
    const jacobian =
      model && (await averageLogitJacobian(model, tokens.tokens, tokens.contextSize, { seed, signal }));
    const built = await buildFeatureIndex({
      ...input,
      tokenSet: tokens,
      jacobian,
      ablations: model && { runner: model, tokens: input.ablations ?? DEFAULT_ABLATIONS },
      signal,
      onProgress: (done, total) => stage.update(done, total),
    });
    const size = `${compact(built.bytes)}B, ${(built.bytesPerLatent / 1000).toFixed(1)} kB a feature`;
    return [built, `${built.nAlive} features over ${compact(built.nTokens)} tokens, ${size}`];
  });
}
