import { snakeCaseKeys } from '../formats/index.ts';
import { type ProgressOutput, Stage, standardProgress } from './progress.ts';

/** What a command needs of the world. */
export interface CommandContext {
  readonly signal: AbortSignal;
  readonly progress: ProgressOutput;
  /** `--json`: one result object on stdout, nothing else there. */
  readonly json: boolean;
  /** The command line as it was given, for reports. */
  readonly command: string;
  /** A line for people on stdout; nothing with `--json`. */
  print(line: string): void;
  /** The result object of the command; printed with `--json`, its keys in snake_case. */
  result(value: Record<string, unknown>): void;
}

function writeOut(text: string): void {
  process.stdout.write(text);
}

export function commandContext(json: boolean, signal: AbortSignal, argv: readonly string[]): CommandContext {
  return {
    signal,
    progress: standardProgress(),
    json,
    command: ['monoseme', ...argv.map(quoted)].join(' '),
    print: (line) => {
      if (!json) writeOut(`${line}\n`);
    },
    result: (value) => {
      if (json) writeOut(`${JSON.stringify(snakeCaseKeys(value))}\n`);
    },
  };
}

/** An argument as a shell takes it. */
function quoted(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}

/** Run a stage with its progress; the bar is removed when it fails. */
export async function withStage<T>(
  context: CommandContext,
  name: string,
  unit: string,
  work: (stage: Stage) => Promise<[T, string]>,
): Promise<T> {
  const stage = new Stage(context.progress, name, unit);
  try {
    const [value, summary] = await work(stage);
    stage.finish(summary);
    return value;
  } catch (error) {
    stage.abandon();
    throw error;
  }
}
