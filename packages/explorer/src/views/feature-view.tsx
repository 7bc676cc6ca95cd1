import { createEffect, createMemo, For, Match, onCleanup, onMount, Switch } from 'solid-js';
import type { Collection } from '../data/collection.ts';
import type { FeatureIndex } from '../data/feature-index.ts';
import { type FeaturePage, loadFeature } from '../data/feature-page.ts';
import { makeList } from '../data/list.ts';
import { ErrorNotice } from '../parts/error-notice.tsx';
import { currentSection, type Look, nextSection } from '../parts/examples.tsx';
import { FeatureArticle } from '../parts/feature-article.tsx';
import { currentList, neighboursInList, setCurrentList } from '../state/current-list.ts';
import { createLoad } from '../state/load.ts';
import { createPainted } from '../state/painted.ts';
import { featureHref, go, listHref, route } from '../state/route.ts';
import { contextMode } from '../state/settings.ts';
import { onShortcut } from '../state/shortcuts.ts';
import { createSlots } from '../state/slots.ts';

/** The feature of the address, and out of sight those before and behind it in the list, so that they are there at once. */
export function FeatureView(props: { index: FeatureIndex; latent: number; collection?: Collection }) {
  const page = createLoad(
    () => props.latent,
    (latent) => loadFeature(props.index, latent),
  );
  const painted = createPainted(page.value);
  const slots = createSlots(page.value, 3);
  // Those out of sight follow what the reader chooses once it is painted.
  const look = createMemo((): Look => ({ section: currentSection(), mode: contextMode() }), undefined, {
    equals: (a, b) => a.section === b.section && a.mode === b.mode,
  });
  const paintedLook = createPainted(look);
  // Opened by its address: the list that it stands in is made beside it.
  const list = createLoad(
    () => route().query,
    (query) => makeList(props.index, query),
  );
  createEffect(() => list.value() && setCurrentList(list.value()));
  createEffect(() => {
    // The new feature is read from its beginning.
    if (props.latent >= 0) window.scrollTo(0, 0);
  });

  // Follows what is shown: the page is not touched before it changes as a whole.
  const around = createMemo(() => neighboursInList(currentList()?.latents, page.value()?.latent));
  onMount(() => {
    const move = (way: 'next' | 'previous') => {
      const latent = neighboursInList(currentList()?.latents, props.latent)[way];
      if (latent !== undefined) go(featureHref(latent));
    };
    const remove = onShortcut({
      x: nextSection,
      j: () => move('next'),
      k: () => move('previous'),
    });
    onCleanup(remove);
  });
  createEffect(() => {
    // What is read now is painted first.
    if (page.loading() || painted() !== page.value()) return;
    const beside = [around().next, around().previous];
    let isPast = false;
    onCleanup(() => (isPast = true));
    const prepare = (page: FeaturePage) =>
      whenIdle(() => isPast || slots.prepare(page, ({ latent }) => !beside.includes(latent)));
    for (const latent of beside)
      // Errors are met when the feature is opened.
      if (latent !== undefined) loadFeature(props.index, latent).then(prepare, () => {});
  });

  return (
    <Switch>
      <Match when={page.error()}>
        {(error) => (
          <>
            <ErrorNotice error={error()} failed={[page]} />
            <p class="back">
              <a href={listHref()}>Back to the list</a>
            </p>
          </>
        )}
      </Match>
      <Match when={page.value() === undefined}>
        <p class="waiting" role="status">
          Reading feature {props.latent}…
        </p>
      </Match>
      <Match when={page.value()}>
        <div class="features">
          <For each={slots.all()}>
            {(slot) => (
              <FeatureArticle
                index={props.index}
                page={slot.value()}
                look={(slot.isShown() ? undefined : paintedLook()) ?? look()}
                isShown={slot.isShown()}
                isLoading={page.loading()}
                list={currentList()?.latents}
                collection={props.collection}
              />
            )}
          </For>
        </div>
      </Match>
    </Switch>
  );
}

/** When the browser has nothing else to do; browsers that do not say so wait a little. */
function whenIdle(work: () => void): void {
  if ('requestIdleCallback' in window) requestIdleCallback(work, { timeout: 2000 });
  else setTimeout(work, 100);
}
