import type { CollectionManifest } from './collection.ts';

/** Pairs up to which all are written: twelve dictionaries of the same activations. */
const MOST_PAIRS = 12 * 11;
/** What dictionaries of a sweep differ in. */
const VARIED = ['architecture', 'd_sae', 'sparsity', 'seed'] as const;

/**
 * The pairs whose matches a site holds: all of a small collection, of a larger one those that differ in at most one of
 * architecture, size, sparsity and seed. Of a grid these are the pairs along its lines, so that a site grows with the
 * number of its dictionaries and not with its square.
 */
export function pairsOfSite({
  members,
  matches,
}: CollectionManifest['details']): readonly (readonly [number, number])[] {
  if (matches.length <= MOST_PAIRS) return matches;
  return matches.filter(
    ([from, to]) => VARIED.filter((name) => members[from][name] !== members[to][name]).length <= 1,
  );
}
