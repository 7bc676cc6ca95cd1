import { createEffect, For, Match, Show, Switch } from 'solid-js';
import { clusterName } from '../data/cluster-names.ts';
import type { FeatureIndex } from '../data/feature-index.ts';
import { count, figure, oneIn, percent, roughCount } from '../data/format.ts';
import { DENSITY_STEPS, densityHistogram } from '../data/density-histogram.ts';
import { makeList } from '../data/list.ts';
import { unitNames } from '../data/sample-shape.ts';
import { tokenLabel } from '../data/segments.ts';
import { Bars } from '../parts/bars.tsx';
import { ErrorNotice } from '../parts/error-notice.tsx';
import { NotebookTools } from '../parts/notebook-tools.tsx';
import { FeatureTable } from '../parts/feature-table.tsx';
import { ViewFiles } from '../parts/view-files.tsx';
import { setCurrentList } from '../state/current-list.ts';
import { createLoad } from '../state/load.ts';
import { freshListHref, go, listHref, type ListQuery, route, type SortKey } from '../state/route.ts';

/** The dictionary at a glance, and the list of its features. */
export function DictionaryView(props: { index: FeatureIndex }) {
  const query = () => route().query;
  const list = createLoad(query, (current) => makeList(props.index, current));
  createEffect(() => setCurrentList(list.value()));

  return (
    <>
      <Overview index={props.index} query={query()} />
      <section aria-labelledby="list-title">
        <div class="list-head">
          <h2 id="list-title">{listTitle(list.value()?.latents.length, query())}</h2>
          <Filters index={props.index} query={query()} />
          <Show when={(list.value()?.nSilent ?? 0) > 0 || query().silent}>
            <a class="quiet" href={listHref({ silent: !query().silent })}>
              {query().silent
                ? 'hide those that never fire'
                : `show ${count(list.value()!.nSilent)} that never fire`}
            </a>
          </Show>
          <Show when={list.value()?.isPartial}>
            <span class="faint">
              this text is in very many places: those in a part of the corpus were searched
            </span>
          </Show>
          <NotebookTools />
          <Show when={list.value()}>
            {(shown) => (
              <ViewFiles
                name="features"
                json={() => ({
                  query: query(),
                  n_silent: shown().nSilent,
                  latents: Array.from(shown().latents),
                })}
              />
            )}
          </Show>
          <SortMenu query={query()} />
        </div>
        <Switch>
          <Match when={list.error()}>{(error) => <ErrorNotice error={error()} failed={[list]} />}</Match>
          <Match when={list.value() === undefined}>
            <p class="waiting" role="status">
              Reading the figures of {count(props.index.nFeatures)} features…
            </p>
          </Match>
          <Match when={list.value()!.latents.length === 0}>
            <div class="notice">
              <p>No feature fits.</p>
              <p>
                <a href={freshListHref()}>Show all features</a>, or search for something else.
                <Show when={query().tokens.length > 0}>
                  {' '}
                  Only the tokens that carry most of a feature's activation are searched.
                </Show>
                <Show when={query().text !== ''}>
                  {' '}
                  Only text around the examples of features is searched.
                </Show>
              </p>
            </div>
          </Match>
          <Match when={list.value()}>
            {(shown) => <FeatureTable index={props.index} list={shown()} query={query()} />}
          </Match>
        </Switch>
      </section>
    </>
  );
}

function listTitle(n: number | undefined, query: ListQuery): string {
  const searched =
    query.tokens.length > 0 ||
    query.promotes !== undefined ||
    query.text !== '' ||
    query.about !== '' ||
    query.density ||
    query.starred ||
    query.only.length > 0 ||
    query.cluster !== undefined;
  if (n === undefined) return 'Features';
  return `${count(n)} ${searched ? 'matching ' : ''}${n === 1 ? 'feature' : 'features'}`;
}

function Filters(props: { index: FeatureIndex; query: ListQuery }) {
  const text = (token: number) => tokenLabel(props.index.vocabulary.text(token));
  const clusters = createLoad(
    () => props.query.cluster,
    async (cluster) => (cluster === undefined ? [] : props.index.clusters()),
  );
  const cluster = () => {
    const row = clusters.value()?.find((known) => known.cluster === props.query.cluster);
    return row ? clusterName(props.index, row) : String(props.query.cluster);
  };
  return (
    <div class="chips">
      <Show when={props.query.tokens.length > 0}>
        <Chip href={freshListHref({ density: props.query.density })}>
          fires on <code>{props.query.tokens.map(text).join('  ')}</code>
        </Chip>
      </Show>
      <Show when={props.query.promotes !== undefined}>
        <Chip href={listHref({ promotes: undefined })}>
          predicts <code>{text(props.query.promotes!)}</code>
        </Chip>
      </Show>
      <Show when={props.query.text !== ''}>
        <Chip href={freshListHref({ density: props.query.density })}>
          examples with <code>{props.query.text}</code>
        </Chip>
      </Show>
      <Show when={props.query.about !== ''}>
        <Chip href={listHref({ about: '' })}>
          explained as <code>{props.query.about}</code>
        </Chip>
      </Show>
      <Show when={props.query.starred}>
        <Chip href={listHref({ starred: false })}>starred</Chip>
      </Show>
      <Show when={props.query.only.length > 0}>
        <Chip href={listHref({ only: [] })}>{count(props.query.only.length)} chosen</Chip>
      </Show>
      <Show when={props.query.cluster !== undefined}>
        <Chip href={listHref({ cluster: undefined })}>
          cluster <code>{cluster()}</code>
        </Chip>
      </Show>
      <Show when={props.query.density}>
        {(range) => (
          <Chip href={listHref({ density: undefined })}>
            density {percent(10 ** range()[0])} to {percent(10 ** range()[1])}
          </Chip>
        )}
      </Show>
    </div>
  );
}

