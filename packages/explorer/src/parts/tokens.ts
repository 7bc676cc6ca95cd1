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

/** How the elements of a line are made. */
export interface LineStyle {
  /** First and last corpus index with known activations; text outside is dimmed. */
  readonly known?: readonly [number, number];
  /** Every token is an element of its own, so that it can be pointed at. */
  readonly apart?: boolean;
}

/**
 * Text coloured by activation: a plain span for each token that is marked in some way (`t`), and one for all those
 * between two such (`run`). A page shows thousands of tokens, most of them unmarked, and a reader waits for them.
 */
export function tokenSpans(
  segments: readonly Segment[],
  highlight: Highlight,
  { known, apart = false }: LineStyle = {},
): HTMLSpanElement[] {
  const spans: HTMLSpanElement[] = [];
  let run: HTMLSpanElement | undefined;
  segments.forEach((segment, i) => {
    const isBeyond = known !== undefined && (segment.position < known[0] || segment.position > known[1]);
    const mark = markOf(segment, segments[i - 1], highlight);
    const name = `${apart || mark ? 't' : 'run'}${mark?.kind ?? ''}${isBeyond ? ' beyond' : ''}`;
    if (run?.className === name) return run.append(visible(segment.text));
    const span = document.createElement('span');
    span.className = name;
    span.textContent = visible(segment.text);
    if (mark?.strength !== undefined) span.style.setProperty('--a', String(mark.strength));
    if (mark?.effect !== undefined) span.style.setProperty('--e', String(mark.effect));
    run = apart || mark ? undefined : span;
    spans.push(span);
  });
  return spans;
}

interface Mark {
  /** Classes, each behind a space. */
  readonly kind: string;
  /** Activation, and change of the loss, as shares of those that are shown fully. */
  readonly strength?: number;
  readonly effect?: number;
}

function markOf(segment: Segment, before: Segment | undefined, highlight: Highlight): Mark | undefined {
  const activation = activationOf(segment, highlight);
  // The effect at a token is on the prediction of the next one, which is underlined.
  const change = (before && effectOn(before, highlight)?.loss_change) ?? 0;
  const isChanged = Math.abs(change) >= LEAST_CHANGE;
  const kind =
    (activation > 0 ? ' on' : '') +
    (holdsPeak(segment, highlight) ? ' peak' : '') +
    (/^[\n\r\t]+$/.test(segment.text) ? ' blank' : '') +
    (isChanged ? (change > 0 ? ' helped' : ' hurt') : '');
  if (kind === '') return undefined;
  return {
    kind,
    strength: activation > 0 ? Math.min(1, activation / highlight.max) : undefined,
    effect: isChanged ? Math.min(1, Math.sqrt(Math.abs(change) / FULL_CHANGE)) : undefined,
  };
}
