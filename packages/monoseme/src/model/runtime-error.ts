import { MonosemeError } from '../errors.ts';

/** Where in the runtime's source an error was thrown: file, line and function. */
const PLACE = /\S+\.(?:h|cc):\d+ (?:[^(]*::\w+\([^)]*\)(?: const)? |\w+ )/g;

/** What ONNX Runtime threw, as an error that says what to do. */
export function asMonosemeError(error: unknown): MonosemeError {
  if (error instanceof MonosemeError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const reason = message.split('\n')[0].replace(PLACE, '').slice(0, 300).replace(/\.+$/, '');
  if (/allocat|bad_alloc|out of memory/i.test(message))
    return new MonosemeError(
      'ERR_MEMORY',
      `The model did not fit in memory: ${reason}.`,
      'Use shorter contexts.',
    );
  return new MonosemeError(
    'ERR_MODEL',
    `ONNX Runtime could not run the model: ${reason}.`,
    'Check the model with another program, or export it again.',
  );
}
