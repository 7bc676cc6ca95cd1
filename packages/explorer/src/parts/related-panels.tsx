import { Index, type JSX, Show } from 'solid-js';
import { clusterName } from '../data/cluster-names.ts';
import type { FeatureIndex } from '../data/feature-index.ts';
import { count, figure, percent, roughCount, signed } from '../data/format.ts';
import type { FeaturePage } from '../data/feature-page.ts';
import { createLoad } from '../state/load.ts';
import { freshListHref } from '../state/route.ts';
import { createTopTokens, FeatureCells } from './feature-cells.tsx';
import { Panel } from './panel.tsx';
import type { PanelProps } from './panels.tsx';

/** Features that belong to one in some way: number, top token, and what is said of each. */
function RelatedPanel(props: {
  index: FeatureIndex;
  title: string;
  note: string;
  latents: readonly number[];
  kind?: string;
  foot?: JSX.Element;
  /** Further cells of the row at a place. */
  children: (place: number) => JSX.Element;
}) {
  const topToken = createTopTokens(props.index, () => props.latents);
  return (
    <Show when={props.latents.length > 0}>
      <Panel title={props.title} note={props.note}>
        <table class={`token-table ${props.kind ?? ''}`}>
          <tbody>
            <Index each={props.latents}>
              {(latent, i) => (
                <tr>
                  <FeatureCells latent={latent()} topToken={topToken(i)} />
                  {props.children(i)}
                </tr>
              )}
            </Index>
          </tbody>
        </table>
        {props.foot}
      </Panel>
    </Show>
  );
}

export function NeighbourPanel(props: PanelProps) {
  const details = () => props.page.details;
  return (
    <RelatedPanel
      index={props.index}
      title="Nearest features"
      note="By the cosine of their directions, with their top token."
      latents={details().neighbours}
      foot={<ClusterLink {...props} />}
    >
      {(i) => <td class="value faint">{figure(details().neighbour_cosines[i])}</td>}
    </RelatedPanel>
  );
}

/** The group of the map that a feature is in. */
function ClusterLink(props: PanelProps) {
  const clusters = createLoad(
    () => props.index,
    (index) => index.clusters(),
  );
  const found = () => clusters.value()?.find(({ cluster }) => cluster === props.page.feature.cluster);
  return (
    <Show when={found()}>
      {(row) => (
        <p class="faint">
          Cluster{' '}
          <a href={freshListHref({ cluster: row().cluster })}>
            <code>{clusterName(props.index, row())}</code>
          </a>
          , {count(row().n_features)} features
        </p>
      )}
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
  const lag = (place: number) => details().coactive_lags[place];
  /** What the shares are counted on. */
  const counted = () => {
    const { co_activation, corpus } = props.index.manifest;
    const { n_tokens = 0, is_exact } = co_activation ?? {};
    if (is_exact && n_tokens === corpus.n_tokens) return 'All its firings were counted.';
    const firings = `firings in the first ${roughCount(n_tokens)} tokens`;
    return is_exact ? `All its ${firings} were counted.` : `A sample of its ${firings} was looked at.`;
  };
  return (
    <RelatedPanel
      index={props.index}
      title="Fires beside"
      note={`Features that fire near it more often than chance: where, at which share of its firings, and how many times the usual rate. ${counted()}`}
      latents={details().coactive}
      kind="coactive"
    >
      {(i) => (
        <>
          <td class="faint lag" title={lagName(lag(i))}>
            <span aria-hidden="true">
              {lag(i) === 0 ? 'here' : `${lag(i) > 0 ? '+' : '−'}${Math.abs(lag(i))}`}
            </span>
            <span class="sr">{lagName(lag(i))}</span>
          </td>
          <td class="value">{Math.round(details().coactive_shares[i] * 100)} %</td>
          <td class="value faint">×{roughCount(Math.round(Math.exp(details().coactive_pmis[i])))}</td>
        </>
      )}
    </RelatedPanel>
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
            <Index each={details().neurons}>
              {(neuron, i) => (
                <tr>
                  <td>{neuron()}</td>
                  <td class="value">{signed(details().neuron_weights[i])}</td>
                  <td class="faint value">{percent(details().neuron_shares[i])}</td>
                </tr>
              )}
            </Index>
          </tbody>
        </table>
        <table class="token-table">
          <caption>Correlation</caption>
          <tbody>
            <Index each={details().correlated_neurons}>
              {(neuron, i) => (
                <tr>
                  <td>{neuron()}</td>
                  <td class="value">{signed(details().neuron_correlations[i])}</td>
                </tr>
              )}
            </Index>
          </tbody>
        </table>
      </div>
    </Panel>
  );
}
