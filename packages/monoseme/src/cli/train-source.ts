import type { Command } from 'commander';
import { type ActivationSource, ActivationStore, alignedSource, modelSource } from '../activations/index.ts';
import { architectureNamed } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import { ModelRunner } from '../model/index.ts';
import { expectHookPoints, type HookPoint, type TrainOptions, withSpelling } from '../training/index.ts';
import { addArrayFlags, type ArrayFlags, openArraySource } from './array-input.ts';
import { type CommandContext, withStage } from './context.ts';
import {
  addBatchFlag,
  addInputFlag,
  type BatchFlags,
  DEFAULT_HOOK,
  MODEL_HELP,
  openModel,
  setBatch,
} from './model-option.ts';
import { flagOf, repeatable } from './options.ts';
import { addRowFlags, type RowFlags, rowOptions } from './row-options.ts';
import { readTokens, type TextFlags } from './text.ts';
import { expectOnlyStore } from './unread-flags.ts';

export interface SourceFlags extends TextFlags, RowFlags, ArrayFlags, BatchFlags {
  readonly salvage?: boolean;
  readonly store?: string[];
  readonly targetStore?: string;
  readonly model?: string[];
  readonly hook?: string[];
  readonly targetHook?: string;
  readonly threads?: number;
}

/** The activations of a run, and the hook points that make up its rows. */
interface OpenedSource extends HookPoint {
  readonly source: ActivationSource;
  readonly hooks?: readonly HookPoint[];
  close(): Promise<void>;
}

export function addSourceFlags(command: Command): Command {
  command
    .option('--store <folder>', 'an activation store (monoseme harvest); again for a crosscoder', repeatable)
    .option('--target-store <folder>', 'store of what a transcoder reconstructs')
    .option('--salvage', 'use the shards that are whole of stores that are damaged or not finished')
    .option('--model <model>', `${MODEL_HELP}; again for a crosscoder of models`, repeatable)
    .option(
      '--hook <name>',
      `tensor to read, with --model; again for a crosscoder (default: ${DEFAULT_HOOK})`,
      repeatable,
    )
    .option('--target-hook <name>', 'tensor that a transcoder reconstructs');
  return addArrayFlags(addBatchFlag(addInputFlag(addRowFlags(command))));
}

/** @throws {MonosemeError} ERR_USAGE; the errors of stores, models and texts; ERR_MISMATCH */
export async function openTrainSource(
  context: CommandContext,
  flags: SourceFlags,
  options: TrainOptions,
): Promise<OpenedSource> {
  const { store, model, hook, targetStore, targetHook } = flags;
  if ((store === undefined) === (model === undefined))
    throw new MonosemeError('ERR_USAGE', 'train needs either --store or --model.', 'Give one of them.');
  if (store) expectOnlyStore(flags, 'hook');
  const [strange] = store ? [targetHook ?? hook?.[0]] : [targetStore];
  if (strange !== undefined)
    throw new MonosemeError(
      'ERR_USAGE',
      store
        ? `--store and --hook ${strange} were both given.`
        : `--model and --target-store ${strange} were both given.`,
      store ? 'A store knows its hook; --target-store names a second.' : 'Use --target-hook with --model.',
    );
  const nRead = store?.length ?? model!.length * (hook?.length ?? 1);
  const hasTarget = (targetStore ?? targetHook) !== undefined;
  withSpelling(flagOf, () =>
    expectHookPoints(architectureNamed(options.architecture), nRead + (hasTarget ? 1 : 0)),
  );
  const opened = store
    ? await openStores(
        context,
        [...store, ...(targetStore === undefined ? [] : [targetStore])],
        flags.salvage === true,
      )
    : await openModels(context, flags, options);
  const hooks = opened.map(({ hookName, modelName }) => ({ hookName, modelName }));
  const close = async () => {
    for (const part of opened) await part.close();
  };
  try {
    const source =
      opened.length === 1 ? opened[0].source : await alignedSource(opened.map((part) => part.source));
    return { ...hooks[0], source, ...(hooks.length > 1 && { hooks }), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openStores(
  context: CommandContext,
  folders: readonly string[],
  salvage: boolean,
): Promise<OpenedSource[]> {
  const stores: OpenedSource[] = [];
  for (const folder of folders) {
    const source = await (salvage ? salvageStore(context, folder) : ActivationStore.open(folder));
    const { hookName, modelName } = source;
    stores.push({ source, hookName, modelName, close: async () => {} });
  }
  return stores;
}

/** Say what is left out, since the run goes on without it. */
function salvageStore(context: CommandContext, folder: string): Promise<ActivationStore> {
  return withStage(context, 'salvage', 'shards', async (stage) => {
    let shards = 0;
    const store = await ActivationStore.salvage(folder, {
      signal: context.signal,
      onProgress: (done, total) => stage.update(done, (shards = total)),
    });
    const whole = `${shards - store.nLost} of ${shards} shards of ${folder} are whole`;
    return [store, `${whole}, ${store.nRows} rows`];
  });
}

/** Every hook of every model; of several models the tokens must be the same. */
async function openModels(
  context: CommandContext,
  flags: SourceFlags,
  options: TrainOptions,
): Promise<OpenedSource[]> {
  const { model: models = [], hook = [DEFAULT_HOOK], targetHook, threads } = flags;
  if (flags.maxNormRatio !== undefined && (models.length > 1 || hook.length > 1 || targetHook !== undefined))
    throw new MonosemeError(
      'ERR_OPTION',
      `--max-norm-ratio ${flags.maxNormRatio} would drop other tokens at each of several hook points.`,
      'Leave it out; --drop-special drops the usual attention sinks.',
    );
  const opened: OpenedSource[] = [];
  try {
    for (const modelName of models) {
      const model = await openModel(context, modelName, flags);
      const hooks = [...hook, ...(targetHook === undefined ? [] : [targetHook])];
      if (!model.readsTokens) {
        for (const name of hooks) {
          const { source, close } = await openArraySource(model, name, flags);
          opened.push({ source, hookName: source.hookName, modelName, close });
        }
        continue;
      }
      const limits = { maxTokens: options.tokens, seed: options.seed };
      const { tokens, tokenizer } = await readTokens(context, model, flags, limits);
      const rows = rowOptions(flags, tokenizer, options.seed);
      for (const name of hooks) {
        const runner = await ModelRunner.start(model, { hook: name, threads });
        await setBatch(context, runner, tokens.contextSize, flags);
        const source = modelSource(runner, tokens, { rows });
        opened.push({ source, hookName: runner.hookName, modelName, close: () => runner.close() });
      }
    }
    return opened;
  } catch (error) {
    for (const part of opened) await part.close();
    throw error;
  }
}
