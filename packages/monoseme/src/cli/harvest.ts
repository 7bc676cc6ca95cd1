import { ActivationStore, type StoreDtype } from '../activations/index.ts';
import { snakeCaseKeys } from '../formats/index.ts';
import { ModelRunner, type OnnxModel } from '../model/index.ts';
import { addArrayFlags, type ArrayFlags, openArraySource } from './array-input.ts';
import { type CommandContext, withStage } from './context.ts';
import type { DeclareCommand } from './main.ts';
import {
  addBatchFlag,
  addInputFlag,
  type BatchFlags,
  DEFAULT_HOOK,
  MODEL_HELP,
  openModel,
  setBatch,
} from './model-option.ts';
import { wholeOption } from './options.ts';
import { compact } from './progress.ts';
import { addRowFlags, droppedLine, type RowFlags, rowOptions, storeDtype } from './row-options.ts';
import { addTextFlags, readTokens, type TextFlags } from './text.ts';

interface HarvestFlags extends TextFlags, RowFlags, ArrayFlags, BatchFlags {
  readonly hook?: string;
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
    .description('Run a model over text, or over arrays, and store the activations of one tensor.')
    .argument('<model>', MODEL_HELP)
    .requiredOption('--out <folder>', 'the activation store to make; run again to go on with it')
    .option('--hook <name>', `tensor to read, as monoseme inspect lists them (default: ${DEFAULT_HOOK})`)
    .option('--tokens <n>', 'tokens to harvest, at most', wholeOption, 1_000_000)
    .option('--dtype <type>', 'F16, BF16, F32, or I8 (int8 with a scale a row)', storeDtype, 'F16')
    .option('--threads <n>', 'threads of the model', wholeOption)
    .option('--seed <n>', 'order of the documents', wholeOption, 0)
    .addHelpText('after', '\nExample:\n  monoseme harvest one-layer-a --text notes.txt --out store')
    .action(
      run(async (context, flags: HarvestFlags, modelPath) => {
        const model = await openModel(context, modelPath, flags);
        const store = model.readsTokens
          ? await harvestTokens(context, model, flags)
          : await harvestArrays(context, model, flags);
        context.progress.write(droppedLine(store));
        context.print(flags.out);
        context.result({
          store: flags.out,
          tokens: store.dropped?.read ?? store.nRows,
          rows: store.nRows,
          ...(store.axes && { axes: store.axes }),
          ...(store.dropped && { dropped: snakeCaseKeys({ ...store.dropped }) }),
          hash: store.hash,
        });
      }),
    );
  addInputFlag(command);
  addBatchFlag(command);
  addArrayFlags(command);
  addRowFlags(command);
  addTextFlags(command, 'train');
};

async function harvestTokens(
  context: CommandContext,
  model: OnnxModel,
  flags: HarvestFlags,
): Promise<ActivationStore> {
  const { hook = DEFAULT_HOOK, dtype, threads, seed } = flags;
  model.resolveHook(hook);
  const limits = { maxTokens: flags.tokens, seed };
  const { tokens, tokenizer } = await readTokens(context, model, flags, limits);
  const half = dtype === 'F16' && flags.maxNormRatio === undefined;
  const runner = await ModelRunner.start(model, { hook, threads, half });
  try {
    await setBatch(context, runner, tokens.contextSize, flags);
    return await withStage(context, 'harvest', 'tokens', async (stage) => {
      const store = await ActivationStore.write(flags.out, runner, tokens, {
        dtype,
        rows: rowOptions(flags, tokenizer, seed),
        signal: context.signal,
        onProgress: (done, total) => stage.update(done, total),
      });
      return [store, `${compact(store.nRows)} activations of ${runner.hookName}`];
    });
  } finally {
    await runner.close();
  }
}

async function harvestArrays(
  context: CommandContext,
  model: OnnxModel,
  flags: HarvestFlags,
): Promise<ActivationStore> {
  const { hook = DEFAULT_HOOK, dtype } = flags;
  const { source, close } = await openArraySource(model, hook, flags, { forF16: dtype === 'F16' });
  try {
    return await withStage(context, 'harvest', 'rows', async (stage) => {
      const store = await ActivationStore.writeFrom(flags.out, source, {
        dtype,
        signal: context.signal,
        onProgress: (done, total) => stage.update(done, total),
      });
      return [store, `${compact(store.nRows)} activations: ${store.description}`];
    });
  } finally {
    await close();
  }
}
