import type { FeatureIndex } from './feature-index.ts';
import { tokenTexts } from './segments.ts';

/** The corpus as one text, and where each token begins in it. */
interface CorpusText {
  readonly text: string;
  readonly starts: Uint32Array;
}

/** A match counts a little for an example when it is this near to its peak, and fully when it holds the peak. */
const NEAR = 8;
const NEAR_WEIGHT = 0.01;

let made: { index: FeatureIndex; text: Promise<CorpusText> } | undefined;

/**
 * Features in whose examples a text occurs (exactly, but for upper and lower case) at the peak or near it, and how
 * well: the number of examples with the peak inside the text, and a little for those where it is near. The corpus is
 * fetched once.
 */
export async function searchExamples(index: FeatureIndex, query: string): Promise<Map<number, number>> {
  if (made?.index !== index) made = { index, text: corpusText(index) };
  const [{ text, starts }, parts] = await Promise.all([made.text, index.examplePeaks()]);
  const covered = coveredBefore(text, starts, query.toLowerCase());
  const found = new Map<number, number>();
  for (const { latents, peaks } of parts) {
    for (let i = 0; i < peaks.length; i++) {
      const low = Math.max(0, peaks[i] - NEAR);
      const high = Math.min(starts.length, peaks[i] + NEAR + 1);
      if (covered[high] === covered[low]) continue;
      const weight = covered[peaks[i] + 1] > covered[peaks[i]] ? 1 : NEAR_WEIGHT;
      found.set(latents[i], (found.get(latents[i]) ?? 0) + weight);
    }
  }
  return found;
}

/** For every token how many tokens before it are part of a match: a range holds one when its ends differ. */
function coveredBefore(text: string, starts: Uint32Array, wanted: string): Uint32Array {
  const isCovered = new Uint8Array(starts.length);
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) {
    const last = tokenAt(starts, at + wanted.length - 1);
    isCovered.fill(1, tokenAt(starts, at), last + 1);
  }
  const covered = new Uint32Array(starts.length + 1);
  for (let i = 0; i < starts.length; i++) covered[i + 1] = covered[i] + isCovered[i];
  return covered;
}

async function corpusText({ corpus, vocabulary }: FeatureIndex): Promise<CorpusText> {
  const tokens = await corpus.all();
  const starts = new Uint32Array(tokens.length);
  const pieces = tokenTexts(tokens, vocabulary);
  let length = 0;
  for (let i = 0; i < tokens.length; i++) {
    // Lower case may change the length of a text, so it is made token by token.
    pieces[i] = pieces[i].toLowerCase();
    starts[i] = length;
    length += pieces[i].length;
  }
  return { text: pieces.join(''), starts };
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
