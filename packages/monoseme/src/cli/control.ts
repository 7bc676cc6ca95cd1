import { writeControl } from '../model/index.ts';
import { withStage } from './context.ts';
import type { DeclareCommand } from './main.ts';
import { MODEL_HELP, modelPath, withDownload } from './model-option.ts';
import { repeatable, wholeOption } from './options.ts';
import { compact } from './progress.ts';

interface Flags {
  readonly out: string;
  readonly seed: number;
  readonly keep?: string[];
}

/** `monoseme control`: a model with its weights shuffled. */
export const controlCommand: DeclareCommand = (program, run) => {
  program
    .command('control')
    .description('Write the shuffled-weights control of a model: entries permuted within each weight matrix.')
    .argument('<model>', MODEL_HELP)
    .requiredOption('--out <folder>', 'a new folder for the control, its tokenizer and its configuration')
    .option('--seed <n>', 'which permutations', wholeOption, 0)
    .option('--keep <tensor>', 'a weight matrix that stays as it is; may be repeated', repeatable)
    .addHelpText('after', '\nExample:\n  monoseme control one-layer-a --out control')
    .action(
      run(async (context, flags: Flags, model) => {
        const { out, seed, keep } = flags;
        const { signal } = context;
        const control = await withStage(context, 'control', 'matrices', async (stage) => {
          const onProgress = (done: number, total: number) => stage.update(done, total);
          const written = await withDownload(context, model, (hub) =>
            writeControl(modelPath(model), out, { seed, keep, signal, onProgress, hub }),
          );
          const { matrices, nEntries } = written;
          return [written, `${compact(nEntries)} weights of ${matrices.length} matrices permuted`];
        });
        context.print(out);
        context.result({ ...control });
      }),
    );
};
