import { isStarred } from '../state/notebook.ts';
import type { ListQuery, SortKey } from '../state/route.ts';
import { searchExplanations } from './explanation-search.ts';
import type { FeatureIndex, RankedLatents } from './feature-index.ts';
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

type Condition = (latent: number) => boolean;

/** Lists that are kept: a reader goes to and fro between a few. One of a million features takes 4 MB. */
const MOST_LISTS = 6;
const lists = new WeakMap<FeatureIndex, Map<string, Promise<FeatureList>>>();

/** The features of a query, in its order. Ties stay in order of their numbers. The last lists are kept. */
export function makeList(index: FeatureIndex, query: ListQuery): Promise<FeatureList> {
  // Stars come and go.
  if (query.starred) return listOf(index, query);
  const known = lists.get(index) ?? new Map<string, Promise<FeatureList>>();
  lists.set(index, known);
  const key = JSON.stringify(query);
  const list = known.get(key) ?? listOf(index, query);
  // The last one asked for is the last to be forgotten.
  known.delete(key);
  known.set(key, list);
  list.catch(() => known.delete(key));
  if (known.size > MOST_LISTS) known.delete(known.keys().next().value!);
  return list;
}

async function listOf(index: FeatureIndex, query: ListQuery): Promise<FeatureList> {
  const nFired = await index.column('n_fired');
  const { scores, isPartial } = await matches(index, query);
  const conditions = await conditionsOf(index, query);
  const order = await inOrder(index, query, scores);
  const latents = new Uint32Array(order.length);
  let [nListed, nSilent] = [0, 0];
  for (let i = 0; i < order.length; i++) {
    const latent = order[i];
    if (!holdAll(conditions, latent)) continue;
    if (query.silent || nFired[latent] > 0) latents[nListed++] = latent;
    else nSilent++;
  }
  return { latents: latents.subarray(0, nListed), nSilent, scores, isPartial };
}

function holdAll(conditions: readonly Condition[], latent: number): boolean {
  for (let i = 0; i < conditions.length; i++) if (!conditions[i](latent)) return false;
  return true;
}

async function conditionsOf(index: FeatureIndex, query: ListQuery): Promise<Condition[]> {
  const conditions: Condition[] = [];
  if (query.density) {
    const density = await index.column('density');
    const [low, high] = query.density.map((power) => 10 ** power);
    conditions.push((latent) => density[latent] >= low && density[latent] < high);
  }
  if (query.starred) conditions.push(isStarred);
  if (query.only.length > 0) {
    const only = new Set(query.only);
    conditions.push((latent) => only.has(latent));
  }
  if (query.cluster !== undefined) {
    const cluster = await index.column('cluster');
    conditions.push((latent) => cluster[latent] === query.cluster);
  }
  return conditions;
}

/** Those that match a search, or all, in the order of the query. */
async function inOrder(
  index: FeatureIndex,
  query: ListQuery,
  scores: ReadonlyMap<number, number> | undefined,
): Promise<Uint32Array> {
  if (!scores) return wholeOrder(index, query);
  const latents = Uint32Array.from(scores.keys()).sort();
  if (query.sort === 'latent_index') return query.descending ? latents.reverse() : latents;
  const column = query.sort === 'match' ? undefined : await index.column(query.sort);
  const keys = Float32Array.from(latents, (latent) => (column ? column[latent] : scores.get(latent)!));
  return sortBy(latents, keys, query.descending);
}

/** Orders of all features are kept: sorting a million takes longer than anything else in a list. */
const MOST_ORDERS = 4;
let orders: { readonly index: FeatureIndex; readonly known: Map<string, Promise<Uint32Array>> } | undefined;

function wholeOrder(index: FeatureIndex, { sort, descending }: ListQuery): Promise<Uint32Array> {
  if (orders?.index !== index) orders = { index, known: new Map() };
  const { known } = orders;
  const name = `${sort} ${descending}`;
  let order = known.get(name);
  if (!order) {
    order = makeWholeOrder(index, sort, descending);
    order.catch(() => known.delete(name));
    if (known.size === MOST_ORDERS) known.delete(known.keys().next().value!);
    known.set(name, order);
  }
  return order;
}

async function makeWholeOrder(index: FeatureIndex, sort: SortKey, descending: boolean): Promise<Uint32Array> {
  const all = new Uint32Array(index.nFeatures);
  for (let i = 0; i < all.length; i++) all[i] = i;
  if (sort === 'latent_index' || sort === 'match') return descending ? all.reverse() : all;
  return sortBy(all, await index.column(sort), descending);
}

interface Matches {
  readonly scores: Map<number, number> | undefined;
  readonly isPartial: boolean;
}

async function matches(index: FeatureIndex, query: ListQuery): Promise<Matches> {
  const { tokens, promotes, text, about } = query;
  const [firing, promoting, inText, told] = await Promise.all([
    tokens.length > 0 ? Promise.all(tokens.map((token) => index.latentsOf(token))).then(best) : undefined,
    promotes === undefined ? undefined : index.promotersOf(promotes).then((ranked) => best([ranked])),
    text === '' ? undefined : searchExamples(index, text),
    about === '' ? undefined : searchExplanations(index, about),
  ]);
  const [first, ...others] = [firing, promoting, inText?.scores, told].filter((found) => found !== undefined);
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
