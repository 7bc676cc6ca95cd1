import { createSignal, For, Show, type JSX } from 'solid-js';
import type { FeatureIndex } from '../data/feature-index.ts';
import type { FeaturePage } from '../data/feature-page.ts';
import { count, figure, oneIn, percent, roughCount, signed } from '../data/format.ts';
import { tokenLabel } from '../data/segments.ts';
import { createLoad } from '../state/load.ts';
import { featureHref, freshListHref } from '../state/route.ts';
import { countScale, setCountScale } from '../state/settings.ts';
import { Bars, type Mark } from './bars.tsx';
import type { PointedToken } from './examples.tsx';

interface PanelProps {
  readonly index: FeatureIndex;
  readonly page: FeaturePage;
}

function Panel(props: { title: string; note?: string; aside?: JSX.Element; children: JSX.Element }) {
  return (
    <section class="panel">
      <div class="panel-head">
        <h2>{props.title}</h2>
        {props.aside}
      </div>
      <Show when={props.note}>
        <p class="faint">{props.note}</p>
      </Show>
      {props.children}
    </section>
  );
}

export function FiguresPanel(props: PanelProps) {
  const figures = (): [string, string, string?, string?][] => {
    const { feature } = props.page;
    const { n_tokens, n_contexts } = props.index.manifest.corpus;
    if (feature.n_fired === 0) return [['Density', 'never fires']];
    const { density_low: low, density_high: high } = feature;
    return [
      [
        'Density',
        percent(feature.density),
        `95 % interval ${percent(low)} to ${percent(high)}, if tokens were independent`,
        `${percent(low).replace(' %', '')} – ${percent(high)}`,
      ],
      ['Fires', oneIn(feature.density), `${count(feature.n_fired)} of ${count(n_tokens)} tokens`],
      [
        'Contexts',
        percent(feature.n_contexts / n_contexts),
        `${count(feature.n_contexts)} of ${count(n_contexts)}`,
      ],
      ['Largest', figure(feature.max_activation)],
      ['Median', figure(feature.median_activation), `mean ${figure(feature.mean_activation)}`],
      [
        'Top token',
        percent(feature.top_token_share),
        'share of its whole activation that falls on one token of the vocabulary',
      ],
    ];
  };
  return (
    <dl class="figures small">
      <For each={figures()}>
        {([name, value, note, range]) => (
          <div title={note}>
            <dt>{name}</dt>
            <dd>{value}</dd>
            <Show when={range}>
              <dd class="note">{range}</dd>
            </Show>
          </div>
        )}
      </For>
    </dl>
  );
}

function ScaleButton() {
  return (
    <button
      type="button"
      class="text"
      onClick={() => setCountScale(countScale() === 'log' ? 'linear' : 'log')}
      title="Height of the bars: logarithm of the count, or the count"
    >
      {countScale()} counts
    </button>
  );
}

export function ActivationPanel(props: PanelProps & { pointed: PointedToken | undefined }) {
  const max = () => props.page.feature.max_activation;
  const mark = (): Mark | undefined =>
    props.pointed && props.pointed.activation > 0
      ? { value: props.pointed.activation, label: figure(props.pointed.activation) }
      : undefined;
  return (
    <Panel title="Activations" aside={<ScaleButton />}>
      <Bars
        label={`Histogram of ${count(props.page.feature.n_fired)} activations from 0 to ${figure(max())}; median ${figure(props.page.feature.median_activation)}`}
        counts={props.page.details.histogram}
        from={0}
        to={max()}
        format={figure}
        tone={(middle) => ({ kind: 'heat', strength: middle / max() })}
        unit="firings"
        mark={mark()}
      />
    </Panel>
  );
}

/** Means over the examples drawn at random: those of the group and those of the fifths, a fair sample of all. */
function effectFigures({
  examples,
  effects,
}: FeaturePage): { n: number; loss: number; kl: number } | undefined {
  const rows = examples.flatMap(({ row }) => {
    const isDrawn = row.group === 'random' || row.group === 'quantile';
    const effect = isDrawn ? effects.get(row.token_index) : undefined;
    return effect ? [effect] : [];
  });
  if (rows.length === 0) return undefined;
  const mean = (pick: (row: (typeof rows)[number]) => number) =>
    rows.reduce((sum, row) => sum + pick(row), 0) / rows.length;
  return { n: rows.length, loss: mean((row) => row.loss_change), kl: mean((row) => row.kl) };
}

