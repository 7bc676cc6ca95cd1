import { IndexError } from './index-error.ts';
import type { PatternAnswer } from './pattern-worker.ts';

/** A pattern may be slow to fail on some texts; a reader does not wait longer. */
const MOST_MILLISECONDS = 8000;

/** The pattern that a search text stands for: what is between slashes, as in `/wh(ale|ole)/`; undefined for other texts. */
export function patternOf(text: string): string | undefined {
  return /^\/(.+)\/$/s.exec(text)?.[1];
}

/** Why a pattern cannot be used; undefined when it can. */
export function patternProblem(pattern: string): string | undefined {
  try {
    new RegExp(pattern, 'u');
    return undefined;
  } catch (error) {
    return (error as Error).message.replace(/^Invalid regular expression: /, '');
  }
}

/** Upper and lower case count where the pattern has a capital letter, as editors have it. */
export function patternFlags(pattern: string): string {
  return /(?<!\\)\p{Lu}/u.test(pattern) ? 'gu' : 'giu';
}

/**
 * Where a pattern matches in a text: starts and ends in turn. It runs beside the page, which stays usable, and is
 * stopped when it takes too long.
 *
 * @throws {IndexError} for one that does not compile or takes too long
 */
export async function findPattern(text: string, pattern: string): Promise<Uint32Array> {
  const problem = patternProblem(pattern);
  if (problem !== undefined)
    throw new IndexError(
      'This is no pattern',
      problem,
      'Write a regular expression between slashes, as in /wh(ale|ole)/.',
    );
  const worker = new Worker(new URL('./pattern-worker.ts', import.meta.url), { type: 'module' });
  try {
    return await new Promise<Uint32Array>((resolve, reject) => {
      const fail = (reason: string) =>
        reject(
          new IndexError(
            'The pattern was not found out',
            reason,
            'Make it simpler, or search for exact text.',
          ),
        );
      const timer = setTimeout(
        () => fail(`It took longer than ${MOST_MILLISECONDS / 1000} seconds and was stopped.`),
        MOST_MILLISECONDS,
      );
      worker.onmessage = ({ data }: MessageEvent<PatternAnswer>) => {
        clearTimeout(timer);
        resolve(data.ranges);
      };
      worker.onerror = (event) => {
        clearTimeout(timer);
        fail(event.message || 'It could not be run.');
      };
      worker.postMessage({ text, pattern, flags: patternFlags(pattern) });
    });
  } finally {
    worker.terminate();
  }
}
