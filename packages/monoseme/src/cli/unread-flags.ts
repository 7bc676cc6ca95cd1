import { MonosemeError } from '../errors.ts';
import type { ArrayFlags } from './array-input.ts';
import type { BackendFlags } from './backend-option.ts';
import type { CheckFlags } from './check-dictionary.ts';
import type { BatchFlags } from './model-option.ts';
import { flagOf } from './options.ts';
import type { RowFlags } from './row-options.ts';
import type { TextFlags } from './text.ts';

/** What chooses a text and its tokens, the rows of them, and says how a model is run on them. */
type ReadingFlags = TextFlags &
  RowFlags &
  ArrayFlags &
  BatchFlags &
  CheckFlags & { readonly model?: string | readonly string[]; readonly hook?: string | readonly string[] };

const OF_READING: readonly (keyof ReadingFlags)[] = [
  ...(['text', 'textColumn', 'textFormat', 'chatTemplate', 'deduplicate', 'skip', 'take'] as const),
  ...(['tokenizer', 'contextSize', 'beginDocument', 'endDocument', 'beginContext'] as const),
  ...(['tokensPerContext', 'roles', 'dropSpecial', 'dropToken', 'maxNormRatio'] as const),
  ...(['model', 'hook', 'input', 'device', 'modelBatch'] as const),
  ...(['sampleAxes', 'featureAxis', 'samples', 'check'] as const),
];

/**
 * A store holds the activations of a text already.
 *
 * @param allowed what says something beside a store too
 * @throws {MonosemeError} ERR_USAGE
 */
export function expectOnlyStore(flags: ReadingFlags, ...allowed: (keyof ReadingFlags)[]): void {
  const strange = firstGiven(
    flags,
    OF_READING.filter((name) => !allowed.includes(name)),
  );
  if (strange === undefined) return;
  throw new MonosemeError(
    'ERR_USAGE',
    `--store and ${strange} were both given.`,
    'A store holds the activations of its text; read text with --model.',
  );
}

/**
 * What is written of a dictionary does not depend on a text or a model.
 *
 * @throws {MonosemeError} ERR_USAGE
 */
export function expectCheck(flags: ReadingFlags & BackendFlags): void {
  const strange = firstGiven(flags, [...OF_READING, 'backend', 'threads', 'instructionSet'] as const);
  if (flags.check || strange === undefined) return;
  throw new MonosemeError(
    'ERR_USAGE',
    `${strange} was given without --check.`,
    'Only --check runs the dictionary: add it, or leave that out.',
  );
}

/** The first of these flags that was given, as it was: `--text a.txt`. */
function firstGiven<Name extends string>(
  flags: { readonly [name in Name]?: unknown },
  names: readonly Name[],
): string | undefined {
  const name = names.find((name) => flags[name] !== undefined);
  if (name === undefined) return undefined;
  const [value] = [flags[name]].flat();
  return value === true ? flagOf(name) : `${flagOf(name)} ${String(value)}`;
}
