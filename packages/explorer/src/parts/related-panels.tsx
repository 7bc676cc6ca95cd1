import { Index, Show } from 'solid-js';
import { count, figure, percent, roughCount, signed } from '../data/format.ts';
import type { FeaturePage } from '../data/feature-page.ts';
import { createTopTokens, FeatureCells } from './feature-cells.tsx';
import { Panel } from './panel.tsx';
import type { PanelProps } from './panels.tsx';

export function NeighbourPanel(props: PanelProps) {
  const details = () => props.page.details;
  const topToken = createTopTokens(props.index, () => details().neighbours);
  return (
    <Show when={details().neighbours.length > 0}>
      <Panel title="Nearest features" note="By the cosine of their directions, with their top token.">
        <table class="token-table">
          <tbody>
            <Index each={details().neighbours}>
              {(latent, i) => (
                <tr>
                  <FeatureCells latent={latent()} topToken={topToken(i)} />
                  <td class="value faint">{figure(details().neighbour_cosines[i])}</td>
                </tr>
              )}
            </Index>
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
  /** What the shares are counted on: they are no closer than that many firings tell. */
  const counted = () => {
    const { n_tokens = 0, n_firings } = props.index.manifest.co_activation ?? {};
    const where = `firings in the first ${roughCount(n_tokens)} tokens were looked at`;
    if (n_firings === undefined) return `A sample of its ${where}.`;
    return props.page.feature.density * n_tokens > n_firings
      ? `About ${count(n_firings)} of its ${where}.`
      : `All its ${where}.`;
  };
  return (
    <Show when={details().coactive.length > 0}>
      <Panel
        title="Fires beside"
        note={`Features that fire near it more often than chance: where, at which share of its firings, and how many times the usual rate. ${counted()}`}
      >
        <table class="token-table coactive">
          <tbody>
            <Index each={details().coactive}>
              {(latent, i) => (
                <tr>
                  <FeatureCells latent={latent()} topToken={topToken(i)} />
                  <td class="faint lag" title={lagName(details().coactive_lags[i])}>
                    {details().coactive_lags[i] === 0 ? 'here' : signed(details().coactive_lags[i])}
                    <span class="sr">{lagName(details().coactive_lags[i])}</span>
                  </td>
                  <td class="value">{Math.round(details().coactive_shares[i] * 100)} %</td>
                  <td class="value faint">×{roughCount(Math.round(Math.exp(details().coactive_pmis[i])))}</td>
                </tr>
              )}
            </Index>
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
