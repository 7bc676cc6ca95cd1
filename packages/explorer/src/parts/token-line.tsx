import { createMemo } from 'solid-js';
import type { SampleShape } from '../data/sample-shape.ts';
import type { Segment } from '../data/segments.ts';
import { type Highlight, type LineStyle, tokenSpans } from './tokens.ts';

/** Text on one line with the peak in a fixed place, so that peaks of many lines stand under each other. */
export function alignedLine(segments: readonly Segment[], highlight: Highlight, style?: LineStyle) {
  const spans = tokenSpans(segments, highlight, style);
  const at = Math.max(
    0,
    spans.findIndex((span) => span.classList.contains('peak')),
  );
  const before = element('span', 'before', element('span', '', ...spans.slice(0, at)));
  return element('span', 'aligned', before, element('span', 'after', ...spans.slice(at)));
}

/** Text that wraps. */
export function wrappedText(segments: readonly Segment[], highlight: Highlight, style?: LineStyle) {
  return element('span', 'wrapped', ...tokenSpans(segments, highlight, style));
}

/** The places of a sample of arrays: a row for each along its other axes, a cell for each along its last one. */
export function sampleGrid(
  segments: readonly Segment[],
  highlight: Highlight,
  { columns, size }: SampleShape,
  style?: LineStyle,
) {
  const spans = tokenSpans(segments, highlight, { ...style, apart: true });
  const rowOf = (position: number) => Math.floor((position % size) / columns);
  const first = rowOf(segments.at(0)?.position ?? 0);
  segments.forEach(({ position }, i) => {
    spans[i].style.gridArea = `${1 + rowOf(position) - first} / ${1 + ((position % size) % columns)}`;
    spans[i].textContent = '';
  });
  const drawn = element('span', 'sample', ...spans);
  drawn.style.setProperty('--columns', String(columns));
  return drawn;
}

interface LineProps {
  readonly segments: readonly Segment[];
  readonly highlight: Highlight;
}

/** A line that follows what it shows. */
export function AlignedLine(props: LineProps) {
  const line = createMemo(() => alignedLine(props.segments, props.highlight));
  return <>{line()}</>;
}

export function SampleGrid(props: LineProps & { readonly sample: SampleShape }) {
  const grid = createMemo(() => sampleGrid(props.segments, props.highlight, props.sample));
  return <>{grid()}</>;
}

/** A plain element, made without the upkeep of a view's. */
export function element<Tag extends 'span' | 'li' | 'bdi'>(
  tag: Tag,
  name: string,
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  if (name !== '') made.className = name;
  made.append(...children);
  return made;
}
