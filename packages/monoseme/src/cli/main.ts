import { Command, CommanderError, Help, Option } from 'commander';
import { interrupted, isInterruption, MonosemeError } from '../errors.ts';
import { TOOLKIT_VERSION } from '../formats/index.ts';
import { isHubPath } from '../hub/index.ts';
import { commandContext, type CommandContext } from './context.ts';

/**
 * A command: declares itself on the program; `run` wraps its action with the context, and with what follows from an
 * interruption where the command knows it better than the work that was interrupted.
 */
export type DeclareCommand = (program: Command, run: RunAction) => void;
export type RunAction = <O>(
  action: (context: CommandContext, options: O, ...args: string[]) => Promise<void>,
  whenInterrupted?: string,
) => (...args: unknown[]) => Promise<void>;

/**
 * Commands by name, in the order in which the help lists them. One is loaded when it is asked for: all of them take longer
 * than many a command does.
 */
const COMMANDS: Readonly<Record<string, () => Promise<DeclareCommand>>> = {
  demo: async () => (await import('./demo.ts')).demoCommand,
  inspect: async () => (await import('./inspect.ts')).inspectCommand,
  control: async () => (await import('./control.ts')).controlCommand,
  plan: async () => (await import('./plan.ts')).planCommand,
  harvest: async () => (await import('./harvest.ts')).harvestCommand,
  import: async () => (await import('./import.ts')).importCommand,
  verify: async () => (await import('./verify.ts')).verifyCommand,
  train: async () => (await import('./train.ts')).trainCommand,
  architectures: async () => (await import('./architectures.ts')).architecturesCommand,
  toy: async () => (await import('./toy.ts')).toyCommand,
  sweep: async () => (await import('./sweep.ts')).sweepCommand,
  evaluate: async () => (await import('./evaluate.ts')).evaluateCommand,
  benchmark: async () => (await import('./benchmark.ts')).benchmarkCommand,
  analyze: async () => (await import('./analyze.ts')).analyzeCommand,
  reproduce: async () => (await import('./reproduce.ts')).reproduceCommand,
  index: async () => (await import('./index-features.ts')).indexCommand,
  convert: async () => (await import('./convert.ts')).convertCommand,
  explanations: async () => (await import('./explanations.ts')).explanationsCommand,
  explore: async () => (await import('./explore.ts')).exploreCommand,
  export: async () => (await import('./export-index.ts')).exportCommand,
  steer: async () => (await import('./steer.ts')).steerCommand,
};

/** Errors that mean the command line itself was wrong. */
const USAGE_CODES = new Set(['ERR_USAGE', 'ERR_OPTION']);

/**
 * Run the command line.
 *
 * @returns the exit code: 0, 1 for a failure, 2 for wrong usage
 */
export async function main(argv: readonly string[]): Promise<number> {
  const abort = new AbortController();
  const onSignal = (): void => {
    if (abort.signal.aborted) process.exit(1);
    abort.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  process.stdout.on('error', endQuietlyWithoutReader);
  try {
    await (await program(abort.signal, argv)).parseAsync([...argv], { from: 'user' });
    return 0;
  } catch (error) {
    return exitCodeOf(error, argv.includes('--debug'));
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}

/** The command that `argv` names, with its options; every command where it names none. */
export async function program(signal: AbortSignal, argv: readonly string[]): Promise<Command> {
  const root = new Command('monoseme')
    .description('Learn, measure and read the features inside neural networks.')
    .version(TOOLKIT_VERSION)
    // Every command has options; without the word the descriptions have room to wrap.
    .configureHelp({
      subcommandTerm: (command) => new Help().subcommandTerm(command).replace(' [options]', ''),
    })
    .configureOutput({ outputError: (text, write) => write(usageError(text)) })
    .exitOverride();
  const run: RunAction =
    (action, whenInterrupted) =>
    async (...args) => {
      const command = args.pop() as Command;
      const options = args.pop() as Parameters<typeof action>[1];
      const context = commandContext(command.opts()['json'] === true, signal, argv);
      const local = await localArguments(context, command, (args as (string | string[])[]).flat());
      await action(context, options, ...local).catch((error: unknown) => {
        throw isInterruption(error)
          ? interrupted(whenInterrupted ?? (error.advice || 'The same command begins anew.'))
          : error;
      });
    };
  const named = Object.hasOwn(COMMANDS, argv[0] ?? '') ? [COMMANDS[argv[0]]] : Object.values(COMMANDS);
  for (const declare of await Promise.all(named.map((load) => load()))) declare(root, run);
  const leaves = root.commands.flatMap((command) =>
    command.commands.length > 0 ? command.commands : command,
  );
  for (const command of leaves) {
    command
      .optionsGroup('Options:')
      .addOption(new Option('--json', 'print one result object on stdout'))
      .addOption(new Option('--debug', 'show the stack of an error'))
      .exitOverride();
  }
  return root;
}

/** Names of the arguments that are dictionaries. */
const DICTIONARY_ARGUMENTS = new Set(['dictionary', 'other', 'smaller', 'larger']);

/** The arguments, with dictionaries of the hub (`hf:owner/repo/path`) downloaded: every command that takes one may be given it. */
async function localArguments(context: CommandContext, command: Command, args: string[]): Promise<string[]> {
  const local: string[] = [];
  for (const [i, path] of args.entries()) {
    const isDictionary = DICTIONARY_ARGUMENTS.has(command.registeredArguments[i]?.name());
    const isFar = isDictionary && path !== undefined && isHubPath(path);
    local.push(
      isFar ? await (await import('./dictionary-option.ts')).downloadDictionary(context, path) : path,
    );
  }
  return local;
}

/** Commander's message as one line with a code. */
function usageError(text: string): string {
  const message = text
    .replace(/^error: /, '')
    .replace(/\s*\n\s*/g, ' ')
    .trim();
  return `ERR_USAGE: ${message}${/[.?!)]$/.test(message) ? '' : '.'} --help shows the options.\n`;
}

/** A reader that left (`| head`) is no error. */
function endQuietlyWithoutReader(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
}

function exitCodeOf(error: unknown, debug: boolean): number {
  // Commander has printed its message; help and version are no failures.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const known = error instanceof MonosemeError;
  const code = known ? error.code : 'ERR_INTERNAL';
  const message = error instanceof Error ? error.message : String(error);
  const advice = known ? '' : ' This is a mistake in monoseme; --debug shows where.';
  process.stderr.write(`${code}: ${message.replace(/\s*\n\s*/g, ' ')}${advice}\n`);
  if (debug && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return USAGE_CODES.has(code) ? 2 : 1;
}
