import { importStore, type StoreDtype } from '../activations/index.ts';
import { withStage } from './context.ts';
import type { DeclareCommand } from './main.ts';
import { wholeOption } from './options.ts';
import { compact } from './progress.ts';
import { storeDtype } from './row-options.ts';

interface Flags {
  readonly out: string;
  readonly activations?: string;
  readonly tokenIds?: string;
  readonly positions?: string;
  readonly contextSize?: number;
  readonly dtype?: StoreDtype;
  readonly hook?: string;
  readonly modelName?: string;
}

/** `monoseme import`: activations that other programs wrote, as a store. */
export const importCommand: DeclareCommand = (program, run) => {
  program
    .command('import')
    .description('Make an activation store of activations that another program wrote.')
    .argument(
      '<source>',
      'a .safetensors, .npy, .npz, .parquet or .arrow file, or a folder of them (SAELens caches too)',
    )
    .requiredOption('--out <folder>', 'the activation store to make')
    .option(
      '--activations <name>',
      'tensor or column [rows, d] or [contexts, tokens, d] (default: found by name)',
    )
    .option('--token-ids <name>', 'tensor or column of token ids (default: found by name)')
    .option('--positions <name>', 'tensor or column of places in the context (default: found by name)')
    .option('--context-size <n>', 'tokens of a context, where the axes do not tell', wholeOption)
    .option(
      '--dtype <type>',
      'F16, BF16, F32 or I8 (default: as in the files, which are then not copied if safetensors)',
      storeDtype,
    )
    .option('--hook <name>', 'hook point that they are of (default: the name of the tensor or column)')
    .option('--model-name <name>', 'model that they are of')
    .addHelpText(
      'after',
      '\nExample:\n  monoseme import rows.safetensors --hook blocks.6.hook_resid_post --out store',
    )
    .action(
      run(async (context, flags: Flags, source) => {
        const { activations, tokenIds, positions, hook, contextSize, dtype, modelName } = flags;
        const { store, nLinked } = await withStage(context, 'import', 'rows', async (stage) => {
          const imported = await importStore(flags.out, [source], {
            names: { activations, tokenIds, positions },
            ...{ contextSize, dtype, modelName },
            hookName: hook,
            signal: context.signal,
            onProgress: (done, total) => stage.update(done, total),
          });
          const how = imported.nLinked > 0 ? `, ${imported.nLinked} files not copied` : '';
          return [imported, `${compact(imported.store.nRows)} rows of ${imported.store.dIn} numbers${how}`];
        });
        context.print(store.description);
        context.print(flags.out);
        context.result({ store: flags.out, rows: store.nRows, linked: nLinked, hash: store.hash });
      }),
    );
};
