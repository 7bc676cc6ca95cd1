import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { TokenSet } from '../corpus/index.ts';
import { atomicWrite, writeAll } from '../formats/index.ts';
import { writeTable } from './parquet-table.ts';
import { DOCUMENTS, type IndexFile } from './schema.ts';

/** Tokens that are written at once: a copy of all would grow with the text. */
const PIECE = 2 ** 20;

/** Write `corpus/tokens.bin` and `corpus/documents.parquet`. */
export async function writeCorpus(
  folder: string,
  tokenSet: TokenSet,
  vocabSize: number,
): Promise<{ files: IndexFile[]; tokenBytes: 2 | 4; sources: Record<string, number> }> {
  const { tokens, documents } = tokenSet;
  const tokenBytes = vocabSize <= 2 ** 16 ? 2 : 4;
  const written = await writeTokens(join(folder, 'corpus/tokens.bin'), tokens, tokenBytes);
  const sources: Record<string, number> = {};
  const rows = documents.map(({ id, source, start, length }, document_index) => {
    sources[source] = (sources[source] ?? 0) + length;
    return { document_index, id, source, start, length };
  });
  const table = await writeTable(join(folder, 'corpus/documents.parquet'), DOCUMENTS, rows, 2 ** 17);
  const files = [
    { path: 'corpus/tokens.bin', ...written },
    { path: 'corpus/documents.parquet', ...table },
  ];
  return { files, tokenBytes, sources };
}

async function writeTokens(path: string, tokens: Uint32Array, tokenBytes: 2 | 4) {
  const hash = createHash('sha256');
  await atomicWrite(path, async (file) => {
    for (let start = 0; start < tokens.length; start += PIECE) {
      const bytes = littleEndian(tokens.subarray(start, start + PIECE), tokenBytes);
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
