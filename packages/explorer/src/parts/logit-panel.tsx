import { createSignal, For } from 'solid-js';
import type { FeatureIndex } from '../data/feature-index.ts';
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
