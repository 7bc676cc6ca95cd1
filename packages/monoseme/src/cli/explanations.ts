import { addExplanations } from '../features/index.ts';
import { withStage } from './context.ts';
import type { DeclareCommand } from './main.ts';

/** `monoseme explanations`: what others wrote of the features, into the index. */
export const explanationsCommand: DeclareCommand = (program, run) => {
  program
    .command('explanations')
    .description('Add explanations of features, with their scores, to an index.')
    .argument('<index>', 'folder of the index')
    .argument(
      '<files...>',
      'JSON lines (.jsonl, .jsonl.gz) or a list (.json): latent_index, text, score; or as Neuronpedia exports them',
    )
    .addHelpText('after', '\nExample:\n  monoseme explanations out/demo/index my-explanations.jsonl')
    .action(
      run(async (context, _flags: object, index, ...files) => {
        const added = await withStage(context, 'read', 'explanations', async () => {
          const found = await addExplanations(index, files);
          return [found, `${found.added} explanations added, ${found.total} of ${found.features} features`];
        });
        context.result({ index, ...added });
      }),
    );
};
