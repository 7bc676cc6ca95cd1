import { hashSeed, Random } from '../random/index.ts';
import type { Document } from './document.ts';

/** Characters held to shuffle among: 64 Mi, 64 to 128 MB in memory. The default corpus is half of that. */
const BUFFER_CHARACTERS = 2 ** 26;

/**
 * Documents in an order drawn with the seed. A corpus of up to `bufferCharacters` UTF-16 code units comes in an order
 * drawn from all; of a longer one a buffer of that size is kept full and each document is drawn from it, so that memory
 * is bounded and a document moves by about as much text as the buffer holds.
 */
export async function* shuffleDocuments(
  documents: AsyncIterable<Document> | Iterable<Document>,
  seed: number,
  bufferCharacters: number = BUFFER_CHARACTERS,
): AsyncGenerator<Document> {
  const buffer: Document[] = [];
  const random = new Random(hashSeed(seed, 'shuffle-documents'));
  let held = 0;
  for await (const document of documents) {
    buffer.push(document);
    held += document.text.length;
    while (held > bufferCharacters) {
      const at = random.integer(buffer.length);
      const drawn = buffer[at];
      buffer[at] = buffer[buffer.length - 1];
      buffer.pop();
      held -= drawn.text.length;
      yield drawn;
    }
  }
  for (const i of new Random(hashSeed(seed, 'pack-contexts')).permutation(buffer.length)) yield buffer[i];
}
