import type { EffectRow } from '../data/feature-index.ts';
import { type Segment, visible } from '../data/segments.ts';

/** Where a feature fires around an example's peak. */
export interface Highlight {
  /** Corpus index of the peak. */
  readonly peak: number;
  readonly max: number;
  /** Activations by corpus index, the peak's among them. */
  readonly activations: ReadonlyMap<number, number>;
  /** What taking the feature out changes, by corpus index; where it is known. */
  readonly effects?: ReadonlyMap<number, EffectRow>;
}

/** A change of the loss, in nats, that is underlined fully; and the least that is underlined at all. */
const FULL_CHANGE = 1;
const LEAST_CHANGE = 0.02;

export function highlightOf(
  peak: number,
  activation: number,
  offsets: readonly number[],
  activations: readonly number[],
  max: number,
): Highlight {
  const near = offsets.map((offset, i): [number, number] => [peak + offset, activations[i]]);
  return { peak, max, activations: new Map([...near, [peak, activation]]) };
}

/** Largest activation in a segment (joined tokens share a highlight). */
export function activationOf(segment: Segment, { activations }: Highlight): number {
  let largest = 0;
  for (let i = 0; i < segment.tokens.length; i++) {
    largest = Math.max(largest, activations.get(segment.position + i) ?? 0);
  }
  return largest;
}

/** The effect at the last token of a segment. */
function effectOn(segment: Segment, { effects }: Highlight): EffectRow | undefined {
  return effects?.get(segment.position + segment.tokens.length - 1);
}

export function holdsPeak(segment: Segment, { peak }: Highlight): boolean {
  return segment.position <= peak && peak < segment.position + segment.tokens.length;
}

/**
 * One plain span a segment, in their order, coloured by activation. The tooltip listens on the container: a page shows
 * thousands of tokens.
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
    const activation = activationOf(segment, highlight);
    let kind = 't';
    if (activation > 0) {
      kind += ' on';
      span.style.setProperty('--a', String(Math.min(1, activation / highlight.max)));
    }
    if (holdsPeak(segment, highlight)) kind += ' peak';
    if (known && (segment.position < known[0] || segment.position > known[1])) kind += ' beyond';
    if (/^[\n\r\t]+$/.test(segment.text)) kind += ' blank';
    // The effect at a token is on the prediction of the next one, which is underlined.
    const before = segments[i - 1];
    const change = before && effectOn(before, highlight)?.loss_change;
    if (change !== undefined && Math.abs(change) >= LEAST_CHANGE) {
      kind += change > 0 ? ' helped' : ' hurt';
      span.style.setProperty('--e', String(Math.min(1, Math.sqrt(Math.abs(change) / FULL_CHANGE))));
    }
    span.className = kind;
    return span;
  });
}
