import { type Command, Option } from 'commander';
import { MonosemeError } from '../errors.ts';
import { type KernelBackend, selectBackend } from '../kernels/index.ts';
import type { CommandContext } from './context.ts';
import { wholeOption } from './options.ts';

export interface BackendFlags {
  readonly backend?: 'native' | 'reference';
  readonly threads?: number;
  readonly instructionSet?: string;
}

export function addBackendFlags(command: Command): Command {
  return command
    .addOption(
      new Option('--backend <name>', 'kernels: native (default where it is built) or reference').choices([
        'native',
        'reference',
      ]),
    )
    .option(
      '--threads <n>',
      'threads of the kernels and of the model (default: all cores); the kernels give the same bytes with any number',
      wholeOption,
    )
    .option(
      '--instruction-set <name>',
      'of the native kernels: avx512+amx, avx512, avx2, neon or portable (default: the fastest of this CPU)',
    );
}

/** The backend chosen, or the best there is; which one it is, is printed. */
export async function openBackend(flags: BackendFlags, context: CommandContext): Promise<KernelBackend> {
  const { backend: name, threads, instructionSet } = flags;
  if (name === 'reference' && instructionSet !== undefined) {
    throw new MonosemeError(
      'ERR_OPTION',
      'The reference has no instruction sets.',
      'Leave out --instruction-set or --backend reference.',
    );
  }
  const backend = await selectBackend({ name, threads, instructionSet });
  context.progress.write(`${'kernels'.padEnd(10)} ${backend.description}\n`);
  return backend;
}
