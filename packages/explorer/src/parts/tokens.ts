import { type Segment, visible } from '../data/segments.ts';

/** Where a latent fires near an example's peak: activation by corpus index. */
export interface Highlight {
  /** The segment with this token is the peak. */
  readonly peak: number;
  /** Activation of the token at `start + i`; no more is known outside. */
  readonly start: number;
  readonly window: readonly number[];
  readonly max: number;
}

/** Largest activation in a segment (joined tokens share a highlight). */
export function activationOf(segment: Segment, { start, window }: Highlight): number {
  let largest = 0;
  for (let i = 0; i < segment.tokens.length; i++) {
    largest = Math.max(largest, window[segment.position + i - start] ?? 0);
  }
  return largest;
}

export function holdsPeak(segment: Segment, { peak }: Highlight): boolean {
  return segment.position <= peak && peak < segment.position + segment.tokens.length;
}

/**
 * One plain span a segment, coloured by activation. `data-i` is the segment's place, for the tooltip, which listens
 * on the container: a page shows thousands of tokens.
 *
 * @param known first and last corpus index with known activations; text outside is dimmed
 */
export function tokenSpans(
  segments: readonly Segment[],
  highlight: Highlight,
  known?: readonly [number, number],
): HTMLSpanElement[] {
  return segments.map((segment, i) => {
    const span = document.createElement('span');
    span.textContent = visible(segment.text);
    span.dataset.i = String(i);
    const activation = activationOf(segment, highlight);
    let kind = 't';
    if (activation > 0) {
      kind += ' on';
      span.style.setProperty('--a', String(Math.min(1, activation / highlight.max)));
    }
    if (holdsPeak(segment, highlight)) kind += ' peak';
    if (known && (segment.position < known[0] || segment.position > known[1])) kind += ' beyond';
    if (/^[\n\r\t]+$/.test(segment.text)) kind += ' mark';
    span.className = kind;
    return span;
  });
}
