import { ActivationStore, type StoreDtype } from '../activations/index.ts';
import { snakeCaseKeys } from '../formats/index.ts';
import { ModelRunner } from '../model/index.ts';
import { withStage } from './context.ts';
import type { DeclareCommand } from './main.ts';
import { DEFAULT_HOOK, MODEL_HELP, openModel } from './model-option.ts';
import { wholeOption } from './options.ts';
import { compact } from './progress.ts';
import { addRowFlags, droppedLine, type RowFlags, rowOptions, storeDtype } from './row-options.ts';
import { addTextFlags, readTokens, type TextFlags } from './text.ts';

interface HarvestFlags extends TextFlags, RowFlags {
  readonly hook: string;
  readonly out: string;
  readonly tokens: number;
  readonly dtype: StoreDtype;
  readonly threads?: number;
  readonly seed: number;
}

/** `monoseme harvest`: activations of text to disk. */
export const harvestCommand: DeclareCommand = (program, run) => {
  const command = program
    .command('harvest')
    .description('Run a model over text and store the activations of one tensor.')
    .argument('<model>', MODEL_HELP)
    .requiredOption('--out <folder>', 'the activation store to make; run again to go on with it')
    .option('--hook <name>', 'tensor to read (monoseme inspect lists them)', DEFAULT_HOOK)
    .option('--tokens <n>', 'tokens to harvest, at most', wholeOption, 1_000_000)
    .option('--dtype <type>', 'F16, BF16, F32, or I8 (int8 with a scale a row)', storeDtype, 'F16')
    .option('--threads <n>', 'threads of the model', wholeOption)
    .option('--seed <n>', 'order of the documents', wholeOption, 0)
    .addHelpText('after', '\nExample:\n  monoseme harvest one-layer-a --text notes.txt --out store')
    .action(
      run(async (context, flags: HarvestFlags, modelPath) => {
        const model = await openModel(modelPath);
        model.resolveHook(flags.hook);
        const { tokens, tokenizer } = await readTokens(context, model, flags, {
          maxTokens: flags.tokens,
          seed: flags.seed,
        });
        const runner = await ModelRunner.start(model, {
          hook: flags.hook,
          threads: flags.threads,
          half: flags.dtype === 'F16' && flags.maxNormRatio === undefined,
        });
        try {
          const store = await withStage(context, 'harvest', 'tokens', async (stage) => {
            const written = await ActivationStore.write(flags.out, runner, tokens, {
              dtype: flags.dtype,
              rows: rowOptions(flags, tokenizer, flags.seed),
              signal: context.signal,
              onProgress: (done, total) => stage.update(done, total),
            });
            return [written, `${compact(written.nRows)} activations of ${runner.hookName}`];
          });
          context.progress.write(droppedLine(store));
          context.print(flags.out);
          context.result({
            store: flags.out,
            tokens: tokens.nContexts * tokens.contextSize,
            rows: store.nRows,
            ...(store.dropped && { dropped: snakeCaseKeys({ ...store.dropped }) }),
            hash: store.hash,
          });
        } finally {
          await runner.close();
        }
      }),
    );
  addRowFlags(command);
  addTextFlags(command, 'train');
};
