import { corpusText, findBytes, lowerBytes } from './corpus-text.ts';
import type { FeatureIndex } from './feature-index.ts';
import { findPattern, patternOf } from './pattern.ts';
import type { Range } from './table.ts';

export interface TextMatches {
  /** How well a feature matches. */
  readonly scores: Map<number, number>;
  /** Whether all places were looked at where the text occurs. */
  readonly isWhole: boolean;
}

/** A match counts a little for an example when it is this near to its peak, and fully when it holds the peak. */
const NEAR = 8;
const NEAR_WEIGHT = 0.01;

/**
 * Features in whose examples a text occurs (exactly, but for upper and lower case), or a pattern between slashes
 * matches, at the peak or near it, and how well: the number of examples with the peak inside, and a little for those
 * where it is near. The corpus is fetched once. Of a text that occurs in very many places a part is looked at, spread over the corpus.
 */
export async function searchExamples(index: FeatureIndex, query: string): Promise<TextMatches> {
  const pattern = patternOf(query);
  const { found, starts } =
    pattern === undefined ? await findExact(index, query) : await findFitting(index, pattern);
  const spans = tokenSpans(starts, found);
  const { latents, peaks, isWhole } = await index.examplesWithin(spansNear(spans, starts.length - 1));
  const scores = new Map<number, number>();
  for (let i = 0; i < peaks.length; i++) {
    const weight = isInside(spans, peaks[i]) ? 1 : NEAR_WEIGHT;
    scores.set(latents[i], (scores.get(latents[i]) ?? 0) + weight);
  }
  return { scores, isWhole };
}

/** Where matches start and end in turn, in a text in which tokens begin at `starts`. */
interface Found {
  readonly found: ArrayLike<number>;
  readonly starts: Uint32Array;
}

async function findExact(index: FeatureIndex, query: string): Promise<Found> {
  const { text, starts } = await corpusText(index, 'lower');
  return { found: findBytes(text, lowerBytes(query)), starts };
}

async function findFitting(index: FeatureIndex, pattern: string): Promise<Found> {
  const { text, starts } = await corpusText(index, 'plain');
  return { found: await findPattern(text, pattern), starts };
}

/** Tokens that are part of a match, ascending and apart. */
function tokenSpans(starts: Uint32Array, found: ArrayLike<number>): Range[] {
  const spans: [number, number][] = [];
  for (let i = 0; i < found.length; i += 2)
    join_(spans, tokenAt(starts, found[i]), tokenAt(starts, found[i + 1] - 1) + 1);
  return spans;
}

/** Where a peak may stand so that a match is near it. */
function spansNear(spans: readonly Range[], nTokens: number): Range[] {
  const near: [number, number][] = [];
  for (const [first, end] of spans) join_(near, Math.max(0, first - NEAR), Math.min(nTokens, end + NEAR));
  return near;
}

/** Add a span that begins no earlier than the last one, to which it is joined where they meet. */
function join_(spans: [number, number][], first: number, end: number): void {
  const last = spans.at(-1);
  if (last && first <= last[1]) last[1] = Math.max(last[1], end);
  else spans.push([first, end]);
}

function isInside(spans: readonly Range[], token: number): boolean {
  let [low, high] = [0, spans.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spans[middle][1] <= token) low = middle + 1;
    else high = middle;
  }
  return low < spans.length && spans[low][0] <= token;
}

function tokenAt(starts: Uint32Array, at: number): number {
  let [low, high] = [0, starts.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (starts[middle] <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
