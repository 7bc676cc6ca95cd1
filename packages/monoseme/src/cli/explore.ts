import { once } from 'node:events';
import { serveExplorer } from '../server/index.ts';
import type { CommandContext } from './context.ts';
import type { DeclareCommand } from './main.ts';
import { portOption } from './options.ts';

export const DEFAULT_PORT = 8421;

interface Flags {
  readonly port: number;
}

/** `monoseme explore`: the page over an index. */
export const exploreCommand: DeclareCommand = (program, run) => {
  program
    .command('explore')
    .description('Open the page on which the features of an index are read.')
    .argument('<index>', 'folder of the index')
    .option('--port <n>', 'port on 127.0.0.1; 0 takes any that is free', portOption, DEFAULT_PORT)
    .addHelpText('after', '\nExample:\n  monoseme explore out/demo/index')
    .action(
      run(async (context, flags: Flags, folder) => {
        await serveUntilInterrupted(context, folder, flags.port, (url) =>
          context.result({ index: folder, url }),
        );
      }),
    );
};

/** Serve the page over an index until Ctrl-C, which is how it is meant to end. */
export async function serveUntilInterrupted(
  context: CommandContext,
  index: string,
  port: number,
  onServing: (url: string) => void,
): Promise<void> {
  const server = await serveExplorer({ index, port });
  try {
    context.print(`\n${server.url}  (Ctrl-C ends)`);
    onServing(server.url);
    if (!context.signal.aborted) await once(context.signal, 'abort');
  } finally {
    await server.close();
  }
}
