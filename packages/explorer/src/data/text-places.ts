import type { DocumentRow, FeatureIndex } from './feature-index.ts';
import { tokenTexts } from './segments.ts';

/** The text of a document, and where each of its tokens begins in it, [length + 1]. */
interface DocumentText {
  readonly text: string;
  readonly starts: readonly number[];
}

/** Characters on each side of a place by which it is found again, the most telling first. */
const AROUND = [48, 16, 4];
/** Texts that are kept, of each index. */
const MOST_TEXTS = 16;
const kept = new WeakMap<FeatureIndex, Map<number, Promise<DocumentText>>>();

/** Whether two indexes have a document in common, by its id. */
export async function shareDocuments(a: FeatureIndex, b: FeatureIndex): Promise<boolean> {
  const ids = new Set((await b.documents()).map(({ id }) => id));
  return (await a.documents()).some(({ id }) => ids.has(id));
}

/**
 * Where the text of a token of one index stands in another, whose tokens are cut otherwise: the token there that holds its
 * last character. Found by the characters around it, at the place that is nearest to its own from the start of the document,
 * since tokenizers put different tokens without text there.
 *
 * @returns undefined where the other has no document of this id, or not this text
 */
export async function placeIn(
  from: FeatureIndex,
  token: number,
  to: FeatureIndex,
): Promise<number | undefined> {
  const document = await from.documentAt(token);
  const other = document && (await to.documents()).find(({ id }) => id === document.id);
  if (!other) return undefined;
  const [here, there] = await Promise.all([textOf(from, document), textOf(to, other)]);
  const start = here.starts[token - document.start];
  const end = here.starts[token - document.start + 1];
  for (const around of AROUND) {
    const first = Math.max(0, start - around);
    const found = nearestOccurrence(there.text, here.text.slice(first, end + around), first);
    if (found === undefined) continue;
    return other.start + tokenAt(there.starts, found + Math.max(start, end - 1) - first);
  }
  return undefined;
}

function nearestOccurrence(text: string, wanted: string, place: number): number | undefined {
  if (wanted === '') return undefined;
  const before = text.lastIndexOf(wanted, place);
  const after = text.indexOf(wanted, place);
  if (before < 0 || after < 0) return before < 0 ? (after < 0 ? undefined : after) : before;
  return place - before <= after - place ? before : after;
}

function tokenAt(starts: readonly number[], at: number): number {
  let [low, high] = [0, starts.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (starts[middle + 1] <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}

function textOf(index: FeatureIndex, { start, length }: DocumentRow): Promise<DocumentText> {
  const texts = kept.get(index) ?? new Map<number, Promise<DocumentText>>();
  kept.set(index, texts);
  const text = texts.get(start) ?? readText(index, start, start + length);
  texts.set(start, text);
  text.catch(() => texts.delete(start));
  if (texts.size > MOST_TEXTS) texts.delete(texts.keys().next().value!);
  return text;
}

async function readText(index: FeatureIndex, start: number, end: number): Promise<DocumentText> {
  const pieces = tokenTexts(await index.corpus.between(start, end), index.vocabulary);
  const starts = [0];
  for (const piece of pieces) starts.push(starts.at(-1)! + piece.length);
  return { text: pieces.join(''), starts };
}
