import { createMemo, createRoot, createSignal } from 'solid-js';
import type { FigureColumn } from '../data/cards.ts';

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
  /** An explanation contains this text. Like `text`, between slashes a pattern. */
  readonly about: string;
  /** Density between these, as powers of ten. */
  readonly density: readonly [number, number] | undefined;
  /** Also those that never fire. */
  readonly silent: boolean;
  /** Only those that the reader starred. */
  readonly starred: boolean;
  /** Only these, as a list that somebody passed on or drew on the map. */
  readonly only: readonly number[];
  /** Only those of one cluster of the map. */
  readonly cluster: number | undefined;
}

export const VIEWS = [
  'list',
  'feature',
  'map',
  'text',
  'steer',
  'collection',
  'compare',
  'families',
] as const;
export type ViewName = (typeof VIEWS)[number];

export interface Route {
  readonly view: ViewName;
  /** The dictionary of a collection that is read; empty where none is, or the page has only one. */
  readonly member: string;
  /** The feature shown, or the one that is steered. */
  readonly latent: number | undefined;
  readonly query: ListQuery;
  /** What a view keeps of its own state in the address. */
  readonly own: Readonly<Record<string, string>>;
}

const NOTHING: Readonly<Record<string, string>> = {};
const WHOLE_LIST: ListQuery = {
  sort: 'latent_index',
  descending: false,
  tokens: [],
  promotes: undefined,
  text: '',
  about: '',
  density: undefined,
  silent: false,
  starred: false,
  only: [],
  cluster: undefined,
};

/** Names of the list's query in an address; all others belong to the view. */
const QUERY_NAMES = new Set([
  ...[
    'sort',
    'dir',
    'on',
    'promotes',
    'text',
    'density',
    'silent',
    'starred',
    'only',
    'cluster',
    'of',
    'about',
  ],
]);
/** Features that an address can name; its length is limited by hosts. */
const MOST_NAMED = 2000;

