import { createEffect, createMemo, Show } from 'solid-js';
import type { FeatureIndex } from '../data/feature-index.ts';
import { collectionHref, freshListHref, listHref, route, viewHref } from '../state/route.ts';
import { toggleTheme } from '../state/settings.ts';
import { SearchBox } from './search-box.tsx';

export function Header(props: {
  index: FeatureIndex | undefined;
  /** Label of the dictionary of the collection that is read. */
  member: string | undefined;
  isCollection: boolean;
  onRandom: () => void;
  onHelp: () => void;
}) {
  return (
    <header class="top">
      <a class="brand" href={props.isCollection ? collectionHref() : freshListHref()} aria-label="Monoseme">
        <span class="mark" aria-hidden="true" />
        <span class="brand-name">Monoseme</span>
      </a>
      <Show when={props.index} fallback={<CollectionViews isCollection={props.isCollection} />}>
        {(index) => (
          <>
            <Show when={props.isCollection}>
              <a class="where member" href={freshListHref()} title={`${route().member}, of the collection`}>
                {props.member}
              </a>
            </Show>
            <span class="where" title={`${index().manifest.dictionary.architecture} dictionary`}>
              {index().manifest.dictionary.model_name}
              <span class="faint"> · {index().manifest.dictionary.hook_name}</span>
            </span>
            <nav class="views" aria-label="Views">
              <Show when={props.isCollection}>
                <a class="back-to-all" href={collectionHref()}>
                  Collection
                </a>
              </Show>
              <View
                name="Features"
                href={listHref()}
                current={route().view === 'list' || route().view === 'feature'}
              />
              <View name="Map" href={viewHref('map')} current={route().view === 'map'} />
              <Show when={props.isCollection}>
                <View
                  name="Families"
                  href={viewHref('families', route().latent)}
                  current={route().view === 'families'}
                />
              </Show>
              <View name="Text" href={viewHref('text')} current={route().view === 'text'} />
              <View
                name="Steer"
                href={viewHref('steer', route().latent)}
                current={route().view === 'steer'}
              />
            </nav>
            <SearchBox index={index()} />
          </>
        )}
      </Show>
      <nav class="tools" aria-label="Tools">
        <button
          type="button"
          onClick={() => props.onRandom()}
          title="Random feature (r)"
          disabled={!props.index}
        >
          <svg viewBox="0 0 20 20" aria-hidden="true">
            <path d="M2 6h3l8 8h4M2 14h3l2.5-2.5M10.5 8.500 13 6h4M15 3.500 17.500 6 15 8.500M15 11.500l2.500 2.500L15 16.500" />
          </svg>
          <span class="label">Random</span>
        </button>
        <button type="button" onClick={toggleTheme} title="Dark or light (t)" aria-label="Dark or light">
          <svg viewBox="0 0 20 20" aria-hidden="true">
            <circle cx="10" cy="10" r="6.500" />
            <path class="fill" d="M10 3.500a6.500 6.500 0 0 1 0 13z" />
          </svg>
        </button>
        <button
          type="button"
          onClick={() => props.onHelp()}
          title="Help and keys (?)"
          aria-label="Help and keys"
        >
          <svg viewBox="0 0 20 20" aria-hidden="true">
            <path d="M7 7.500a3 3 0 1 1 4.200 2.750c-.8.35-1.200.9-1.200 1.750v.5M10 15.500v.010" />
          </svg>
        </button>
      </nav>
    </header>
  );
}

/** Where no dictionary is open. */
function CollectionViews(props: { isCollection: boolean }) {
  return (
    <>
      <Show when={props.isCollection}>
        <nav class="views" aria-label="Views">
          <View name="Collection" href={collectionHref()} current={route().view !== 'compare'} />
          <View name="Compare" href={collectionHref('compare')} current={route().view === 'compare'} />
        </nav>
      </Show>
      <span class="grow" />
    </>
  );
}

function View(props: { name: string; href: string; current: boolean }) {
  let link!: HTMLAnchorElement;
  // Another feature is no other view.
  const current = createMemo(() => props.current);
  // On a small screen not all views are in sight.
  createEffect(() => current() && bringIntoRow(link));
  return (
    <a ref={link} href={props.href} aria-current={current() ? 'page' : undefined}>
      {props.name}
    </a>
  );
}

/**
 * Scroll a row sideways until one of its parts is in sight. `scrollIntoView` would do more: the next Tab would go on from the
 * part, past what comes before it.
 */
function bringIntoRow(part: HTMLElement): void {
  const row = part.parentElement!;
  const [inner, outer] = [part.getBoundingClientRect(), row.getBoundingClientRect()];
  const right = outer.right - (parseFloat(getComputedStyle(row).scrollPaddingRight) || 0);
  row.scrollLeft += Math.min(0, inner.left - outer.left) + Math.max(0, inner.right - right);
}
