import { createMemo } from 'solid-js';
import type { Segment } from '../data/segments.ts';
import { type Highlight, holdsPeak, tokenSpans } from './tokens.ts';

/** Text on one line with the peak in a fixed place, so that peaks of many lines stand under each other. */
export function AlignedLine(props: {
  segments: readonly Segment[];
  highlight: Highlight;
  known?: readonly [number, number];
}) {
  const parts = createMemo(() => {
    const spans = tokenSpans(props.segments, props.highlight, props.known);
    const peak = Math.max(
      0,
      props.segments.findIndex((segment) => holdsPeak(segment, props.highlight)),
    );
    return { before: spans.slice(0, peak), after: spans.slice(peak) };
  });
  return (
    <span class="aligned">
      <span class="before">
        <span>{parts().before}</span>
      </span>
      <span class="after">{parts().after}</span>
    </span>
  );
}

/** Text that wraps. */
export function WrappedText(props: {
  segments: readonly Segment[];
  highlight: Highlight;
  known?: readonly [number, number];
}) {
  return <span class="wrapped">{tokenSpans(props.segments, props.highlight, props.known)}</span>;
}
