import { readFileSync, statSync } from 'node:fs';
import { MonosemeError, fileError } from '../errors.ts';

/** V8 refuses strings of more than 2^29 code units; half of that also leaves room to work on one. */
const MAX_TEXT_BYTES = 2 ** 28;

/**
 * Read a UTF-8 file. A byte-order mark is dropped, broken sequences become U+FFFD.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FILE, ERR_LIMIT (over 256 MiB), ERR_FORMAT (a NUL byte: not text)
 */
export function readText(file: string): string {
  let bytes: Buffer;
  try {
    const { size } = statSync(file);
    if (size > MAX_TEXT_BYTES) {
      throw new MonosemeError(
        'ERR_LIMIT',
        `The text file ${file} has ${size} bytes; the limit is ${MAX_TEXT_BYTES}.`,
        'Split it into smaller files.',
      );
    }
    bytes = readFileSync(file);
  } catch (error) {
    throw fileError(error, `read ${file}`);
  }
  if (bytes.includes(0)) {
    throw new MonosemeError('ERR_FORMAT', `${file} holds a NUL byte, so it is not text.`, 'Leave it out.');
  }
  return new TextDecoder('utf-8').decode(bytes);
}

/** @throws {MonosemeError} as {@link readText}, and ERR_FORMAT when the text is not JSON. */
export function readJson(file: string): unknown {
  const text = readText(file);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new MonosemeError(
      'ERR_FORMAT',
      `${file} is not JSON: ${(error as Error).message}.`,
      'Check that the file is complete.',
      { cause: error },
    );
  }
}
