import { sha256, snakeCase } from '../formats/index.ts';
import { OPTION_NAMES } from './options.ts';

/** What decides the result of a run: options, data, backend. Two runs with the same are one. */
export type DecisiveSettings = Readonly<Record<string, unknown>>;

/** Values longer than this are hashes and descriptions, which tell nobody anything. */
const SHOWN = 40;

export function fingerprint(settings: DecisiveSettings): string {
  return sha256(JSON.stringify(settings));
}

/**
 * What differs between two runs, one part of a sentence each: `learningRate was 0.001 and is 0.002`.
 *
 * @param spelt the name of an option, as it was given
 */
export function changedSettings(
  before: DecisiveSettings,
  now: DecisiveSettings,
  spelt: (name: string) => string = (name) => name,
): string[] {
  const text = (value: unknown) => JSON.stringify(value) ?? 'not set';
  return [...new Set([...Object.keys(before), ...Object.keys(now)])]
    .map((key) => [OPTION_NAMES.has(key) ? spelt(key) : snakeCase(key), text(before[key]), text(now[key])])
    .filter(([, was, is]) => was !== is)
    .map(([key, was, is]) =>
      Math.max(was.length, is.length) > SHOWN ? `${key} changed` : `${key} was ${was} and is ${is}`,
    );
}
