import type { FeatureIndex } from './feature-index.ts';
import { findPattern, patternOf } from './pattern.ts';
import { tokenTexts } from './segments.ts';
import type { Range } from './table.ts';

export interface TextMatches {
  /** How well a feature matches. */
  readonly scores: Map<number, number>;
  /** Whether all places were looked at where the text occurs. */
  readonly isWhole: boolean;
}

/** The corpus as one text, and where each token begins in it. */
interface CorpusText {
  readonly text: string;
  readonly starts: Uint32Array;
}

/** A match counts a little for an example when it is this near to its peak, and fully when it holds the peak. */
const NEAR = 8;
const NEAR_WEIGHT = 0.01;

/** Of the index at hand, as it is and in lower case: what was made last. */
let made: { index: FeatureIndex; plain?: Promise<CorpusText>; lower?: Promise<CorpusText> } | undefined;

/**
 * Features in whose examples a text occurs (exactly, but for upper and lower case), or a pattern between slashes
 * matches, at the peak or near it, and how well: the number of examples with the peak inside, and a little for those
 * where it is near. The corpus is fetched once. Of a text that occurs in very many places a part is looked at, spread over the corpus.
 */
export async function searchExamples(index: FeatureIndex, query: string): Promise<TextMatches> {
  const pattern = patternOf(query);
  const { text, starts } = await corpusText(index, pattern === undefined ? 'lower' : 'plain');
  const found =
    pattern === undefined ? findText(text, query.toLowerCase()) : await findPattern(text, pattern);
  const covered = coveredBefore(starts, found);
  const { latents, peaks, isWhole } = await index.examplesWithin(rangesNear(covered));
  const scores = new Map<number, number>();
  for (let i = 0; i < peaks.length; i++) {
    const weight = covered[peaks[i] + 1] > covered[peaks[i]] ? 1 : NEAR_WEIGHT;
    scores.set(latents[i], (scores.get(latents[i]) ?? 0) + weight);
  }
  return { scores, isWhole };
}

/** Where a peak may stand so that a match is near it. */
function rangesNear(covered: Uint32Array): Range[] {
  const ranges: [number, number][] = [];
  const nTokens = covered.length - 1;
  for (let token = 0; token < nTokens; token++) {
    if (covered[token + 1] === covered[token]) continue;
    const [low, high] = [Math.max(0, token - NEAR), Math.min(nTokens, token + NEAR + 1)];
    const last = ranges.at(-1);
    if (last && low <= last[1]) last[1] = high;
    else ranges.push([low, high]);
  }
  return ranges;
}

/** Where a text occurs: starts and ends in turn. */
function findText(text: string, wanted: string): number[] {
  const found: number[] = [];
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1))
    found.push(at, at + wanted.length);
  return found;
}

/** For every token how many tokens before it are part of a match. */
function coveredBefore(starts: Uint32Array, found: ArrayLike<number>): Uint32Array {
  const isCovered = new Uint8Array(starts.length);
  for (let i = 0; i < found.length; i += 2)
    isCovered.fill(1, tokenAt(starts, found[i]), tokenAt(starts, found[i + 1] - 1) + 1);
  const covered = new Uint32Array(starts.length + 1);
  for (let i = 0; i < starts.length; i++) covered[i + 1] = covered[i] + isCovered[i];
  return covered;
}

function corpusText(index: FeatureIndex, letters: 'plain' | 'lower'): Promise<CorpusText> {
  if (made?.index !== index) made = { index };
  made[letters] ??= makeCorpusText(index, letters);
  return made[letters];
}

async function makeCorpusText(
  { corpus, vocabulary }: FeatureIndex,
  letters: 'plain' | 'lower',
): Promise<CorpusText> {
  const tokens = await corpus.all();
  const starts = new Uint32Array(tokens.length);
  const pieces = tokenTexts(tokens, vocabulary);
  // Lower case may change the length of a text, so it is made token by token; the same few over and over.
  const lower = new Map<string, string>();
  let length = 0;
  for (let i = 0; i < tokens.length; i++) {
    if (letters === 'lower') pieces[i] = loweredOnce(pieces[i], lower);
    starts[i] = length;
    length += pieces[i].length;
  }
  return { text: pieces.join(''), starts };
}

function loweredOnce(text: string, known: Map<string, string>): string {
  let lowered = known.get(text);
  if (lowered === undefined) known.set(text, (lowered = text.toLowerCase()));
  return lowered;
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
