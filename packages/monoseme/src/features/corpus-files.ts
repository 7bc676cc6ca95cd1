import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type TokenSequence, tokenPieces, type TokenText } from '../corpus/index.ts';
import { atomicWrite, writeAll } from '../formats/index.ts';
import { writeTable } from './parquet-table.ts';
import { DOCUMENTS, type IndexFile } from './schema.ts';

export interface WrittenCorpus {
  readonly files: IndexFile[];
  readonly tokenBytes: 2 | 4;
  /** Tokens of each source. */
  readonly sources: Record<string, number>;
  readonly nDocuments: number;
}

/** Write `corpus/tokens.bin` and `corpus/documents.parquet`. */
export async function writeCorpus(
  folder: string,
  tokenSet: TokenText,
  vocabSize: number,
): Promise<WrittenCorpus> {
  const { tokens, documents } = tokenSet;
  const tokenBytes = vocabSize <= 2 ** 16 ? 2 : 4;
  const written = await writeTokens(join(folder, 'corpus/tokens.bin'), tokens, tokenBytes);
  const sources: Record<string, number> = {};
  let document_index = 0;
  function* rows() {
    for (const { id, source, start, length } of documents) {
      sources[source] = (sources[source] ?? 0) + length;
      yield { document_index: document_index++, id, source, start, length };
    }
  }
  const table = await writeTable(join(folder, 'corpus/documents.parquet'), DOCUMENTS, rows(), 2 ** 17);
  const files = [
    { path: 'corpus/tokens.bin', ...written },
    { path: 'corpus/documents.parquet', ...table },
  ];
  return { files, tokenBytes, sources, nDocuments: document_index };
}

async function writeTokens(path: string, tokens: TokenSequence, tokenBytes: 2 | 4) {
  const hash = createHash('sha256');
  await atomicWrite(path, async (file) => {
    for (const ids of tokenPieces(tokens)) {
      const bytes = littleEndian(ids, tokenBytes);
      hash.update(bytes);
      await writeAll(file, bytes);
    }
  });
  return { bytes: tokens.length * tokenBytes, sha256: hash.digest('hex') };
}

function littleEndian(tokens: Uint32Array, tokenBytes: 2 | 4): Uint8Array {
  // Every platform that Node runs on is little-endian.
  const array = tokenBytes === 2 ? Uint16Array.from(tokens) : tokens;
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
