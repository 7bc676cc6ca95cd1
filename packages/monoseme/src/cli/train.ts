import { type ActivationSource, ActivationStore, modelSource } from '../activations/index.ts';
import { interrupted, isInterruption, MonosemeError } from '../errors.ts';
import { ModelRunner } from '../model/index.ts';
import { trainDictionary, type TrainInput, type TrainOptions, type TrainResult } from '../training/index.ts';
import { addBackendFlags, type BackendFlags, openBackend } from './backend-option.ts';
import { type CommandContext, withStage } from './context.ts';
import type { DeclareCommand } from './main.ts';
import { DEFAULT_HOOK, MODEL_HELP, openModel } from './model-option.ts';
import { addTrainFlags, type TrainFlags, trainOptions } from './train-flags.ts';
import { percent } from './table.ts';
import { addTextFlags, readTokens, type TextFlags } from './text.ts';

interface Flags extends TextFlags, BackendFlags, TrainFlags {
  readonly out: string;
  readonly store?: string;
  readonly model?: string;
  readonly hook: string;
  readonly resume?: boolean;
}

/** `monoseme train`: a dictionary from a store, or straight from a model and text. */
export const trainCommand: DeclareCommand = (program, run) => {
  const command = program
    .command('train')
    .description('Train a dictionary on stored activations, or on those of a model as it reads text.')
    .requiredOption('--out <folder>', 'folder of the dictionary')
    .option('--store <folder>', 'an activation store (monoseme harvest)')
    .option('--model <model>', MODEL_HELP)
    .option('--hook <name>', 'tensor to read, with --model', DEFAULT_HOOK)
    .option('--resume', 'go on with a run that was interrupted; its result is the same to the bit')
    .addHelpText(
      'after',
      '\nExample:\n  monoseme train --model one-layer-a --text notes.txt --d-sae 1024 --out dictionary',
    )
    .action(
      run(async (context, flags: Flags) => {
        const options = trainOptions(flags);
        const backend = await openBackend(flags, context);
        const { source, hookName, modelName, close } = await openSource(context, flags, options);
        try {
          const result = await trainWithProgress(context, {
            source,
            backend,
            options,
            out: flags.out,
            hookName,
            modelName,
            resume: flags.resume === true,
          }).catch((error: unknown) => {
            throw isInterruption(error) ? interrupted('Run the same command with --resume to go on.') : error;
          });
          context.print(flags.out);
          context.result({
            dictionary: flags.out,
            steps: result.nSteps,
            backend: backend.description,
            ...result.last,
          });
        } finally {
          await close();
        }
      }),
    );
  addTrainFlags(command);
  addBackendFlags(command);
  addTextFlags(command, 'train');
};

interface OpenedSource {
  readonly source: ActivationSource;
  readonly hookName: string;
  readonly modelName: string;
  close(): Promise<void>;
}

async function openSource(
  context: CommandContext,
  flags: Flags,
  options: TrainOptions,
): Promise<OpenedSource> {
  if ((flags.store === undefined) === (flags.model === undefined))
    throw new MonosemeError('ERR_USAGE', 'train needs either --store or --model.', 'Give one of them.');
  if (flags.store !== undefined) {
    const source = await ActivationStore.open(flags.store);
    return { source, hookName: source.hookName, modelName: source.modelName, close: async () => {} };
  }
  const model = await openModel(flags.model as string);
  const { tokens } = await readTokens(context, model, flags, {
    maxTokens: options.tokens,
    seed: options.seed,
  });
  const runner = await ModelRunner.start(model, { hook: flags.hook, threads: flags.threads });
  return {
    source: modelSource(runner, tokens),
    hookName: runner.hookName,
    modelName: flags.model as string,
    close: () => runner.close(),
  };
}

/** Train with a progress line: rate in tokens, loss, L0 and explained variance as they fall and rise. */
export async function trainWithProgress(context: CommandContext, input: TrainInput): Promise<TrainResult> {
  const { batchRows } = input.options;
  return withStage(context, 'train', 'tokens', async (stage) => {
    let note = '';
    let isFirst = true;
    const result = await trainDictionary({
      ...input,
      signal: context.signal,
      onStep: (step, nSteps, metrics) => {
        if (isFirst) stage.startAt((step - 1) * batchRows);
        isFirst = false;
        if (metrics)
          note = `L0 ${metrics.l0.toFixed(1)}, explained variance ${percent(metrics.explainedVariance)}`;
        stage.update(step * batchRows, nSteps * batchRows, note);
      },
    });
    const { last, nSteps, startedAtStep } = result;
    const how =
      startedAtStep === 0 ? '' : startedAtStep === nSteps ? ' (unchanged)' : ` (resumed at ${startedAtStep})`;
    const figures = `L0 ${last.l0.toFixed(1)}, explained variance ${percent(last.explainedVariance)}`;
    return [result, `${input.options.dSae} latents, ${nSteps} steps${how}, ${figures}`];
  });
}
