import { ActivationStore } from '../activations/index.ts';
import { withStage } from './context.ts';
import type { DeclareCommand } from './main.ts';

/** `monoseme verify`: whether a store still holds what was written. */
export const verifyCommand: DeclareCommand = (program, run) => {
  program
    .command('verify')
    .description('Read every shard of an activation store and compare it with its checksum.')
    .argument('<store>', 'folder of the store')
    .addHelpText('after', '\nExample:\n  monoseme verify store')
    .action(
      run(async (context, _flags: object, folder) => {
        const store = await ActivationStore.open(folder);
        const shards = await withStage(context, 'verify', 'shards', async (stage) => {
          let checked = 0;
          await store.verify({
            signal: context.signal,
            onProgress: (done, total) => stage.update((checked = done), total),
          });
          return [checked, `${checked} shards hold what was written`];
        });
        context.print(store.description);
        context.result({ store: folder, shards, rows: store.nRows, description: store.description });
      }),
    );
};
