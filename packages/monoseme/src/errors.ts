/**
 * Every error a user can meet. `message` is one line: what was wrong (with the value) and what to do.
 * Codes are stable: scripts may rely on them.
 */
export const ERROR_CODES = {
  ERR_USAGE: 'the command line is wrong',
  ERR_OPTION: 'an option has a value that cannot work',
  ERR_SHAPE: 'an array has the wrong length for the shape it stands for',
  ERR_NOT_FINITE: 'data holds NaN or infinity',
  ERR_NOT_FOUND: 'a file, folder or package does not exist',
  ERR_FILE: 'a file could not be read or written',
  ERR_DISK_FULL: 'the disk is full',
  ERR_LOCKED: 'another process is writing there',
  ERR_OFFLINE: 'the hub cannot be reached',
  ERR_GATED: 'a repository of the hub asks for a token or consent',
  ERR_DOWNLOAD: 'a download was cut off, refused or is not what it should be',
  ERR_FORMAT: 'a file does not follow its format',
  ERR_LIMIT: 'an input is larger than a limit set for safety',
  ERR_MODEL: 'a model cannot be opened or run',
  ERR_HOOK: 'a tensor name is not in the model',
  ERR_TOKENIZER: 'a tokenizer cannot be read or does not fit the model',
  ERR_CHAT_TEMPLATE: 'a chat template cannot be read, or refuses a conversation',
  ERR_EMPTY_TEXT: 'there is no text, or too little of it',
  ERR_LABELS: 'labels that cannot be learned: one class, or too few examples',
  ERR_MEMORY: 'the work would not fit in memory',
  ERR_KERNEL: 'the native kernels failed',
  ERR_BACKEND: 'the chosen kernel backend cannot be used',
  ERR_MISMATCH: 'two artifacts do not belong together',
  ERR_EXISTS: 'the output exists and holds something else',
  ERR_DIVERGED: 'training diverged',
  ERR_SWEEP: 'some runs of a sweep failed; the others are whole',
  ERR_INTERRUPTED: 'the work was interrupted',
  ERR_INTERNAL: 'a mistake in monoseme itself',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Longer than any message with a list of names; what files and other libraries say of themselves may be megabytes. */
const MAX_MESSAGE = 2000;

/** Text in one line without the control characters that a name in a file may bring to a terminal. */
function oneLine(text: string): string {
  const line = text.slice(0, MAX_MESSAGE).replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ');
  return text.length > MAX_MESSAGE ? `${line}…` : line;
}

/** An error with a stable code. Its message joins, in one line, what was wrong and the advice on what to do. */
export class MonosemeError extends Error {
  override readonly name: string = 'MonosemeError';
  readonly code: ErrorCode;
  readonly what: string;
  readonly advice: string;

  constructor(code: ErrorCode, what: string, advice: string, options?: { cause?: unknown }) {
    const [line, next] = [oneLine(what), oneLine(advice)];
    super(next === '' ? line : `${line} ${next}`, options);
    this.code = code;
    this.what = line;
    this.advice = next;
  }
}

/** Advice for work that has kept what it came to. */
export const GOES_ON = 'Run the same command again to go on.';

/** The error for work stopped by a signal (Ctrl-C): nothing is broken. Without advice, nothing was kept. */
export function interrupted(advice = ''): MonosemeError {
  return new MonosemeError('ERR_INTERRUPTED', 'Interrupted.', advice);
}

/** Whether an error says that the work was stopped by a signal. */
export function isInterruption(error: unknown): error is MonosemeError {
  return error instanceof MonosemeError && error.code === 'ERR_INTERRUPTED';
}

/** Whether an error says that a file or folder does not exist. */
export function isNotFound(error: unknown): boolean {
  return error instanceof MonosemeError && error.code === 'ERR_NOT_FOUND';
}

/** Throw {@link interrupted} when the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw interrupted();
}

/**
 * Turn an error of the file system into ours.
 *
 * @param action what was being done, as in `read the model /path/model.onnx`
 */
export function fileError(error: unknown, action: string): MonosemeError {
  if (error instanceof MonosemeError) return error;
  const code = (error as NodeJS.ErrnoException)?.code;
  const cause = { cause: error };
  if (code === 'ENOENT')
    return new MonosemeError(
      'ERR_NOT_FOUND',
      `Could not ${action}: it does not exist.`,
      'Check the path.',
      cause,
    );
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new MonosemeError(
      'ERR_DISK_FULL',
      `Could not ${action}: the disk is full.`,
      'Free some space, then run the same command again.',
      cause,
    );
  const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
  return new MonosemeError(
    'ERR_FILE',
    `Could not ${action}: ${reason}.`,
    'Check the path and its permissions.',
    cause,
  );
}
