import { MonosemeError } from '../errors.ts';
import { hashSeed, Random } from '../random/index.ts';
import { isTestDocument, type LabelledText } from './labelled-text.ts';

/** Examples of a class and of others, as many of each. */
export interface BinarySet {
  /** Examples. */
  readonly rows: Uint32Array;
  /** Beside them: 1 for those of the class. */
  readonly isPositive: Uint8Array;
}

export interface Split<T> {
  readonly train: T;
  readonly test: T;
}

/** Fewer examples of a class than this, on either side of the split, say nothing about a probe. */
export const MIN_EXAMPLES = 10;

/**
 * The texts that are used: of each combination of labels at most `perClass` for training and a quarter of it for testing,
 * drawn by the seed, in their order. So memory does not depend on how many there are.
 */
export function limitedTexts(texts: readonly LabelledText[], perClass: number, seed: number): LabelledText[] {
  const counts = new Map<string, number>();
  const chosen = shuffled([...texts.keys()], hashSeed(seed, 'limited-texts')).filter((i) => {
    const isTest = isTestDocument(texts[i].document, seed);
    const key = JSON.stringify([isTest, ...texts[i].labels]);
    const count = counts.get(key) ?? 0;
    counts.set(key, count + 1);
    return count < (isTest ? Math.ceil(perClass / 4) : perClass);
  });
  return chosen.sort((a, b) => a - b).map((i) => texts[i]);
}

/** Numbers of the examples for training and for testing, [n] in all. */
export function splitExamples(texts: readonly LabelledText[], seed: number): Split<number[]> {
  const [train, test]: [number[], number[]] = [[], []];
  texts.forEach(({ document }, i) => (isTestDocument(document, seed) ? test : train).push(i));
  return { train, test };
}

/** Examples of one label field by class. @throws {MonosemeError} ERR_LABELS */
export function classesOf(
  texts: readonly LabelledText[],
  field: number,
  split: Split<readonly number[]>,
): Map<string, Split<number[]>> {
  const names = [...new Set(texts.map(({ labels }) => labels[field]))].sort();
  if (names.length < 2)
    throw new MonosemeError(
      'ERR_LABELS',
      names.length === 0 ? 'There is no labelled text.' : `Every text has the label "${names[0]}".`,
      'A probe needs two classes at least.',
    );
  return new Map(
    names.map((name) => {
      const of = (side: readonly number[]) => side.filter((i) => texts[i].labels[field] === name);
      const { train, test } = { train: of(split.train), test: of(split.test) };
      expectEnough(`the label "${name}"`, { train, test });
      return [name, { train, test }];
    }),
  );
}

/** @throws {MonosemeError} ERR_LABELS saying how many more are needed */
export function expectEnough(what: string, { train, test }: Split<readonly unknown[]>): void {
  if (Math.min(train.length, test.length) >= MIN_EXAMPLES) return;
  throw new MonosemeError(
    'ERR_LABELS',
    `There are ${train.length} texts for training and ${test.length} for testing with ${what}.`,
    `At least ${MIN_EXAMPLES} of each are needed; one text in five is for testing.`,
  );
}

/**
 * One class against the rest: at most `perSide` of the class, and as many of the others, in equal parts where they have
 * as many. Drawn with the seed.
 * Source  SAEBench's probe data, which needs the classes to be of one size
 */
export function oneAgainstRest(
  classes: ReadonlyMap<string, readonly number[]>,
  name: string,
  perSide: number,
  seed: number,
): BinarySet {
  const drawn = (of: string) => shuffled(classes.get(of)!, hashSeed(seed, 'probe-data', name, of));
  const others = [...classes.keys()].filter((other) => other !== name).map(drawn);
  const own = drawn(name).slice(0, perSide);
  // Round by round one of each class, so that small classes do not run out the others.
  const longest = Math.max(...others.map(({ length }) => length));
  const rest = Array.from({ length: longest }, (_, i) => others.flatMap((of) => of.slice(i, i + 1))).flat();
  return againstEachOther(own, rest);
}

/** Two lists of examples, the longer one cut to the length of the shorter. */
export function againstEachOther(own: readonly number[], others: readonly number[]): BinarySet {
  const n = Math.min(own.length, others.length);
  return {
    rows: Uint32Array.from([...own.slice(0, n), ...others.slice(0, n)]),
    isPositive: new Uint8Array(2 * n).fill(1, 0, n),
  };
}

/** The examples in an order that the seed draws. */
export function shuffled(examples: readonly number[], seed: number): number[] {
  return Array.from(new Random(seed).permutation(examples.length), (i) => examples[i]);
}