export function parseRoute(hash: string): Route {
  const [path, search = ''] = hash.replace(/^#/, '').split('?', 2);
  const params = new URLSearchParams(search);
  const [, name = '', number] = /^\/([a-z]*)(?:\/(\d{1,9}))?$/.exec(path) ?? [];
  const view = VIEWS.find((known) => known === name) ?? 'list';
  const wholes = (name: string) =>
    (params.get(name) ?? '')
      .split(',')
      .filter((part) => /^\d{1,9}$/.test(part))
      .map(Number);
  const density = (params.get('density') ?? '').split(',').map(Number);
  const tokens = wholes('on');
  const text = params.get('text') ?? '';
  const about = params.get('about') ?? '';
  const matches = tokens.length > 0 || text !== '' || about !== '';
  return {
    member: /^\w[\w.-]*$/.exec(params.get('of') ?? '')?.[0] ?? '',
    view: view === 'feature' && number === undefined ? 'list' : view,
    latent: number === undefined ? undefined : Number(number),
    own: Object.fromEntries([...params].filter(([key]) => !QUERY_NAMES.has(key))),
    query: {
      sort: (params.get('sort') as SortKey | null) ?? (matches ? 'match' : 'latent_index'),
      descending: params.has('sort') ? params.get('dir') === 'desc' : matches,
      tokens,
      promotes: wholes('promotes')[0],
      text,
      about,
      density: density.length === 2 && density.every(Number.isFinite) ? [density[0], density[1]] : undefined,
      silent: params.get('silent') === '1',
      starred: params.get('starred') === '1',
      only: wholes('only').slice(0, MOST_NAMED),
      cluster: wholes('cluster')[0],
    },
  };
}

export function formatRoute({ view, member, latent, query, own }: Route): string {
  const params = new URLSearchParams();
  if (member !== '') params.set('of', member);
  const matches = query.tokens.length > 0 || query.text !== '' || query.about !== '';
  const usual = query.sort === (matches ? 'match' : 'latent_index') && query.descending === matches;
  if (!usual) {
    params.set('sort', query.sort);
    params.set('dir', query.descending ? 'desc' : 'asc');
  }
  if (query.tokens.length > 0) params.set('on', query.tokens.join(','));
  if (query.promotes !== undefined) params.set('promotes', String(query.promotes));
  if (query.text !== '') params.set('text', query.text);
  if (query.about !== '') params.set('about', query.about);
  if (query.density) params.set('density', query.density.join(','));
  if (query.silent) params.set('silent', '1');
  if (query.starred) params.set('starred', '1');
  if (query.only.length > 0) params.set('only', query.only.slice(0, MOST_NAMED).join(','));
  if (query.cluster !== undefined) params.set('cluster', String(query.cluster));
  for (const [key, value] of Object.entries(own)) if (value !== '') params.set(key, value);
  const search = params.toString();
  const path = view === 'list' ? '/' : `/${view}${latent === undefined ? '' : `/${latent}`}`;
  return `#${path}${search ? `?${search}` : ''}`;
}

/** The address of what is shown; the browser's follows it. */
let address = location.hash;
const [route, setRoute] = createSignal<Route>(parseRoute(address));
window.addEventListener('hashchange', () => show(location.hash));

function show(href: string): void {
  address = href;
  const next = parseRoute(href);
  setRoute((last) => ({
    ...next,
    query: sameIfEqual(last.query, next.query),
    own: sameIfEqual(last.own, next.own),
  }));
}

/** What says the same stays the same object: a list is not made again for every feature that is opened from it. */
function sameIfEqual<T>(last: T, next: T): T {
  return JSON.stringify(last) === JSON.stringify(next) ? last : next;
}

export { route };

/** Parts of the route that seldom change from feature to feature: links that are made of them are not made again. */
const { currentMember, currentQuery, keptOwn } = createRoot(() => ({
  currentMember: createMemo(() => route().member),
  currentQuery: createMemo(() => route().query),
  /** Only what the view of features keeps goes from feature to feature. */
  keptOwn: createMemo(() => (route().view === 'feature' ? route().own : NOTHING)),
}));

/** The address of a feature in the list that is shown. */
export function featureHref(latent: number): string {
  return formatRoute({
    view: 'feature',
    member: currentMember(),
    latent,
    query: currentQuery(),
    own: keptOwn(),
  });
}

/** The address of the list with some of its query changed. */
export function listHref(change: Partial<ListQuery> = {}): string {
  const changed = { ...currentQuery(), ...change };
  return formatRoute({
    view: 'list',
    member: currentMember(),
    latent: undefined,
    query: changed,
    own: NOTHING,
  });
}

/** The address of the whole list in its usual order, with this query. */
export function freshListHref(wanted: Partial<ListQuery> = {}): string {
  const matches =
    (wanted.tokens?.length ?? 0) > 0 || (wanted.text ?? '') !== '' || (wanted.about ?? '') !== '';
  const order: Partial<ListQuery> = matches ? { sort: 'match', descending: true } : {};
  return formatRoute({
    view: 'list',
    member: currentMember(),
    latent: undefined,
    query: { ...WHOLE_LIST, ...order, ...wanted },
    own: NOTHING,
  });
}

/** The address of a view, in the list that is shown. */
export function viewHref(
  view: ViewName,
  latent?: number,
  own: Readonly<Record<string, string>> = NOTHING,
): string {
  return formatRoute({ view, member: currentMember(), latent, query: currentQuery(), own });
}

/** The address of a dictionary of the collection: its list, or one of its features. */
export function memberHref(member: string, latent?: number): string {
  const view = latent === undefined ? 'list' : 'feature';
  return formatRoute({ view, member, latent, query: WHOLE_LIST, own: NOTHING });
}

/** The address of a view of the collection itself. */
export function collectionHref(
  view: 'collection' | 'compare' = 'collection',
  own: Readonly<Record<string, string>> = NOTHING,
  latent?: number,
): string {
  return formatRoute({ view, member: '', latent, query: WHOLE_LIST, own });
}

/** The address of what is shown with some of the view's own state changed. */
export function ownHref(change: Readonly<Record<string, string>>, latent = route().latent): string {
  return formatRoute({ ...route(), latent, own: { ...route().own, ...change } });
}

/** Without the browser's own search for a place of that name, which lays the page out before it is drawn. */
export function go(href: string): void {
  if (href === address) return;
  show(href);
  writeAddress(() => history.pushState(null, '', href));
}

/** Change the view's own state without a new entry in the history: for what changes while one types. */
export function keep(change: Readonly<Record<string, string>>): void {
  show(ownHref(change));
  writeAddress(replaceAddress);
}

const replaceAddress = (): void => history.replaceState(history.state, '', address);

const RETRY_MS = 1000;
let retry: number | undefined;

/**
 * Browsers refuse addresses that change as often as those of a key that is held, some with an error and some in silence: what
 * is shown goes on, and the address is written when it may be.
 */
function writeAddress(write: () => void): void {
  window.clearTimeout(retry);
  try {
    write();
  } catch {
    // A refusal.
  }
  const isWritten = location.hash === new URL(address, location.href).hash;
  retry = isWritten ? undefined : window.setTimeout(() => writeAddress(replaceAddress), RETRY_MS);
}
