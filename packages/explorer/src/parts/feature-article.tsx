import { createEffect, createMemo, createSignal, Show } from 'solid-js';
import type { Collection } from '../data/collection.ts';
import type { FeatureIndex } from '../data/feature-index.ts';
import type { FeaturePage } from '../data/feature-page.ts';
import { count } from '../data/format.ts';
import { neighboursInList } from '../state/current-list.ts';
import { createPainted } from '../state/painted.ts';
import { featureHref, listHref, route } from '../state/route.ts';
import { ErrorNotice } from './error-notice.tsx';
import { Examples, type Look, type PointedToken } from './examples.tsx';
import { Explanations } from './explanations.tsx';
import { FeatureTools } from './feature-tools.tsx';
import { LogitPanel } from './logit-panel.tsx';
import { MatchesPanel } from './matches-panel.tsx';
import { ActivationPanel, EffectPanel, FiguresPanel, TokenPanel } from './panels.tsx';
import { CoActivePanel, NeighbourPanel, NeuronPanel } from './related-panels.tsx';

/** Everything the index knows of one feature: figures on the left, text on the right. */
export function FeatureArticle(props: {
  index: FeatureIndex;
  page: FeaturePage;
  look: Look;
  /** Else it is made beforehand, out of sight. */
  isShown: boolean;
  isLoading: boolean;
  list: Uint32Array | undefined;
  collection: Collection | undefined;
}) {
  const [pointed, setPointed] = createSignal<PointedToken>();
  // Whether it is shown changes neither.
  const look = createMemo(() => props.look);
  const content = createMemo(() => ({ page: props.page, look: look() }));
  const drawn = createPainted(content);
  // What is below follows what is in sight, and goes when another feature is.
  const below = createPainted(() => (props.isShown ? content() : undefined));
  const whole = createPainted(below);
  const around = createMemo(() => neighboursInList(props.list, props.page.latent));
  let article!: HTMLElement;
  createEffect(() => props.isShown && takeFocus(article));
  // Another feature is read from its beginning.
  let scrolled: HTMLElement | undefined;
  createEffect(() => {
    if (props.page && scrolled) scrolled.scrollTop = 0;
    scrolled = undefined;
  });
  return (
    <article
      ref={article}
      class="feature"
      classList={{ ahead: !props.isShown, drawn: drawn() === content() }}
      tabindex="-1"
      aria-hidden={!props.isShown}
      aria-busy={props.isShown ? props.isLoading || whole() !== content() : undefined}
    >
      <div class="side" onScroll={(event) => (scrolled = event.currentTarget)}>
        <div class="summary">
          <FeatureHead
            page={props.page}
            around={around()}
            member={props.collection?.labelOf(route().member)}
          />
          <Explanations rows={props.page.explanations} />
          <FeatureTools index={props.index} page={props.page} isShown={props.isShown} />
          <FiguresPanel index={props.index} page={props.page} />
          <Show when={props.page.feature.n_fired > 0}>
            <ActivationPanel index={props.index} page={props.page} pointed={pointed()} />
          </Show>
        </div>
        <EffectPanel index={props.index} page={props.page} />
        <Show when={props.page.details.top_logits.length > 0}>
          <LogitPanel index={props.index} page={props.page} pointed={pointed()} />
        </Show>
        <Show when={below()}>
          {(shown) => <PanelsBelow index={props.index} page={shown().page} collection={props.collection} />}
        </Show>
      </div>
      <Show when={props.page.examples.length > 0} fallback={<NeverFires index={props.index} />}>
        <Show
          when={props.page.textProblem === undefined}
          fallback={<ErrorNotice error={props.page.textProblem!} />}
        >
          <Examples
            index={props.index}
            page={props.page}
            look={look()}
            isShown={props.isShown}
            onPoint={setPointed}
          />
        </Show>
      </Show>
    </article>
  );
}

/** The focus does not stay in an article that went out of sight: it goes to the same control of the one that is shown. */
function takeFocus(shown: HTMLElement): void {
  const held = document.activeElement;
  if (!held?.closest('.feature.ahead')) return;
  const named = [...shown.querySelectorAll<HTMLElement>('[title]')];
  const same = named.find((control) => control.title === held.getAttribute('title'));
  (same?.matches('a, button') ? same : shown).focus();
}

function PanelsBelow(props: { index: FeatureIndex; page: FeaturePage; collection: Collection | undefined }) {
  return (
    <>
      <TokenPanel index={props.index} page={props.page} />
      <CoActivePanel index={props.index} page={props.page} />
      <NeighbourPanel index={props.index} page={props.page} />
      <Show when={props.collection}>
        {(collection) => (
          <MatchesPanel collection={collection()} member={route().member} latent={props.page.latent} />
        )}
      </Show>
      <NeuronPanel page={props.page} />
    </>
  );
}

function NeverFires(props: { index: FeatureIndex }) {
  return (
    <div class="notice">
      <h2>This feature never fires here</h2>
      <p>
        On none of the {count(props.index.manifest.corpus.n_tokens)} tokens of this text is its activation
        above zero. It may fire on other text; what it would do to the logits is shown all the same.
      </p>
    </div>
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