export function EffectPanel(props: PanelProps) {
  return (
    <Show when={effectFigures(props.page)}>
      {(figures) => (
        <Panel
          title="Effect"
          note={`Taken out where it fires: means over ${figures().n} random firings, nats a token.`}
        >
          <dl class="figures small">
            <div>
              <dt>Next-token loss</dt>
              <dd class={figures().loss >= 0 ? 'helps' : 'hurts'}>{signed(figures().loss)}</dd>
            </div>
            <div>
              <dt>KL</dt>
              <dd>{figure(figures().kl)}</dd>
            </div>
          </dl>
        </Panel>
      )}
    </Show>
  );
}

export function LogitPanel(props: PanelProps & { pointed: PointedToken | undefined }) {
  const [hovered, setHovered] = createSignal<Mark>();
  const details = () => props.page.details;
  const low = () => details().bottom_logits[0];
  const high = () => details().top_logits[0];
  const text = (token: number) => tokenLabel(props.index.vocabulary.text(token));
  const markOf = (token: number, weight: number): Mark => ({
    value: weight,
    label: `${text(token)} ${signed(weight)}`,
  });
  const mark = () => hovered() ?? nextTokenMark();
  /** The token after the one pointed at, where its weight is known: what the feature did for the prediction. */
  const nextTokenMark = (): Mark | undefined => {
    const next = props.pointed?.nextToken;
    if (next === undefined) return undefined;
    const weights = [
      [details().top_logit_tokens, details().top_logits],
      [details().bottom_logit_tokens, details().bottom_logits],
    ] as const;
    for (const [tokens, values] of weights) {
      const place = tokens.indexOf(next);
      if (place >= 0) return markOf(next, values[place]);
    }
    return undefined;
  };
  return (
    <Panel title="Logits" note="What it adds to the next token, per unit of activation.">
      <Bars
        label={`Histogram of the logit weights of ${count(props.index.manifest.logits?.n_tokens ?? 0)} tokens, ${signed(low())} to ${signed(high())}`}
        counts={details().logit_histogram}
        from={low()}
        to={high()}
        format={signed}
        tone={(middle) => ({ kind: middle < 0 ? 'lowers' : 'raises', strength: 1 })}
        unit="tokens"
        mark={mark()}
      />
      <div class="logits">
        <LogitTable
          title="Raises"
          kind="raises"
          index={props.index}
          tokens={details().top_logit_tokens}
          weights={details().top_logits}
          onHover={(token, weight) => setHovered(token === undefined ? undefined : markOf(token, weight))}
        />
        <LogitTable
          title="Lowers"
          kind="lowers"
          index={props.index}
          tokens={details().bottom_logit_tokens}
          weights={details().bottom_logits}
          onHover={(token, weight) => setHovered(token === undefined ? undefined : markOf(token, weight))}
        />
      </div>
    </Panel>
  );
}

function LogitTable(props: {
  title: string;
  kind: string;
  index: FeatureIndex;
  tokens: readonly number[];
  weights: readonly number[];
  onHover: (token: number | undefined, weight: number) => void;
}) {
  const largest = () => Math.abs(props.weights[0]) || 1;
  return (
    <table class={`token-table ${props.kind}`}>
      <caption>{props.title}</caption>
      <tbody onPointerLeave={() => props.onHover(undefined, 0)}>
        <For each={props.tokens}>
          {(token, i) => (
            <tr onPointerEnter={() => props.onHover(token, props.weights[i()])}>
              <td>
                <a href={freshListHref({ promotes: token })} title="Features that predict this token">
                  <code>{tokenLabel(props.index.vocabulary.text(token))}</code>
                </a>
              </td>
              <td class="value" style={{ '--share': String(Math.abs(props.weights[i()]) / largest()) }}>
                {signed(props.weights[i()])}
              </td>
            </tr>
          )}
        </For>
      </tbody>
    </table>
  );
}

export function TokenPanel(props: PanelProps) {
  const details = () => props.page.details;
  return (
    <Show when={details().top_tokens.length > 0}>
      <Panel title="Tokens" note="Where its activation falls: share of the whole, and firings.">
        <table class="token-table mass">
          <tbody>
            <For each={details().top_tokens}>
              {(token, i) => (
                <tr>
                  <td>
                    <a href={freshListHref({ tokens: [token] })} title="Features that fire on this token">
                      <code>{tokenLabel(props.index.vocabulary.text(token))}</code>
                    </a>
                  </td>
                  <td
                    class="value"
                    style={{
                      '--share': String(details().top_token_shares[i()] / details().top_token_shares[0]),
                    }}
                  >
                    {percent(details().top_token_shares[i()])}
                  </td>
                  <td class="faint value">{count(details().top_token_firings[i()])}</td>
                </tr>
              )}
            </For>
          </tbody>
        </table>
      </Panel>
    </Show>
  );
}

