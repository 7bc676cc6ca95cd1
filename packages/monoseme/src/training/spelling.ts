import { MonosemeError } from '../errors.ts';

/**
 * Read options that were not given by the names of the code: errors say each name as it was spelt there.
 *
 * @param spelt from a name as in `l1Coefficient` to `--l1-coefficient`, `l1_coefficient` …
 */
export function withSpelling<T>(spelt: (name: string) => string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof MonosemeError)) throw error;
    const renamed = (text: string) => text.replace(/\b[a-z][a-z\d]*[A-Z]\w*/g, spelt);
    throw new MonosemeError(error.code, renamed(error.what), renamed(error.advice), { cause: error });
  }
}
