import { isStarred } from '../state/notebook.ts';
import type { ListQuery } from '../state/route.ts';
import type { FeatureIndex, FigureColumn, RankedLatents } from './feature-index.ts';
import { sortBy } from './sort-by.ts';
import { searchExamples } from './text-search.ts';

export interface FeatureList {
  /** Latents in the order shown. */
  readonly latents: Uint32Array;
  /** Features that match but never fire, when they are left out. */
  readonly nSilent: number;
  /** How well a latent matches the search, by latent; undefined when nothing is searched. */
  readonly scores: ReadonlyMap<number, number> | undefined;
  /** A text was searched that occurs in so many places that only a part of them was looked at. */
  readonly isPartial: boolean;
}

/** The features of a query, in its order. Ties stay in order of their numbers. */
export async function makeList(index: FeatureIndex, query: ListQuery): Promise<FeatureList> {
  const nFired = await index.column('n_fired');
  const { scores, isPartial } = await matches(index, query);
  let candidates = scores ? Uint32Array.from(scores.keys()).sort() : wholeRange(index.nFeatures);
  if (query.density) {
    const density = await index.column('density');
    const [low, high] = query.density.map((power) => 10 ** power);
    candidates = candidates.filter((latent) => density[latent] >= low && density[latent] < high);
  }
  if (query.starred) candidates = candidates.filter((latent) => isStarred(latent));
  if (query.only.length > 0) {
    const only = new Set(query.only);
    candidates = candidates.filter((latent) => only.has(latent));
  }
  if (query.cluster !== undefined) {
    const cluster = await index.column('cluster');
    candidates = candidates.filter((latent) => cluster[latent] === query.cluster);
  }
  const firing = candidates.filter((latent) => nFired[latent] > 0);
  const latents = query.silent ? candidates : firing;
  const sorted = await inOrder(index, latents, query, scores);
  return {
    latents: sorted,
    nSilent: query.silent ? 0 : candidates.length - firing.length,
    scores,
    isPartial,
  };
}

function wholeRange(n: number): Uint32Array {
  const range = new Uint32Array(n);
  for (let i = 0; i < n; i++) range[i] = i;
  return range;
}

async function inOrder(
  index: FeatureIndex,
  latents: Uint32Array,
  { sort, descending }: ListQuery,
  scores: ReadonlyMap<number, number> | undefined,
): Promise<Uint32Array> {
  if (sort === 'latent_index' || (sort === 'match' && !scores))
    return descending ? latents.reverse() : latents;
  const column = sort === 'match' ? undefined : await index.column(sort as FigureColumn);
  const keys = Float64Array.from(latents, (latent) => (column ? column[latent] : scores!.get(latent)!));
  return sortBy(latents, keys, descending);
}

interface Matches {
  readonly scores: Map<number, number> | undefined;
  readonly isPartial: boolean;
}

async function matches(index: FeatureIndex, query: ListQuery): Promise<Matches> {
  const { tokens, promotes, text } = query;
  const [firing, promoting, inText] = await Promise.all([
    tokens.length > 0 ? Promise.all(tokens.map((token) => index.latentsOf(token))).then(best) : undefined,
    promotes === undefined ? undefined : index.promotersOf(promotes).then((ranked) => best([ranked])),
    text === '' ? undefined : searchExamples(index, text),
  ]);
  const [first, ...others] = [firing, promoting, inText?.scores].filter((found) => found !== undefined);
  for (const latent of first?.keys() ?? [])
    if (!others.every((found) => found.has(latent))) first.delete(latent);
  return { scores: first, isPartial: inText?.isWhole === false };
}

/** The largest weight of each latent. */
function best(lists: readonly RankedLatents[]): Map<number, number> {
  const found = new Map<number, number>();
  for (const { latents, weights } of lists)
    for (let i = 0; i < latents.length; i++)
      found.set(latents[i], Math.max(found.get(latents[i]) ?? -Infinity, weights[i]));
  return found;
}
