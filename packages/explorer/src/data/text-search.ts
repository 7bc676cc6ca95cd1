import type { FeatureIndex } from './feature-index.ts';

/** The corpus as one text, and where each token begins in it. */
interface CorpusText {
  readonly text: string;
  readonly starts: Uint32Array;
}

/** A match counts for an example when it touches the tokens around its peak. */
const RADIUS = 8;

let made: { index: FeatureIndex; text: Promise<CorpusText> } | undefined;

/**
 * Features with an example around whose peak the text occurs (exactly, but for upper and lower case), with the number
 * of such examples. The corpus is fetched once.
 */
export async function searchExamples(index: FeatureIndex, query: string): Promise<Map<number, number>> {
  if (made?.index !== index) made = { index, text: corpusText(index) };
  const [{ text, starts }, parts] = await Promise.all([made.text, index.examplePeaks()]);
  // near[i]: matches whose first token is before token i, so a range holds a match when its ends differ.
  const before = new Uint32Array(starts.length + 1);
  const wanted = query.toLowerCase();
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) before[tokenAt(starts, at) + 1]++;
  for (let i = 0; i < starts.length; i++) before[i + 1] += before[i];

  const found = new Map<number, number>();
  for (const { latents, peaks } of parts) {
    for (let i = 0; i < peaks.length; i++) {
      const low = Math.max(0, peaks[i] - RADIUS);
      const high = Math.min(starts.length, peaks[i] + RADIUS + 1);
      if (before[high] > before[low]) found.set(latents[i], (found.get(latents[i]) ?? 0) + 1);
    }
  }
  return found;
}

async function corpusText(index: FeatureIndex): Promise<CorpusText> {
  const tokens = await index.corpus.all();
  const starts = new Uint32Array(tokens.length);
  // Lower case may change the length of a text, so it is made token by token.
  const lower = index.vocabulary.texts.map((text) => text.toLowerCase());
  const pieces: string[] = new Array(tokens.length);
  let length = 0;
  for (let i = 0; i < tokens.length; i++) {
    starts[i] = length;
    pieces[i] = lower[tokens[i]] ?? '';
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
