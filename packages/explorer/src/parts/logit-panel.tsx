import { createSignal, Index } from 'solid-js';
import type { DetailsRow, FeatureIndex } from '../data/feature-index.ts';
import { count, signed } from '../data/format.ts';
import { tokenLabel } from '../data/segments.ts';
import { freshListHref } from '../state/route.ts';
import { Bars, type Mark } from './bars.tsx';
import type { PointedToken } from './examples.tsx';
import { Panel } from './panel.tsx';
import type { PanelProps } from './panels.tsx';

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
  /** The token pointed at and the one behind it, for whose prediction the feature fires, where their weights are known. */
  const marks = (): Mark[] => {
    const row = hovered();
    if (row) return [row];
    const { tokens = [], nextToken } = props.pointed ?? {};
    return [...new Set([...tokens, nextToken])].flatMap((token) => {
      const weight = token === undefined ? undefined : weightOf(details(), token);
      return weight === undefined ? [] : [markOf(token!, weight)];
    });
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
        marks={marks()}
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

/** The weight of a token's logit: known of those that the feature raises and lowers most. */
function weightOf(details: DetailsRow, token: number): number | undefined {
  const high = details.top_logit_tokens.indexOf(token);
  if (high >= 0) return details.top_logits[high];
  const low = details.bottom_logit_tokens.indexOf(token);
  return low >= 0 ? details.bottom_logits[low] : undefined;
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
        <Index each={props.tokens}>
          {(token, i) => (
            <tr onPointerEnter={() => props.onHover(token(), props.weights[i])}>
              <td>
                <a href={freshListHref({ promotes: token() })} title="Features that predict this token">
                  <code>{tokenLabel(props.index.vocabulary.text(token()))}</code>
                </a>
              </td>
              <td class="value" style={{ '--share': String(Math.abs(props.weights[i]) / largest()) }}>
                {signed(props.weights[i])}
              </td>
            </tr>
          )}
        </Index>
      </tbody>
    </table>
  );
}
