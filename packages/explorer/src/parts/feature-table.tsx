import { createEffect, createMemo, createSignal, For, onCleanup, onMount, Show } from 'solid-js';
import type { FeatureIndex } from '../data/feature-index.ts';
import { figure, oneIn, percent } from '../data/format.ts';
import type { FeatureList } from '../data/list.ts';
import { loadPreview } from '../data/preview.ts';
import { sampleShape, unitNames } from '../data/sample-shape.ts';
import { tokenLabel } from '../data/segments.ts';
import { featureHref, go, listHref, type ListQuery, type SortKey } from '../state/route.ts';
import { createLoad } from '../state/load.ts';
import { onShortcut } from '../state/shortcuts.ts';
import { AlignedLine, SampleGrid } from './token-line.tsx';

/** Rows drawn beyond the ends of the window, so that scrolling meets no gap. */
const MARGIN = 12;
/** Browsers draw nothing taller than 17 million pixels: of a longer list one pixel of scrolling passes more than one. */
const TALLEST = 16_000_000;

/** Where the reader was in a list, for coming back from a feature. */
const places = new Map<FeatureList, { scroll: number; row: number }>();

/** The features of a list, one a row. Only rows near the window exist in the document. */
export function FeatureTable(props: { index: FeatureIndex; list: FeatureList; query: ListQuery }) {
  const [top, setTop] = createSignal(0);
  const [height, setHeight] = createSignal(window.innerHeight);
  const [narrow, setNarrow] = createSignal(false);
  const [row, setRow] = createSignal(0);
  let body!: HTMLDivElement;
  /** The list as it was last drawn: when the table goes away its own list may be gone already. */
  let listed = props.list;

  const rowHeight = () => (narrow() ? 78 : 44);
  const latents = () => props.list.latents;
  const tall = () => latents().length * rowHeight();
  const drawn = () => Math.min(tall(), TALLEST);
  /** Pixels of the list that a pixel of scrolling passes. */
  const pace = () => (drawn() < tall() ? (tall() - height()) / (drawn() - height()) : 1);
  /** Pixels of the list that were passed beyond those scrolled. */
  const skipped = () => Math.max(0, top()) * (pace() - 1);
  const visible = createMemo(() => {
    const from = top() + skipped();
    const first = Math.max(0, Math.floor(from / rowHeight()) - MARGIN);
    const last = Math.min(latents().length, Math.ceil((from + height()) / rowHeight()) + MARGIN);
    return Array.from({ length: Math.max(0, last - first) }, (_, i) => first + i);
  });

  const measure = () => {
    setTop(-body.getBoundingClientRect().top);
    setHeight(window.innerHeight);
    setNarrow(window.innerWidth < 760);
  };
  const select = (next: number) => {
    const chosen = Math.min(latents().length - 1, Math.max(0, next));
    setRow(chosen);
    const y = body.getBoundingClientRect().top + chosen * rowHeight() - skipped();
    const above = 110;
    const below = y + rowHeight() - window.innerHeight;
    if (y < above) window.scrollBy(0, (y - above) / pace());
    else if (below > 0) window.scrollBy(0, below / pace());
    measure();
    body.querySelector<HTMLElement>(`[data-row="${chosen}"] a`)?.focus({ preventScroll: true });
  };
  onMount(() => {
    measure();
    const place = places.get(props.list);
    if (place) {
      setRow(place.row);
      window.scrollTo(0, place.scroll);
    }
    window.addEventListener('scroll', measure, { passive: true });
    window.addEventListener('resize', measure);
    const remove = onShortcut({
      j: () => select(document.activeElement?.closest('[data-row]') ? row() + 1 : row()),
      k: () => select(row() - 1),
      Enter: () => go(featureHref(latents()[row()])),
    });
    onCleanup(() => {
      places.set(listed, { scroll: window.scrollY, row: row() });
      window.removeEventListener('scroll', measure);
      window.removeEventListener('resize', measure);
      remove();
    });
  });
  createEffect((previous: FeatureList | undefined) => {
    if (previous !== undefined && previous !== props.list) setRow(0);
    return (listed = props.list);
  });

  return (
    <div
      class="table"
      classList={{ 'without-logits': !props.index.manifest.logits }}
      role="table"
      aria-label="Features"
      aria-rowcount={latents().length + 1}
    >
      <div class="row heads" role="row" aria-rowindex={1}>
        <Head name="Feature" key="latent_index" query={props.query} first="up" />
        <Head name="Density" key="density" query={props.query} />
        <Head name="Max" key="max_activation" query={props.query} />
        <span role="columnheader" class="peak-head">
          Strongest example
        </span>
        <Head
          name={`Top ${unitNames(props.index.manifest).token}`}
          key="top_token_share"
          query={props.query}
        />
        <Show when={props.index.manifest.logits}>
          <Head name="Predicts" key="max_logit" query={props.query} />
        </Show>
      </div>
      <div ref={body} class="rows" role="rowgroup" style={{ height: `${drawn()}px` }}>
        <For each={visible()}>
          {(i) => (
            <FeatureRowView
              index={props.index}
              latent={latents()[i]}
              place={i}
              offset={i * rowHeight() - skipped()}
              current={i === row()}
              onFocus={() => setRow(i)}
            />
          )}
        </For>
      </div>
    </div>
  );
}

