import { isStarred } from '../state/notebook.ts';
import type { ListQuery } from '../state/route.ts';
import type { FeatureIndex, FeatureRow, FigureColumn } from './feature-index.ts';
import { searchExamples } from './text-search.ts';

export interface FeatureList {
  /** Latents in the order shown. */
  readonly latents: Uint32Array;
  /** Features that match but never fire, when they are left out. */
  readonly nSilent: number;
  /** How well a latent matches the search, by latent; undefined when nothing is searched. */
  readonly scores: ReadonlyMap<number, number> | undefined;
}

/** The features of a query, in its order. Ties stay in order of their numbers. */
export async function makeList(index: FeatureIndex, query: ListQuery): Promise<FeatureList> {
  const nFired = await index.column('n_fired');
  const scores = await matches(index, query);
  let candidates = scores ? Uint32Array.from(scores.keys()).sort() : wholeRange(index.nFeatures);
  if (query.density) {
    const density = await index.column('density');
    const [low, high] = query.density.map((power) => 10 ** power);
    candidates = candidates.filter((latent) => density[latent] >= low && density[latent] < high);
  }
  if (query.starred) candidates = candidates.filter((latent) => isStarred(latent));
  if (query.only.length > 0) candidates = candidates.filter((latent) => query.only.includes(latent));
  if (query.cluster !== undefined) {
    const cluster = await index.column('cluster');
    candidates = candidates.filter((latent) => cluster[latent] === query.cluster);
  }
  const firing = candidates.filter((latent) => nFired[latent] > 0);
  const latents = query.silent ? candidates : firing;
  await sort(index, latents, query, scores);
  return { latents, nSilent: query.silent ? 0 : candidates.length - firing.length, scores };
}

function wholeRange(n: number): Uint32Array {
  const range = new Uint32Array(n);
  for (let i = 0; i < n; i++) range[i] = i;
  return range;
}

async function sort(
  index: FeatureIndex,
  latents: Uint32Array,
  { sort, descending }: ListQuery,
  scores: ReadonlyMap<number, number> | undefined,
): Promise<void> {
  if (sort === 'latent_index' || (sort === 'match' && !scores)) {
    if (descending) latents.reverse();
    return;
  }
  const sign = descending ? -1 : 1;
  const column = sort === 'match' ? undefined : await index.column(sort as FigureColumn);
  const key = column ? (latent: number) => column[latent] : (latent: number) => scores!.get(latent)!;
  latents.sort((a, b) => sign * (key(a) - key(b)) || a - b);
}

async function matches(index: FeatureIndex, query: ListQuery): Promise<Map<number, number> | undefined> {
  const searches: Promise<Map<number, number>>[] = [];
  if (query.tokens.length > 0) searches.push(firingOn(index, query.tokens));
  if (query.promotes !== undefined) searches.push(promoting(index, query.promotes));
  if (query.text !== '') searches.push(searchExamples(index, query.text));
  const [first, ...others] = await Promise.all(searches);
  if (!first) return undefined;
  for (const latent of first.keys()) if (!others.every((found) => found.has(latent))) first.delete(latent);
  return first;
}

async function firingOn(index: FeatureIndex, tokens: readonly number[]): Promise<Map<number, number>> {
  const best = new Map<number, number>();
  for (const rows of await Promise.all(tokens.map((token) => index.latentsOf(token)))) {
    for (const { latent_index, mean_activation } of rows)
      best.set(latent_index, Math.max(best.get(latent_index) ?? 0, mean_activation));
  }
  return best;
}

async function promoting(index: FeatureIndex, token: number): Promise<Map<number, number>> {
  const found = new Map<number, number>();
  await index.eachFeature((row: FeatureRow) => {
    const place = row.top_logit_tokens.indexOf(token);
    if (place >= 0) found.set(row.latent_index, row.top_logit_tokens.length - place);
  });
  return found;
}
