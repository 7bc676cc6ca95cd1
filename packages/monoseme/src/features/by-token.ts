import { join } from 'node:path';
import { type TableRow, type TableSchema, TableWriter } from './parquet-table.ts';
import type { IndexFile } from './schema.ts';

const ROWS_PER_GROUP = 32_768;

/** Entries of an inverted index, in order of their latents. */
export interface TokenEntries {
  readonly tokens: readonly number[];
  /** By which the entries of a token are ranked, largest first; ties stay in order of their latents. */
  readonly weights: readonly number[];
}

/** Latents that are listed of a token: the end of the list tells little, but of many latents more are worth finding. */
function latentsPerToken(dSae: number): number {
  return Math.max(100, Math.ceil(dSae / 32));
}

/** Write an inverted index: a table sorted by token, then by weight. */
export async function writeByToken<S extends TableSchema>(
  folder: string,
  path: string,
  schema: S,
  entries: TokenEntries,
  dSae: number,
  row: (entry: number) => TableRow<S>,
): Promise<IndexFile> {
  const table = new TableWriter(schema);
  const most = latentsPerToken(dSae);
  for (const ofToken of byToken(entries)) {
    for (const entry of ofToken.slice(0, most)) {
      table.add(row(entry));
      if (table.rowsInGroup === ROWS_PER_GROUP) table.endGroup();
    }
  }
  return { path, ...(await table.finish(join(folder, path))) };
}

/** The entries of each token that has some, ranked. */
function* byToken({ tokens, weights }: TokenEntries): Generator<Uint32Array> {
  const starts = new Uint32Array(tokens.reduce((most, token) => Math.max(most, token), -1) + 2);
  for (const token of tokens) starts[token + 1]++;
  for (let token = 1; token < starts.length; token++) starts[token] += starts[token - 1];
  const entries = new Uint32Array(tokens.length);
  const next = starts.slice();
  tokens.forEach((token, entry) => (entries[next[token]++] = entry));
  for (let token = 0; token + 1 < starts.length; token++) {
    if (starts[token] === starts[token + 1]) continue;
    yield entries.subarray(starts[token], starts[token + 1]).sort((a, b) => weights[b] - weights[a] || a - b);
  }
}
