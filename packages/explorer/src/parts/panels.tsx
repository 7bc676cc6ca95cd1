import { Index, Show } from 'solid-js';
import type { FeatureIndex } from '../data/feature-index.ts';
import type { FeaturePage } from '../data/feature-page.ts';
import { count, figure, oneIn, percent, signed } from '../data/format.ts';
import { tokenLabel } from '../data/segments.ts';
import { freshListHref } from '../state/route.ts';
import { countScale, setCountScale } from '../state/settings.ts';
import { Bars, type Mark } from './bars.tsx';
import type { PointedToken } from './examples.tsx';
import { Panel } from './panel.tsx';

export interface PanelProps {
  readonly index: FeatureIndex;
  readonly page: FeaturePage;
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
      // The contexts of an index made of an export are its examples.
      ...(props.index.manifest.imported_from === undefined
        ? [
            [
              'Contexts',
              percent(feature.n_contexts / n_contexts),
              `${count(feature.n_contexts)} of ${count(n_contexts)}`,
            ] as [string, string, string],
          ]
        : []),
      ['Largest', figure(feature.max_activation)],
      ['Median', figure(feature.median_activation), `mean ${figure(feature.mean_activation)}`],
      [
        props.index.manifest.corpus.axes ? 'Top place' : 'Top token',
        percent(feature.top_token_share),
        'share of its whole activation that falls on one token of the vocabulary',
      ],
    ];
  };
  return (
    <dl class="figures small">
      <Index each={figures()}>
        {(figure) => (
          <div title={figure()[2]}>
            <dt>{figure()[0]}</dt>
            <dd>{figure()[1]}</dd>
            <Show when={figure()[3]}>
              <dd class="note">{figure()[3]}</dd>
            </Show>
          </div>
        )}
      </Index>
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
  const marks = (): Mark[] =>
    props.pointed && props.pointed.activation > 0
      ? [{ value: props.pointed.activation, label: figure(props.pointed.activation) }]
      : [];
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
        marks={marks()}
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

export function TokenPanel(props: PanelProps) {
  const details = () => props.page.details;
  return (
    <Show when={details().top_tokens.length > 0}>
      <Panel
        title={props.index.manifest.corpus.axes ? 'Places' : 'Tokens'}
        note="Where its activation falls: share of the whole, and firings."
      >
        <table class="token-table mass">
          <tbody>
            <Index each={details().top_tokens}>
              {(token, i) => (
                <tr>
                  <td>
                    <a href={freshListHref({ tokens: [token()] })} title="Features that fire on this token">
                      <code>{tokenLabel(props.index.vocabulary.text(token()))}</code>
                    </a>
                  </td>
                  <td
                    class="value"
                    style={{
                      '--share': String(details().top_token_shares[i] / details().top_token_shares[0]),
                    }}
                  >
                    {percent(details().top_token_shares[i])}
                  </td>
                  <td class="faint value">{count(details().top_token_firings[i])}</td>
                </tr>
              )}
            </Index>
          </tbody>
        </table>
      </Panel>
    </Show>
  );
}
