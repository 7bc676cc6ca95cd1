import { MonosemeError } from '../errors.ts';
import { OPTION_NAMES } from './options.ts';

/**
 * Read options that were not given by the names of the code: errors say each name as it was spelt there.
 *
 * @param spelt from a name as in `l1Coefficient` to `--l1-coefficient`, `l1_coefficient` …
 * @param where they were given, in front of what was wrong
 */
export function withSpelling<T>(spelt: (name: string) => string, read: () => T, where = ''): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof MonosemeError)) throw error;
    const renamed = (text: string) =>
      text.replace(/\w+/g, (word) => (OPTION_NAMES.has(word) ? spelt(word) : word));
    throw new MonosemeError(error.code, where + renamed(error.what), renamed(error.advice), { cause: error });
  }
}
