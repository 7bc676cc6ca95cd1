import {
  createEffect,
  createSignal,
  ErrorBoundary,
  lazy,
  Match,
  onCleanup,
  onMount,
  Show,
  Suspense,
  Switch,
} from 'solid-js';
import { openFolder } from '../data/open-folder.ts';
import { serverModel } from '../data/live.ts';
import { toIndexError } from '../data/index-error.ts';
import { ErrorNotice } from '../parts/error-notice.tsx';
import { Header } from '../parts/header.tsx';
import { HelpDialog } from '../parts/help-dialog.tsx';
import { openNotebook } from '../state/notebook.ts';
import { currentList } from '../state/current-list.ts';
import { createLoad } from '../state/load.ts';
import { onShortcut } from '../state/shortcuts.ts';
import { collectionHref, featureHref, go, listHref, route, viewHref } from '../state/route.ts';
import { nextContextMode, theme, toggleTheme } from '../state/settings.ts';
import { DictionaryView } from './dictionary-view.tsx';
import { FeatureView } from './feature-view.tsx';

/** The index, or a collection of several, lies beside the page, in the folder that the address may name (`?index=folder`). */
function indexBase(): URL {
  const folder = new URLSearchParams(location.search).get('index') ?? 'index';
  return new URL(`${folder.replace(/\/+$/, '')}/`, location.href);
}

/** Views that not every reader opens are fetched when they are. */
const MapView = lazy(() => import('./map-view.tsx').then((view) => ({ default: view.MapView })));
const TextView = lazy(() => import('./text-view.tsx').then((view) => ({ default: view.TextView })));
const SteerView = lazy(() => import('./steer-view.tsx').then((view) => ({ default: view.SteerView })));

const CollectionView = lazy(() =>
  import('./collection-view.tsx').then((view) => ({ default: view.CollectionView })),
);
const CompareView = lazy(() => import('./compare-view.tsx').then((view) => ({ default: view.CompareView })));
const FamiliesView = lazy(() =>
  import('./families-view.tsx').then((view) => ({ default: view.FamiliesView })),
);

export function App() {
  const folder = createLoad(indexBase, openFolder);
  const collection = () => folder.value()?.collection;
  const index = createLoad(
    () => [folder.value(), route().member] as const,
    async ([opened, name]) => opened?.index ?? (name ? opened?.collection?.index(name) : undefined),
  );
  const needsModel = () => ['text', 'steer'].includes(route().view);
  const live = createLoad(
    () => [needsModel(), route().member] as const,
    async ([needed, member]) => (needed ? serverModel(member) : undefined),
  );
  const [help, setHelp] = createSignal(false);

  createEffect(() => {
    if (theme() === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme();
  });
  createEffect(() => index.value() && openNotebook(index.value()!.manifest.dictionaryHash));
  createEffect(() => {
    const { latent } = route();
    const name = route().member || index.value()?.manifest.dictionary.model_name;
    document.title = [latent === undefined ? '' : `Feature ${latent}`, name, 'Monoseme']
      .filter(Boolean)
      .join(' · ');
  });
  onMount(() => {
    const remove = onShortcut({
      '?': () => setHelp(!help()),
      t: toggleTheme,
      c: nextContextMode,
      r: () => goRandom(),
      u: () => route().view !== 'list' && go(listHref()),
      m: () => go(viewHref('map')),
      p: () => go(viewHref('text')),
      '/': () => document.querySelector<HTMLInputElement>('#search')?.focus(),
    });
    onCleanup(remove);
  });

  return (
    <>
      <a class="skip" href="#main" onClick={focusMain}>
        Skip to content
      </a>
      <Header
        index={index.value()}
        isCollection={collection() !== undefined}
        member={collection()?.labelOf(route().member)}
        onRandom={goRandom}
        onHelp={() => setHelp(true)}
      />
      <main id="main" tabindex="-1">
        <Switch>
          <Match when={folder.error()}>{(error) => <ErrorNotice error={error()} failed={[folder]} />}</Match>
          <Match when={collection() && isOfCollection() && collection()}>
            {(opened) => (
              <ErrorBoundary fallback={(error: unknown) => <ErrorNotice error={toIndexError(error)} />}>
                <Suspense>
                  <Show when={route().view === 'compare'} fallback={<CollectionView collection={opened()} />}>
                    <CompareView collection={opened()} />
                  </Show>
                </Suspense>
              </ErrorBoundary>
            )}
          </Match>
          <Match when={index.error()}>
            {(error) => (
              <>
                <ErrorNotice error={error()} failed={[index]} />
                <Show when={collection()}>
                  <p class="back">
                    <a href={collectionHref()}>Back to the collection</a>
                  </p>
                </Show>
              </>
            )}
          </Match>
          <Match when={folder.loading() || index.loading()}>
            <p class="waiting" role="status">
              Opening the index…
            </p>
          </Match>
          <Match when={index.value()} keyed>
            {(opened) => (
              <ErrorBoundary fallback={(error: unknown) => <ErrorNotice error={toIndexError(error)} />}>
                <Suspense>
                  <Switch fallback={<DictionaryView index={opened} />}>
                    <Match when={route().view === 'feature'}>
                      <FeatureView index={opened} latent={route().latent!} collection={collection()} />
                    </Match>
                    <Match when={route().view === 'families' && collection()}>
                      {(opened) => <FamiliesView collection={opened()} />}
                    </Match>
                    <Match when={route().view === 'map'}>
                      <MapView index={opened} />
                    </Match>
                    <Match when={needsModel() && live.error()}>
                      {(error) => <ErrorNotice error={error()} />}
                    </Match>
                    <Match when={needsModel() && live.loading()}>
                      <p class="waiting" role="status">
                        Opening the model…
                      </p>
                    </Match>
                    <Match when={route().view === 'text'}>
                      <TextView index={opened} live={live.value()} />
                    </Match>
                    <Match when={route().view === 'steer'}>
                      <SteerView index={opened} live={live.value()} />
                    </Match>
                  </Switch>
                </Suspense>
              </ErrorBoundary>
            )}
          </Match>
        </Switch>
      </main>
      <Show when={help()}>
        <HelpDialog onClose={() => setHelp(false)} />
      </Show>
    </>
  );
}

/** Whether the address names a view of the collection, not of one of its dictionaries. */
function isOfCollection(): boolean {
  return route().member === '';
}

function focusMain(event: MouseEvent): void {
  event.preventDefault();
  document.getElementById('main')?.focus();
}

function goRandom(): void {
  const latents = currentList()?.latents;
  if (!latents || latents.length === 0) return;
  // Chance is for the reader here: nothing that is kept depends on it.
  go(featureHref(latents[Math.floor(Math.random() * latents.length)]));
}
