import type { EffectRow, ExampleRow, FeatureIndex } from '../data/feature-index.ts';
import type { Example, FeaturePage } from '../data/feature-page.ts';
import { figure, signed } from '../data/format.ts';
import { sampleShape } from '../data/sample-shape.ts';
import { type Segment, tokenLabel } from '../data/segments.ts';
import type { ContextMode } from '../state/settings.ts';
import { alignedLine, element, sampleGrid, wrappedText } from './token-line.tsx';
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

/** Lines that were made, so that what was read, or will be next, is there at once. */
const made = new WeakMap<Example, Map<ContextMode, HTMLLIElement>>();
const lines = new WeakMap<Element, Line>();

/** What stands in a line that {@link exampleLine} made. */
export function lineOf(element: Element): Line | undefined {
  return lines.get(element);
}

/**
 * One example: its activation, its text, where it stands. A reader waits for dozens of them: they are plain elements, made
 * once for each feature and amount of text, before they are asked for where that can be known.
 */
export function exampleLine(
  index: FeatureIndex,
  page: FeaturePage,
  example: Example,
  mode: ContextMode,
): HTMLLIElement {
  const ofExample = made.get(example) ?? new Map<ContextMode, HTMLLIElement>();
  made.set(example, ofExample);
  const line = ofExample.get(mode) ?? makeLine(index, page, example, mode);
  ofExample.set(mode, line);
  line.querySelector('.cursor')?.classList.remove('cursor');
  return line;
}

function makeLine(
  index: FeatureIndex,
  page: FeaturePage,
  example: Example,
  mode: ContextMode,
): HTMLLIElement {
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
  const peak = segments.find((segment) => holdsPeak(segment, highlight));
  const value = element('span', 'value', figure(row.activation));
  value.setAttribute('role', 'img');
  value.setAttribute('aria-label', spoken(peak, row, effects.get(row.token_index)));
  const text = element('span', 'text', drawn(false));
  const id = example.document?.id ?? '';
  const source = element('span', 'source', element('bdi', '', id));
  source.title = id;
  const line = element('li', 'example', value, text, source);
  line.classList.toggle('repeats', row.repeats);
  line.classList.toggle('silent', row.group === 'near_miss');
  line.dataset['example'] = '';
  line.tabIndex = 0;
  if (row.repeats) line.title = 'Shown above already, or of the same context';
  let isApart = false;
  const takeApart = () => {
    if (!isApart) text.replaceChildren(drawn(true));
    isApart = true;
  };
  lines.set(line, { example, segments, highlight, takeApart });
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