function Head(props: { name: string; key: SortKey; query: ListQuery; first?: 'up' }) {
  const sorted = () => props.query.sort === props.key;
  const descending = () => (sorted() ? !props.query.descending : props.first !== 'up');
  return (
    <span
      role="columnheader"
      aria-sort={sorted() ? (props.query.descending ? 'descending' : 'ascending') : 'none'}
    >
      <a href={listHref({ sort: props.key, descending: descending() })} classList={{ sorted: sorted() }}>
        {props.name}
        <span class="arrow" aria-hidden="true">
          {sorted() ? (props.query.descending ? '↓' : '↑') : ''}
        </span>
      </a>
    </span>
  );
}

function FeatureRowView(props: {
  index: FeatureIndex;
  latent: number;
  place: number;
  offset: number;
  current: boolean;
  onFocus: () => void;
}) {
  const data = createLoad(
    () => props.latent,
    (latent) => loadPreview(props.index, latent),
  );
  const token = (id: number) => tokenLabel(props.index.vocabulary.text(id));
  const sample = sampleShape(props.index.manifest);
  return (
    <div
      class="row"
      role="row"
      aria-rowindex={props.place + 2}
      data-row={props.place}
      style={{ transform: `translateY(${props.offset}px)` }}
    >
      <span role="cell" class="number">
        {/* The link covers the row. */}
        <a
          href={featureHref(props.latent)}
          tabindex={props.current ? 0 : -1}
          aria-label={`Feature ${props.latent}`}
          onFocus={() => props.onFocus()}
        >
          {props.latent}
        </a>
      </span>
      <Show
        when={data.value()}
        fallback={
          <span role="cell" class="faint">
            {data.error() ? 'cannot be read' : ''}
          </span>
        }
      >
        {(shown) => (
          <Show
            when={shown().row.n_fired > 0}
            fallback={
              <span role="cell" class="faint never">
                never fires on this text
              </span>
            }
          >
            <span role="cell" class="density-cell" title={`${percent(shown().row.density)} of tokens`}>
              {oneIn(shown().row.density)}
            </span>
            <span role="cell" class="max">
              {figure(shown().row.max_activation)}
            </span>
            <span role="cell" class="preview">
              {sample ? (
                <SampleGrid sample={sample} segments={shown().segments} highlight={shown().highlight} />
              ) : (
                <AlignedLine segments={shown().segments} highlight={shown().highlight} />
              )}
            </span>
            <span role="cell" class="top-token">
              <code>{token(shown().row.top_token)}</code>
              <span class="faint">{Math.round(shown().row.top_token_share * 100)} %</span>
            </span>
            <Show when={props.index.manifest.logits}>
              <span role="cell" class="predicts">
                <For each={shown().row.top_logit_tokens.slice(0, 3)}>{(id) => <code>{token(id)}</code>}</For>
              </span>
            </Show>
          </Show>
        )}
      </Show>
    </div>
  );
}
