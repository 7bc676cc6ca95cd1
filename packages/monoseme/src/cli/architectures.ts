import { ARCHITECTURES } from '../dictionary/index.ts';
import type { CommandContext } from './context.ts';
import type { DeclareCommand } from './main.ts';
import { wrapped } from './table.ts';
import { flagOf } from './options.ts';

const INDENT = 2;
/** Columns: lines of a terminal, and of a page that quotes it. */
const WIDTH = 80;

/** `monoseme architectures`: what can be trained. */
export const architecturesCommand: DeclareCommand = (program, run) => {
  program
    .command('architectures')
    .description('List the kinds of dictionary that can be trained.')
    .addHelpText('after', '\nExample:\n  monoseme architectures --json')
    .action(
      run(async (context: CommandContext) => {
        const blocks = ARCHITECTURES.map(({ name, description, source, settings }) => {
          const flags = Object.keys(settings).map(flagOf).join(' ');
          return [name, ...[description, source, flags].map((text) => wrapped(text, INDENT, WIDTH))].join(
            '\n',
          );
        });
        context.print(blocks.join('\n\n'));
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
