import type { MixingFigures } from '../activations/index.ts';
import { architectureNamed } from '../dictionary/index.ts';
import { snakeCaseKeys } from '../formats/index.ts';
import { percentText } from '../report/index.ts';
import {
  expectRoom,
  type StageSeconds,
  trainDictionary,
  type TrainInput,
  type TrainOptions,
  type TrainResult,
} from '../training/index.ts';
import { addBackendFlags, type BackendFlags, openBackend } from './backend-option.ts';
import { type CommandContext, withStage } from './context.ts';
import type { DeclareCommand } from './main.ts';
import { flagOf } from './options.ts';
import { addTrainFlags, type TrainFlags, trainOptions } from './train-flags.ts';
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
      '\nExample:\n  monoseme train --model one-layer-a --text notes.txt --out dictionary',
    )
    .action(
      run(async (context, flags: Flags) => {
        const options = trainOptions(flags);
        const into = { options, out: flags.out, resume: flags.resume === true };
        await expectRoom({ ...into, spelt: flagOf });
        const backend = await openBackend(flags, context);
        const { close, ...from } = await openTrainSource(context, flags, options);
        try {
          const result = await trainWithProgress(context, {
            ...from,
            ...into,
            backend,
          });
          context.progress.write(droppedLine(from.source));
          context.progress.write(targetLine(options, result.last.l0));
          if (result.mixing) context.progress.write(mixingLine(result.mixing));
          if (result.seconds) context.progress.write(timeLines(result.seconds));
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
  addSourceFlags(command.optionsGroup('Activations:'));
  addTextFlags(command.optionsGroup('Text:'), 'train');
  addTrainFlags(command);
  addBackendFlags(command.optionsGroup('Kernels:'));
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
      spelt: flagOf,
      onStep: (step, nSteps, metrics) => {
        if (isFirst) stage.startAt((step - 1) * batchRows);
        isFirst = false;
        if (metrics)
          note = `L0 ${metrics.l0.toFixed(1)}, ${percentText(metrics.explainedVariance)} explained`;
        stage.update(step * batchRows, nSteps * batchRows, note);
      },
    });
    const { last, nSteps, startedAtStep } = result;
    const how =
      startedAtStep === 0 ? '' : startedAtStep === nSteps ? ' (unchanged)' : ` (resumed at ${startedAtStep})`;
    const figures = `L0 ${last.l0.toFixed(1)}, explained variance ${percentText(last.explainedVariance)}`;
    return [result, `${input.options.dSae} latents, ${nSteps} steps${how}, ${figures}`];
  });
}

/** An L0 of the last batch that is more than a tenth off does not count as steered there. */
export function targetLine(
  { targetL0, architecture }: Pick<TrainOptions, 'targetL0' | 'architecture'>,
  l0: number,
): string {
  const { coefficient } = architectureNamed(architecture);
  if (targetL0 === undefined || coefficient === undefined || Math.abs(l0 / targetL0 - 1) <= 0.1) return '';
  const other = `a ${l0 > targetL0 ? 'larger' : 'smaller'} ${flagOf(coefficient)}`;
  return `target     L0 is ${l0.toFixed(1)}, not ${targetL0}: give more tokens or ${other}\n`;
}

/** How well batches mixed documents. */
function mixingLine({ meanShare, largestShare, meanDocuments }: MixingFigures): string {
  const most = `${percentText(meanShare)} of it (at most ${percentText(largestShare)})`;
  return `mixing     ${meanDocuments.toFixed(0)} documents a batch, the most frequent ${most}\n`;
}

/**
 * `encode 51 %, decode 14 % …` of the time of all steps, and the seconds of reading, which goes on beside them and counts where
 * they wait for it.
 */
function timeLines({ read, ...stages }: StageSeconds): string {
  const total = Object.values(stages).reduce((sum, seconds) => sum + seconds, 0);
  const shares = Object.entries(stages).map(
    ([name, seconds]) => `${name} ${Math.round((100 * seconds) / total)} %`,
  );
  return `time       ${shares.join(', ')}\n           read ${read.toFixed(1)} s beside the steps\n`;
}
