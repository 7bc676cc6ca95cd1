import { createSignal } from 'solid-js';
import type { FigureColumn } from '../data/feature-index.ts';

export type SortKey = 'latent_index' | FigureColumn | 'match';

/** Which features a list holds, and in what order. Part of every address, so that next and previous follow the list. */
export interface ListQuery {
  readonly sort: SortKey;
  readonly descending: boolean;
  /** Fires on one of these tokens. */
  readonly tokens: readonly number[];
  /** One of its strongest logits is this token. */
  readonly promotes: number | undefined;
  /** An example contains this text. */
  readonly text: string;
  /** Density between these, as powers of ten. */
  readonly density: readonly [number, number] | undefined;
  /** Also those that never fire. */
  readonly silent: boolean;
}

export interface Route {
  /** The feature shown; undefined for the list. */
  readonly latent: number | undefined;
  readonly query: ListQuery;
}

const WHOLE_LIST: ListQuery = {
  sort: 'latent_index',
  descending: false,
  tokens: [],
  promotes: undefined,
  text: '',
  density: undefined,
  silent: false,
};

export function parseRoute(hash: string): Route {
  const [path, search = ''] = hash.replace(/^#/, '').split('?', 2);
  const params = new URLSearchParams(search);
  const feature = /^\/feature\/(\d{1,9})$/.exec(path);
  const wholes = (name: string) =>
    (params.get(name) ?? '')
      .split(',')
      .filter((part) => /^\d{1,9}$/.test(part))
      .map(Number);
  const density = (params.get('density') ?? '').split(',').map(Number);
  const tokens = wholes('on');
  const text = params.get('text') ?? '';
  const matches = tokens.length > 0 || text !== '';
  return {
    latent: feature ? Number(feature[1]) : undefined,
    query: {
      sort: (params.get('sort') as SortKey | null) ?? (matches ? 'match' : 'latent_index'),
      descending: params.has('sort') ? params.get('dir') === 'desc' : matches,
      tokens,
      promotes: wholes('promotes')[0],
      text,
      density: density.length === 2 && density.every(Number.isFinite) ? [density[0], density[1]] : undefined,
      silent: params.get('silent') === '1',
    },
  };
}

export function formatRoute({ latent, query }: Route): string {
  const params = new URLSearchParams();
  const matches = query.tokens.length > 0 || query.text !== '';
  const usual = query.sort === (matches ? 'match' : 'latent_index') && query.descending === matches;
  if (!usual) {
    params.set('sort', query.sort);
    params.set('dir', query.descending ? 'desc' : 'asc');
  }
  if (query.tokens.length > 0) params.set('on', query.tokens.join(','));
  if (query.promotes !== undefined) params.set('promotes', String(query.promotes));
  if (query.text !== '') params.set('text', query.text);
  if (query.density) params.set('density', query.density.join(','));
  if (query.silent) params.set('silent', '1');
  const search = params.toString();
  return `#${latent === undefined ? '/' : `/feature/${latent}`}${search ? `?${search}` : ''}`;
}

const [route, setRoute] = createSignal<Route>(parseRoute(location.hash));
window.addEventListener('hashchange', () => {
  const next = parseRoute(location.hash);
  // The same query stays the same object: a list is not made again for every feature that is opened from it.
  const same = JSON.stringify(next.query) === JSON.stringify(route().query);
  setRoute(same ? { ...next, query: route().query } : next);
});

export { route };

/** The address of a feature in the list that is shown. */
export function featureHref(latent: number, query: ListQuery = route().query): string {
  return formatRoute({ latent, query });
}

/** The address of the list with some of its query changed. */
export function listHref(change: Partial<ListQuery> = {}): string {
  return formatRoute({ latent: undefined, query: { ...route().query, ...change } });
}

/** The address of the whole list in its usual order, with this query. */
export function freshListHref(query: Partial<ListQuery> = {}): string {
  const matches = (query.tokens?.length ?? 0) > 0 || (query.text ?? '') !== '';
  const order: Partial<ListQuery> = matches ? { sort: 'match', descending: true } : {};
  return formatRoute({ latent: undefined, query: { ...WHOLE_LIST, ...order, ...query } });
}

export function go(href: string): void {
  location.hash = href;
}
