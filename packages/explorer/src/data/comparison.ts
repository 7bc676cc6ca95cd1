import type { Collection } from './collection.ts';
import type { FeatureIndex } from './feature-index.ts';
import { IndexError } from './index-error.ts';
import type { Match } from './matches.ts';

/** A latent of the first dictionary and its nearest of the second. */
export interface MatchedPair {
  readonly a: number;
  /** Undefined where no direction of the second has a positive cosine with it. */
  readonly b: number | undefined;
  readonly cosine: number;
  /** Whether each is the other's nearest. */
  readonly mutual: boolean;
}

/** Two dictionaries of a collection, open. */
export interface Comparison {
  readonly a: FeatureIndex;
  readonly b: FeatureIndex;
  /** Whether both were indexed on the same text, so that their examples can stand side by side. */
  readonly sameText: boolean;
  /** By latent of the first: those that fire. */
  readonly pairs: readonly MatchedPair[];
  /** The latents of the second nearest to each of the first. */
  readonly matches: readonly (readonly Match[])[];
}

/** @throws {IndexError} where the two do not describe the same activations */
export async function compare(collection: Collection, nameA: string, nameB: string): Promise<Comparison> {
  const [memberA, memberB] = [collection.member(nameA), collection.member(nameB)];
  const [a, b] = await Promise.all([collection.index(nameA), collection.index(nameB)]);
  if (!collection.matchedWith(nameA).includes(memberB))
    throw new IndexError(
      'These two cannot be matched',
      memberA.model_name === memberB.model_name && memberA.hook_name === memberB.hook_name
        ? 'At least one of their dictionaries does not lie beside its index, so their directions are not known.'
        : `${nameA} reads ${memberA.hook_name} of ${memberA.model_name}, ${nameB} reads ${memberB.hook_name} of ${memberB.model_name}: their directions lie in different spaces.`,
      'Choose two dictionaries of the same activations. Activations of different models are compared by `monoseme analyze universality`.',
    );
  const [matches, back, nFired] = await Promise.all([
    collection.matches(nameA, nameB).all(),
    collection.matches(nameB, nameA).all(),
    a.column('n_fired'),
  ]);
  const pairs = matches.flatMap((row, latent): MatchedPair[] => {
    if (nFired[latent] === 0) return [];
    const best = row.at(0);
    const mutual = best !== undefined && back[best.latent]?.at(0)?.latent === latent;
    return [{ a: latent, b: best?.latent, cosine: best?.cosine ?? 0, mutual }];
  });
  return { a, b, sameText: memberA.corpus !== null && memberA.corpus === memberB.corpus, pairs, matches };
}

export const PAIR_ORDERS = ['nearest', 'farthest', 'number'] as const;
export type PairOrder = (typeof PAIR_ORDERS)[number];

/** Pairs in an order, those with a cosine between two values only; ties by number. */
export function orderPairs(
  pairs: readonly MatchedPair[],
  order: PairOrder,
  range: readonly [number, number] | undefined,
): readonly MatchedPair[] {
  const shown = range ? pairs.filter(({ cosine }) => cosine >= range[0] && cosine < range[1]) : pairs;
  if (order === 'number') return shown;
  const sign = order === 'nearest' ? -1 : 1;
  return [...shown].sort((x, y) => sign * (x.cosine - y.cosine) || x.a - y.a);
}

/** The middle cosine: how well the first is found again in the second. */
export function medianCosine(pairs: readonly MatchedPair[]): number {
  const sorted = pairs.map(({ cosine }) => cosine).sort((x, y) => x - y);
  return sorted.length === 0 ? NaN : (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}