function Chip(props: { href: string; children: unknown }) {
  return (
    <a class="chip" href={props.href} title="Remove this filter">
      {props.children as never} <span aria-hidden="true">×</span>
    </a>
  );
}

const SORTS: readonly [SortKey, string][] = [
  ['latent_index', 'number'],
  ['density', 'density'],
  ['max_activation', 'largest activation'],
  ['mean_activation', 'mean activation'],
  ['median_activation', 'median activation'],
  ['n_contexts', 'contexts'],
  ['top_token_share', 'share of its top token'],
  ['skewness', 'skewness of activations'],
  ['kurtosis', 'kurtosis of activations'],
  ['max_logit', 'largest logit'],
  ['min_logit', 'smallest logit'],
  ['logit_kurtosis', 'kurtosis of logits'],
  ['mean_loss_change', 'effect on the loss'],
  ['mean_kl', 'effect on the prediction (KL)'],
  ['nearest_cosine', 'nearest feature'],
  ['encoder_decoder_cosine', 'encoder · decoder cosine'],
  ['encoder_bias', 'encoder bias'],
  ['decoder_norm', 'length of direction'],
];

function SortMenu(props: { query: ListQuery }) {
  const searched = () => props.query.tokens.length > 0 || props.query.text !== '' || props.query.about !== '';
  return (
    <div class="sort">
      <label>
        <span class="faint">Sort by</span>
        <select
          value={props.query.sort}
          onChange={(event) => {
            const sort = event.currentTarget.value as SortKey;
            go(listHref({ sort, descending: sort !== 'latent_index' }));
          }}
        >
          <Show when={searched()}>
            <option value="match" selected={props.query.sort === 'match'}>
              match
            </option>
          </Show>
          <For each={SORTS}>
            {([key, name]) => (
              <option value={key} selected={props.query.sort === key}>
                {name}
              </option>
            )}
          </For>
        </select>
      </label>
      <a
        class="direction"
        href={listHref({ descending: !props.query.descending })}
        aria-label={
          props.query.descending ? 'Largest first; show smallest first' : 'Smallest first; show largest first'
        }
      >
        {props.query.descending ? '↓' : '↑'}
      </a>
    </div>
  );
}

function Overview(props: { index: FeatureIndex; query: ListQuery }) {
  const { dictionary, corpus, evaluation } = props.index.manifest;
  const units = unitNames(props.index.manifest);
  const density = createLoad(() => props.index, densityHistogram);
  const silent = () => density.value()?.silent;
  const figures = (): [string, string, string][] => [
    ['Features', count(dictionary.d_sae), `of ${count(dictionary.d_in)} activations`],
    [
      `${capitalised(units.tokens)} read`,
      roughCount(corpus.n_tokens),
      `in ${count(corpus.n_documents)} ${units.documents}`,
    ],
    ...figureIf(evaluation.l0, 'Active at once', figure, `features a ${units.token} (L0)`),
    ...figureIf(evaluation.ce_loss_score, 'Loss recovered', percent, 'of what zeroing loses'),
    ...figureIf(evaluation.explained_variance, 'Variance explained', percent, 'of the activations'),
    [
      'Never fire',
      silent() === undefined ? '…' : percent(silent()!),
      `of features, on ${roughCount(corpus.n_tokens).replace(' ', '\u00a0')} ${units.tokens}`,
    ],
  ];
  return (
    <section class="overview" aria-labelledby="dictionary-title">
      <div class="title">
        <h1 id="dictionary-title">{dictionary.model_name}</h1>
        <p class="faint">{dictionary.hook_name}</p>
      </div>
      <dl class="figures">
        <For each={figures()}>
          {([name, value, note]) => (
            <div>
              <dt>{name}</dt>
              <dd>{value}</dd>
              <dd class="note">{note}</dd>
            </div>
          )}
        </For>
      </dl>
      <DensityHistogram index={props.index} query={props.query} />
    </section>
  );
}

function capitalised(word: string): string {
  return word[0].toUpperCase() + word.slice(1);
}

function figureIf(
  value: number | undefined,
  name: string,
  format: (value: number) => string,
  note: string,
): [string, string, string][] {
  return value === undefined || !Number.isFinite(value) ? [] : [[name, format(value), note]];
}

function DensityHistogram(props: { index: FeatureIndex; query: ListQuery }) {
  const density = createLoad(() => props.index, densityHistogram);
  const histogram = () => {
    const shown = density.value();
    return shown && shown.counts.length > 0 ? shown : undefined;
  };
  const range = (bin: number, low: number): [number, number] => [
    (bin + low) / DENSITY_STEPS,
    (bin + low + 1) / DENSITY_STEPS,
  ];
  return (
    <div class="density">
      <h2>Density</h2>
      <p class="faint">On what share of tokens features fire. Choose a bar to list its features.</p>
      <div class="density-plot">
        <Show when={histogram()}>
          {(shown) => (
            <Bars
              label={`Histogram of the density of ${count(shown().counts.reduce((a, b) => a + b))} features`}
              counts={shown().counts}
              from={shown().low / DENSITY_STEPS}
              to={(shown().low + shown().counts.length) / DENSITY_STEPS}
              format={(power) => oneIn(10 ** power)}
              tone={() => ({ kind: 'plain', strength: 1 })}
              unit="features"
              picked={(bin) => props.query.density?.[0] === range(bin, shown().low)[0]}
              onPick={(bin) => go(listHref({ density: range(bin, shown().low) }))}
            />
          )}
        </Show>
      </div>
    </div>
  );
}
