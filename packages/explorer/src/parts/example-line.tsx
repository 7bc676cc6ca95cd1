import type { EffectRow, ExampleRow, FeatureIndex } from '../data/feature-index.ts';
import type { Example, FeaturePage } from '../data/feature-page.ts';
import { figure, signed } from '../data/format.ts';
import { sampleShape } from '../data/sample-shape.ts';
import { type Segment, tokenLabel } from '../data/segments.ts';
import type { ContextMode } from '../state/settings.ts';
import { alignedLine, sampleGrid, wrappedText } from './token-line.tsx';
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
  readonly segments: readonly Segment[];
  readonly highlight: Highlight;
  /** Make each token an element of its own: one for each of the segments, in their order. */
  readonly takeApart: () => void;
}

/**
 * One example: its activation, its text, where it stands. A reader waits for dozens of them: nothing in it is followed, a
 * line that is to look otherwise is made anew.
 */
export function ExampleLine(props: {
  index: FeatureIndex;
  page: FeaturePage;
  example: Example;
  mode: ContextMode;
  onLine: (element: Element, line: Line) => void;
}) {
  const { index, page, example, mode } = props;
  const { row } = example;
  const { effects, feature } = page;
  const near = highlightOf(
    row.token_index,
    row.activation,
    row.near_offsets,
    row.near_activations,
    feature.max_activation,
  );
  const highlight: Highlight = { ...near, effects };
  const sample = sampleShape(index.manifest);
  const segments = sample ? example.segments : shownSegments(example, mode);
  const radius = index.manifest.examples.window_radius;
  const known = [row.token_index - radius, row.token_index + radius] as const;
  const drawn = (apart: boolean) => {
    const style = { known, apart };
    if (sample) return sampleGrid(segments, highlight, sample, style);
    return mode === 'wide'
      ? wrappedText(segments, highlight, style)
      : alignedLine(segments, highlight, style);
  };
  let isApart = false;
  const takeApart = () => {
    if (!isApart) text.replaceChildren(drawn(true));
    isApart = true;
  };
  const peak = segments.find((segment) => holdsPeak(segment, highlight));
  const name = `example${row.repeats ? ' repeats' : ''}${row.group === 'near_miss' ? ' silent' : ''}`;
  const title = row.repeats ? 'Shown above already, or of the same context' : undefined;
  const value = figure(row.activation);
  const told = spoken(peak, row, effects.get(row.token_index));
  const id = example.document?.id;
  const shown = drawn(false);
  let text!: HTMLElement;
  const line = (
    <li class={name} data-example tabindex="0" title={title}>
      <span class="value" aria-hidden="true">
        {value}
      </span>
      <span class="sr">{told}</span>
      <span class="text" ref={text}>
        {shown}
      </span>
      <span class="source" title={id}>
        <bdi>{id}</bdi>
      </span>
    </li>
  ) as HTMLLIElement;
  props.onLine(line, { example, segments, highlight, takeApart });
  return line;
}

function shownSegments({ row, segments }: Example, mode: ContextMode): readonly Segment[] {
  const [before, after] = SHOWN[mode];
  return segments.filter(
    ({ position }) => position >= row.token_index - before && position <= row.token_index + after,
  );
}

/** What a screen reader says before the text of an example. */
function spoken(peak: Segment | undefined, row: ExampleRow, effect: EffectRow | undefined): string {
  const token = tokenLabel(peak?.text ?? '');
  if (row.group === 'near_miss') return `Silent on ${token}: `;
  const without = effect ? `, without it the next token's loss changes by ${signed(effect.loss_change)}` : '';
  return `Peak ${token}, activation ${figure(row.activation)}${without}${row.repeats ? ', repeated' : ''}: `;
}
