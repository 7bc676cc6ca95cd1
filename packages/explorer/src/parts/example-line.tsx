import { createMemo, createSignal, Show } from 'solid-js';
import type { EffectRow, ExampleRow, FeatureIndex } from '../data/feature-index.ts';
import type { Example, FeaturePage } from '../data/feature-page.ts';
import { figure, signed } from '../data/format.ts';
import { sampleShape } from '../data/sample-shape.ts';
import { type Segment, tokenLabel } from '../data/segments.ts';
import { type ContextMode, contextMode } from '../state/settings.ts';
import { AlignedLine, SampleGrid, WrappedText } from './token-line.tsx';
import { type Highlight, highlightOf, holdsPeak } from './tokens.ts';

/** Tokens shown on each side of the peak; a wide example shows all the text that was read. */
const SHOWN: Record<ContextMode, readonly [number, number]> = {
  near: [4, 4],
  line: [24, 32],
  wide: [Infinity, Infinity],
};

/** What the reader may point at in a line. */
export interface Line {
  readonly example: Example;
  readonly segments: () => readonly Segment[];
  readonly highlight: Highlight;
  /** Make each token an element of its own: one for each of the segments, in their order. */
  readonly takeApart: () => void;
}

/** One example: its activation, its text, where it stands. */
export function ExampleLine(props: {
  index: FeatureIndex;
  page: FeaturePage;
  example: Example;
  max: number;
  onLine: (element: Element, line: Line) => void;
}) {
  const [apart, setApart] = createSignal(false);
  const { row, segments: all, document } = props.example;
  const { effects } = props.page;
  const near = highlightOf(
    row.token_index,
    row.activation,
    row.near_offsets,
    row.near_activations,
    props.max,
  );
  const highlight: Highlight = { ...near, effects };
  // Of one index for good: a line is made too often to ask again.
  const sample = sampleShape(props.index.manifest);
  const segments = createMemo(() => {
    if (sample) return all;
    const [before, after] = SHOWN[contextMode()];
    return all.filter(
      ({ position }) => position >= row.token_index - before && position <= row.token_index + after,
    );
  });
  const radius = props.index.manifest.examples.window_radius;
  const known = [row.token_index - radius, row.token_index + radius] as const;
  const line: Line = { example: props.example, segments, highlight, takeApart: () => setApart(true) };
  const peak = () => segments().find((segment) => holdsPeak(segment, highlight));
  return (
    <li
      class="example"
      data-example
      tabindex="0"
      classList={{ repeats: row.repeats, silent: row.group === 'near_miss' }}
      title={row.repeats ? 'Shown above already, or of the same context' : undefined}
      ref={(element) => props.onLine(element, line)}
    >
      <span class="value" aria-hidden="true">
        {figure(row.activation)}
      </span>
      <span class="sr">{spoken(peak(), row, effects.get(row.token_index))}</span>
      <span class="text">
        {sample ? (
          <SampleGrid sample={sample} segments={segments()} highlight={highlight} known={known} />
        ) : (
          <Show
            when={contextMode() !== 'wide'}
            fallback={
              <WrappedText segments={segments()} highlight={highlight} known={known} apart={apart()} />
            }
          >
            <AlignedLine segments={segments()} highlight={highlight} known={known} apart={apart()} />
          </Show>
        )}
      </span>
      <span class="source" title={document?.id}>
        <bdi>{document?.id}</bdi>
      </span>
    </li>
  );
}

/** What a screen reader says before the text of an example. */
function spoken(peak: Segment | undefined, row: ExampleRow, effect: EffectRow | undefined): string {
  const token = tokenLabel(peak?.text ?? '');
  if (row.group === 'near_miss') return `Silent on ${token}: `;
  const without = effect ? `, without it the next token's loss changes by ${signed(effect.loss_change)}` : '';
  return `Peak ${token}, activation ${figure(row.activation)}${without}${row.repeats ? ', repeated' : ''}: `;
}
