import { ARCHITECTURES } from '../dictionary/index.ts';
import type { CommandContext } from './context.ts';
import type { DeclareCommand } from './main.ts';
import { table } from './table.ts';

/** `monoseme architectures`: what can be trained. */
export const architecturesCommand: DeclareCommand = (program, run) => {
  program
    .command('architectures')
    .description('List the kinds of dictionary that can be trained.')
    .addHelpText('after', '\nExample:\n  monoseme architectures --json')
    .action(
      run(async (context: CommandContext) => {
        const rows = ARCHITECTURES.map(({ name, description, source, settings }) => [
          name,
          description,
          source,
          Object.keys(settings).join(' '),
        ]);
        context.print(table(['architecture', 'what it is', 'source', 'its settings'], rows));
        context.result({
          architectures: ARCHITECTURES.map(({ name, description, source, settings }) => ({
            name,
            description,
            source,
            settings,
          })),
        });
      }),
    );
};
