import { createEffect, createMemo, createSignal, Match, onCleanup, onMount, Show, Switch } from 'solid-js';
import type { Collection } from '../data/collection.ts';
import type { FeatureIndex } from '../data/feature-index.ts';
import { type FeaturePage, loadFeature } from '../data/feature-page.ts';
import { count } from '../data/format.ts';
import { makeList } from '../data/list.ts';
import { ErrorNotice } from '../parts/error-notice.tsx';
import { Examples, nextSection, type PointedToken, prepareExamples } from '../parts/examples.tsx';
import { LogitPanel } from '../parts/logit-panel.tsx';
import { MatchesPanel } from '../parts/matches-panel.tsx';
import { ActivationPanel, EffectPanel, FiguresPanel, TokenPanel } from '../parts/panels.tsx';
import { CoActivePanel, NeighbourPanel, NeuronPanel } from '../parts/related-panels.tsx';
import { Explanations } from '../parts/explanations.tsx';
import { FeatureTools } from '../parts/feature-tools.tsx';
import { currentList, setCurrentList } from '../state/current-list.ts';
import { createLoad } from '../state/load.ts';
import { createPainted } from '../state/painted.ts';
import { featureHref, go, listHref, route } from '../state/route.ts';
import { onShortcut } from '../state/shortcuts.ts';

/** Everything the index knows of one feature: figures on the left, text on the right. */
export function FeatureView(props: { index: FeatureIndex; latent: number; collection?: Collection }) {
  const page = createLoad(
    () => props.latent,
    (latent) => loadFeature(props.index, latent),
  );
  const painted = createPainted(page.value);
  const [pointed, setPointed] = createSignal<PointedToken>();
  // Opened by its address: the list that it stands in is made beside it.
  const list = createLoad(
    () => route().query,
    (query) => makeList(props.index, query),
  );
  createEffect(() => list.value() && setCurrentList(list.value()));
  createEffect(() => {
    // The new feature is read from its beginning.
    if (props.latent >= 0) window.scrollTo(0, 0);
    setPointed(undefined);
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
    const { next, previous } = around();
    for (const latent of [next, previous]) if (latent !== undefined) prefetch(props.index, latent);
  });

  return (
    <Switch>
      <Match when={page.error()}>
        {(error) => (
          <>
            <ErrorNotice error={error()} />
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
        {(shown) => (
          <article class="feature" aria-busy={page.loading() || painted() !== shown()}>
            <div class="side">
              <div class="summary">
                <FeatureHead
                  page={shown()}
                  around={around()}
                  member={props.collection?.labelOf(route().member)}
                />
                <Explanations rows={shown().explanations} />
                <FeatureTools index={props.index} page={shown()} />
                <FiguresPanel index={props.index} page={shown()} />
                <Show when={shown().feature.n_fired > 0}>
                  <ActivationPanel index={props.index} page={shown()} pointed={pointed()} />
                </Show>
              </div>
              <EffectPanel index={props.index} page={shown()} />
              <Show when={shown().details.top_logits.length > 0}>
                <LogitPanel index={props.index} page={shown()} pointed={pointed()} />
              </Show>
              <Show when={painted()}>
                {(shown) => (
                  <>
                    <TokenPanel index={props.index} page={shown()} />
                    <CoActivePanel index={props.index} page={shown()} />
                    <NeighbourPanel index={props.index} page={shown()} />
                    <Show when={props.collection}>
                      {(collection) => (
                        <MatchesPanel
                          collection={collection()}
                          member={route().member}
                          latent={shown().latent}
                        />
                      )}
                    </Show>
                    <NeuronPanel page={shown()} />
                  </>
                )}
              </Show>
            </div>
            <Show
              when={shown().examples.length > 0}
              fallback={
                <div class="notice">
                  <h2>This feature never fires here</h2>
                  <p>
                    On none of the {count(props.index.manifest.corpus.n_tokens)} tokens of this text is its
                    activation above zero. It may fire on other text; what it would do to the logits is shown
                    all the same.
                  </p>
                </div>
              }
            >
              <Show
                when={shown().textProblem === undefined}
                fallback={<ErrorNotice error={shown().textProblem!} />}
              >
                <Examples index={props.index} page={shown()} onPoint={setPointed} />
              </Show>
            </Show>
          </article>
        )}
      </Match>
    </Switch>
  );
}

function FeatureHead(props: {
  page: FeaturePage;
  around: { previous: number | undefined; next: number | undefined; place: string };
  /** The dictionary of a collection. */
  member: string | undefined;
}) {
  return (
    <header class="feature-head">
      <h1>
        <span class="faint">Feature</span> {props.page.latent}
      </h1>
      <nav aria-label="Features of the list">
        <a href={listHref()} title="Back to the list (u)" aria-label="Back to the list">
          <svg viewBox="0 0 20 20" aria-hidden="true">
            <path d="M4 5h12M4 10h12M4 15h12" />
          </svg>
        </a>
        <Step latent={props.around.previous} name="Previous feature (k)" path="M12 4 6 10l6 6" />
        <Step latent={props.around.next} name="Next feature (j)" path="m8 4 6 6-6 6" />
      </nav>
      <p class="faint place">{[props.member, props.around.place].filter(Boolean).join(' · ')}</p>
    </header>
  );
}

function Step(props: { latent: number | undefined; name: string; path: string }) {
  const icon = () => (
    <svg viewBox="0 0 20 20" aria-hidden="true">
      <path d={props.path} />
    </svg>
  );
  return (
    <Show when={props.latent !== undefined} fallback={<span class="step-off">{icon()}</span>}>
      <a href={featureHref(props.latent!)} title={props.name} aria-label={props.name}>
        {icon()}
      </a>
    </Show>
  );
}

function neighboursInList(latents: Uint32Array | undefined, latent: number | undefined) {
  const place = latent === undefined ? -1 : (latents?.indexOf(latent) ?? -1);
  if (!latents || place < 0) return { previous: undefined, next: latents?.[0], place: '' };
  return {
    previous: place > 0 ? latents[place - 1] : undefined,
    next: place + 1 < latents.length ? latents[place + 1] : undefined,
    place: `${count(place + 1)} of ${count(latents.length)} in the list`,
  };
}

function prefetch(index: FeatureIndex, latent: number): void {
  loadFeature(index, latent).then(
    // In a task of its own: what the reader does meanwhile comes first.
    (page) => setTimeout(() => prepareExamples(index, page)),
    // Errors are met when the feature is opened.
    () => {},
  );
}
