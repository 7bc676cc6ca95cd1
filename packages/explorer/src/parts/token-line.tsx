import { createMemo } from 'solid-js';
import type { SampleShape } from '../data/sample-shape.ts';
import type { Segment } from '../data/segments.ts';
import { type Highlight, type LineStyle, tokenSpans } from './tokens.ts';

interface LineProps extends LineStyle {
  readonly segments: readonly Segment[];
  readonly highlight: Highlight;
}

/** Text on one line with the peak in a fixed place, so that peaks of many lines stand under each other. */
export function AlignedLine(props: LineProps) {
  const line = createMemo(() => {
    const spans = tokenSpans(props.segments, props.highlight, props);
    const at = Math.max(
      0,
      spans.findIndex((span) => span.classList.contains('peak')),
    );
    return element('aligned', [
      element('before', [element('', spans.slice(0, at))]),
      element('after', spans.slice(at)),
    ]);
  });
  return <>{line()}</>;
}

/** The places of a sample of arrays: a row for each along its other axes, a cell for each along its last one. */
export function SampleGrid(props: LineProps & { readonly sample: SampleShape }) {
  const grid = createMemo(() => {
    const { columns, size } = props.sample;
    const spans = tokenSpans(props.segments, props.highlight, { ...props, apart: true });
    const rowOf = (position: number) => Math.floor((position % size) / columns);
    const first = rowOf(props.segments.at(0)?.position ?? 0);
    props.segments.forEach(({ position }, i) => {
      spans[i].style.gridArea = `${1 + rowOf(position) - first} / ${1 + ((position % size) % columns)}`;
      spans[i].textContent = '';
    });
    const drawn = element('sample', spans);
    drawn.style.setProperty('--columns', String(columns));
    return drawn;
  });
  return <>{grid()}</>;
}

/** Text that wraps. */
export function WrappedText(props: LineProps) {
  const text = createMemo(() => element('wrapped', tokenSpans(props.segments, props.highlight, props)));
  return <>{text()}</>;
}

/** A plain element, made without the upkeep of a view's. */
function element(name: string, children: readonly HTMLElement[]): HTMLElement {
  const made = document.createElement('span');
  if (name !== '') made.className = name;
  made.append(...children);
  return made;
}
