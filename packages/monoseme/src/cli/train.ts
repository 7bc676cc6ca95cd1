import type { MixingFigures } from '../activations/index.ts';
import { snakeCaseKeys } from '../formats/index.ts';
import { type StageSeconds, trainDictionary, type TrainInput, type TrainResult } from '../training/index.ts';
import { addBackendFlags, type BackendFlags, openBackend } from './backend-option.ts';
import { type CommandContext, withStage } from './context.ts';
import type { DeclareCommand } from './main.ts';
import { addTrainFlags, type TrainFlags, trainOptions } from './train-flags.ts';
import { percent } from './table.ts';
import { droppedLine } from './row-options.ts';
import { addTextFlags } from './text.ts';
import { addSourceFlags, openTrainSource, type SourceFlags } from './train-source.ts';

interface Flags extends SourceFlags, BackendFlags, TrainFlags {
  readonly out: string;
  readonly resume?: boolean;
}

/** `monoseme train`: a dictionary from a store, or straight from a model and text. */
export const trainCommand: DeclareCommand = (program, run) => {
  const command = program
    .command('train')
    .description('Train a dictionary on stored activations, or on those of a model as it reads text.')
    .requiredOption('--out <folder>', 'folder of the dictionary')
    .option('--resume', 'go on with a run that was interrupted; its result is the same to the bit')
    .addHelpText(
      'after',
      '\nExample:\n  monoseme train --model one-layer-a --text notes.txt --d-sae 1024 --out dictionary',
    )
    .action(
      run(async (context, flags: Flags) => {
        const options = trainOptions(flags);
        const backend = await openBackend(flags, context);
        const { close, ...from } = await openTrainSource(context, flags, options);
        try {
          const result = await trainWithProgress(context, {
            ...from,
            backend,
            options,
            out: flags.out,
            resume: flags.resume === true,
          });
          context.progress.write(droppedLine(from.source));
          if (result.mixing) context.progress.write(mixingLine(result.mixing));
          if (result.seconds) context.progress.write(timeLine(result.seconds));
          context.print(flags.out);
          context.result({
            dictionary: flags.out,
            steps: result.nSteps,
            backend: backend.description,
            ...result.last,
            ...(from.source.dropped && { dropped: snakeCaseKeys({ ...from.source.dropped }) }),
            ...(result.mixing && { mixing: snakeCaseKeys({ ...result.mixing }) }),
            ...(result.seconds && { seconds: result.seconds }),
          });
        } finally {
          await close();
        }
      }, 'Run the same command with --resume to go on.'),
    );
  addSourceFlags(command);
  addTrainFlags(command);
  addBackendFlags(command);
  addTextFlags(command, 'train');
};

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

/** How well batches mixed documents. */
function mixingLine({ meanShare, largestShare, meanDocuments }: MixingFigures): string {
  const documents = `rows of ${meanDocuments.toFixed(0)} documents a batch`;
  return `mixing     ${documents}; the most frequent has ${percent(meanShare)} of it (at most ${percent(largestShare)})\n`;
}

/** `encode 51 %, decode 14 % …` of the time of all steps. */
function timeLine({ read, ...stages }: StageSeconds): string {
  const total = Object.values(stages).reduce((sum, seconds) => sum + seconds, 0);
  const shares = Object.entries(stages).map(([name, seconds]) => `${name} ${percent(seconds / total)}`);
  return `time       ${shares.join(', ')}; read ${read.toFixed(1)} s beside them\n`;
}