/** Top tokens of features by their place in a list, once they are there. */
function createTopTokens(index: FeatureIndex, latents: () => readonly number[]): (place: number) => string {
  const rows = createLoad(latents, (some) => Promise.all(some.map((latent) => index.feature(latent))));
  return (place) => {
    if (rows.loading()) return '';
    const token = rows.value()?.[place]?.top_token ?? -1;
    return token < 0 ? 'never fires' : tokenLabel(index.vocabulary.text(token));
  };
}

/** A feature in a row of a table: its link and its top token. */
function FeatureCells(props: { latent: number; topToken: string }) {
  return (
    <>
      <td class="latent">
        <a href={featureHref(props.latent)}>{props.latent}</a>
      </td>
      <td>
        <code>{props.topToken}</code>
      </td>
    </>
  );
}

export function NeighbourPanel(props: PanelProps) {
  const details = () => props.page.details;
  const topToken = createTopTokens(props.index, () => details().neighbours);
  return (
    <Show when={details().neighbours.length > 0}>
      <Panel title="Nearest features" note="By the cosine of their directions, with their top token.">
        <table class="token-table">
          <tbody>
            <For each={details().neighbours}>
              {(latent, i) => (
                <tr>
                  <FeatureCells latent={latent} topToken={topToken(i())} />
                  <td class="value faint">{figure(details().neighbour_cosines[i()])}</td>
                </tr>
              )}
            </For>
          </tbody>
        </table>
      </Panel>
    </Show>
  );
}

/** Where another feature fires, in words. */
function lagName(lag: number): string {
  if (lag === 0) return 'same token';
  const many = Math.abs(lag) === 1 ? '1 token' : `${Math.abs(lag)} tokens`;
  return `${many} ${lag > 0 ? 'later' : 'before'}`;
}

export function CoActivePanel(props: PanelProps) {
  const details = () => props.page.details;
  const topToken = createTopTokens(props.index, () => details().coactive);
  return (
    <Show when={details().coactive.length > 0}>
      <Panel
        title="Fires beside"
        note="Features that fire near it more often than chance: where, at which share of its firings, and how many times the usual rate."
      >
        <table class="token-table coactive">
          <tbody>
            <For each={details().coactive}>
              {(latent, i) => (
                <tr>
                  <FeatureCells latent={latent} topToken={topToken(i())} />
                  <td class="faint lag" title={lagName(details().coactive_lags[i()])}>
                    {details().coactive_lags[i()] === 0 ? 'here' : signed(details().coactive_lags[i()])}
                    <span class="sr">{lagName(details().coactive_lags[i()])}</span>
                  </td>
                  <td class="value">{Math.round(details().coactive_shares[i()] * 100)} %</td>
                  <td class="value faint">
                    ×{roughCount(Math.round(Math.exp(details().coactive_pmis[i()])))}
                  </td>
                </tr>
              )}
            </For>
          </tbody>
        </table>
      </Panel>
    </Show>
  );
}

export function NeuronPanel(props: { page: FeaturePage }) {
  const details = () => props.page.details;
  return (
    <Panel
      title="Neurons"
      note="Elements of the activation: those its direction leans on, those it rises with."
    >
      <div class="logits">
        <table class="token-table">
          <caption>Weight, share of all</caption>
          <tbody>
            <For each={details().neurons}>
              {(neuron, i) => (
                <tr>
                  <td>{neuron}</td>
                  <td class="value">{signed(details().neuron_weights[i()])}</td>
                  <td class="faint value">{percent(details().neuron_shares[i()])}</td>
                </tr>
              )}
            </For>
          </tbody>
        </table>
        <table class="token-table">
          <caption>Correlation</caption>
          <tbody>
            <For each={details().correlated_neurons}>
              {(neuron, i) => (
                <tr>
                  <td>{neuron}</td>
                  <td class="value">{signed(details().neuron_correlations[i()])}</td>
                </tr>
              )}
            </For>
          </tbody>
        </table>
      </div>
    </Panel>
  );
}
