import { createMemo } from 'solid-js';
import type { Segment } from '../data/segments.ts';
import { type Highlight, holdsPeak, tokenSpans } from './tokens.ts';

interface LineProps {
  readonly segments: readonly Segment[];
  readonly highlight: Highlight;
  /** First and last corpus index with known activations; text outside is dimmed. */
  readonly known?: readonly [number, number];
}

/** Text on one line with the peak in a fixed place, so that peaks of many lines stand under each other. */
export function AlignedLine(props: LineProps) {
  const line = createMemo(() => {
    const spans = tokenSpans(props.segments, props.highlight, props.known);
    const peak = props.segments.findIndex((segment) => holdsPeak(segment, props.highlight));
    const before = element('before', [element('', spans.slice(0, Math.max(0, peak)))]);
    return element('aligned', [before, element('after', spans.slice(Math.max(0, peak)))]);
  });
  return <>{line()}</>;
}

/** Text that wraps. */
export function WrappedText(props: LineProps) {
  const text = createMemo(() => element('wrapped', tokenSpans(props.segments, props.highlight, props.known)));
  return <>{text()}</>;
}

/** Lines are made of plain elements: a page shows thousands of tokens, and a reader waits for them. */
function element(name: string, children: readonly HTMLElement[]): HTMLElement {
  const made = document.createElement('span');
  if (name !== '') made.className = name;
  made.append(...children);
  return made;
}
