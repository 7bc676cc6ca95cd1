import { join } from 'node:path';
import { tokenPieces, type TokenSequence } from '../corpus/index.ts';
import { atomicWrite, sha256 } from '../formats/index.ts';

/** What the index needs of a tokenizer. */
export interface TokenTexts {
  readonly vocabSize: number;
  /** Exact bytes of a token. Throws for an id without a token. */
  tokenBytes(id: number): Uint8Array;
  /** For reading: bytes that are no whole character as `\xNN`. */
  tokenText(id: number): string;
}

/**
 * Write `vocabulary.json`: for every id its text, how often it occurs in the corpus, and for the tokens whose bytes
 * are not whole UTF-8 characters the bytes in hexadecimal, so that a reader can join them to characters.
 */
export async function writeVocabulary(
  folder: string,
  tokenizer: TokenTexts,
  counts: Uint32Array,
): Promise<{ bytes: number; sha256: string }> {
  const texts: string[] = [];
  const bytesOf: Record<string, string> = {};
  for (let id = 0; id < counts.length; id++) {
    const bytes = bytesOrNone(tokenizer, id);
    texts.push(bytes === undefined ? '' : tokenizer.tokenText(id));
    if (bytes !== undefined && !isUtf8(bytes)) bytesOf[id] = Buffer.from(bytes).toString('hex');
  }
  const json = new TextEncoder().encode(
    `${JSON.stringify({ texts, bytes: bytesOf, counts: Array.from(counts) })}\n`,
  );
  await atomicWrite(join(folder, 'vocabulary.json'), json);
  return { bytes: json.byteLength, sha256: sha256(json) };
}

/** How often each token occurs. The array covers the vocabulary and every id of the corpus. */
export function tokenCounts(tokens: TokenSequence, vocabSize: number): Uint32Array {
  let largest = -1;
  for (const ids of tokenPieces(tokens))
    for (let i = 0; i < ids.length; i++) if (ids[i] > largest) largest = ids[i];
  const counts = new Uint32Array(Math.max(vocabSize, largest + 1));
  for (const ids of tokenPieces(tokens)) for (let i = 0; i < ids.length; i++) counts[ids[i]]++;
  return counts;
}

/** Padded vocabularies have ids without a token. */
function bytesOrNone(tokenizer: TokenTexts, id: number): Uint8Array | undefined {
  try {
    return tokenizer.tokenBytes(id);
  } catch {
    return undefined;
  }
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
