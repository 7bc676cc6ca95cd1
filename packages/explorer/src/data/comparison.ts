import type { Collection, MatchKind, Member } from './collection.ts';
import type { FeatureIndex } from './feature-index.ts';
import { IndexError } from './index-error.ts';
import type { Match } from './matches.ts';
import { shareDocuments } from './text-places.ts';

/** A latent of the first dictionary and its nearest of the second. */
export interface MatchedPair {
  readonly a: number;
  /** Undefined where none of the second is near to it. */
  readonly b: number | undefined;
  /** Of the directions, or the correlation of the activations. */
  readonly nearness: number;
  /** Whether each is the other's nearest; undefined where the other way was not compared. */
  readonly mutual: boolean | undefined;
}

/** Two dictionaries of a collection, open. */
export interface Comparison {
  readonly members: readonly [Member, Member];
  readonly a: FeatureIndex;
  readonly b: FeatureIndex;
  readonly by: MatchKind;
  /** The ways in which they can be matched. */
  readonly ways: readonly MatchKind[];
  /** How their examples can stand side by side: token by token, by the characters of their documents, or not. */
  readonly text: 'tokens' | 'characters' | 'apart';
  /** By latent of the first: those that fire. */
  readonly pairs: readonly MatchedPair[];
  /** The latents of the second nearest to each of the first. */
  readonly matches: readonly (readonly Match[])[];
}

/**
 * @param wanted how latents are matched, where there is more than one way
 * @throws {IndexError} where there is none
 */
export async function compare(
  collection: Collection,
  nameA: string,
  nameB: string,
  wanted: string | undefined,
): Promise<Comparison> {
  const [memberA, memberB] = [collection.member(nameA), collection.member(nameB)];
  const [a, b] = await Promise.all([collection.index(nameA), collection.index(nameB)]);
  const ways = collection.waysToMatch(nameA, nameB);
  const by = ways.find((way) => way === wanted) ?? ways.at(0);
  if (by === undefined) throw notMatched(memberA, memberB);
  const isCompared = collection.waysToMatch(nameB, nameA).includes(by);
  const [matches, back, nFired] = await Promise.all([
    collection.matches(nameA, nameB, by).all(),
    isCompared ? collection.matches(nameB, nameA, by).all() : undefined,
    a.column('n_fired'),
  ]);
  const pairs = matches.flatMap((row, latent): MatchedPair[] => {
    if (nFired[latent] === 0) return [];
    const best = row.at(0);
    const mutual = back && best !== undefined && back[best.latent]?.at(0)?.latent === latent;
    return [{ a: latent, b: best?.latent, nearness: best?.nearness ?? 0, mutual }];
  });
  const isSame = memberA.corpus !== null && memberA.corpus === memberB.corpus;
  const text = isSame ? 'tokens' : (await shareDocuments(a, b)) ? 'characters' : 'apart';
  return { members: [memberA, memberB], a, b, by, ways, text, pairs, matches };
}

function notMatched(a: Member, b: Member): IndexError {
  const isSameSpace = a.model_name === b.model_name && a.hook_name === b.hook_name;
  return new IndexError(
    'These two cannot be matched',
    isSameSpace
      ? 'Either a dictionary does not lie beside its index, so that its directions are not known, or this site was written with the matches of dictionaries that differ in one thing only.'
      : `${a.name} reads ${a.hook_name} of ${a.model_name}, ${b.name} reads ${b.hook_name} of ${b.model_name}: their directions lie in different spaces.`,
    'Choose two others; or compare what fires together with `monoseme analyze universality`, whose report is found when it lies in a folder of the collection.',
  );
}

export const PAIR_ORDERS = ['nearest', 'farthest', 'number'] as const;
export type PairOrder = (typeof PAIR_ORDERS)[number];

/** Pairs in an order, those with a nearness between two values only; ties by number. */
export function orderPairs(
  pairs: readonly MatchedPair[],
  order: PairOrder,
  range: readonly [number, number] | undefined,
): readonly MatchedPair[] {
  const shown = range ? pairs.filter(({ nearness }) => nearness >= range[0] && nearness < range[1]) : pairs;
  if (order === 'number') return shown;
  const sign = order === 'nearest' ? -1 : 1;
  return [...shown].sort((x, y) => sign * (x.nearness - y.nearness) || x.a - y.a);
}

/** The middle nearness: how well the first is found again in the second. */
export function medianNearness(pairs: readonly MatchedPair[]): number {
  const sorted = pairs.map(({ nearness }) => nearness).sort((x, y) => x - y);
  return sorted.length === 0 ? NaN : (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}
