import { extname } from 'node:path';

/** How documents lie in a file: it is one, or it has one in each line, row or record. */
export const TEXT_FORMATS = ['text', 'jsonl', 'csv', 'tsv', 'parquet'] as const;
export type TextFormat = (typeof TEXT_FORMATS)[number];

/** What is taken as text inside a folder; a file named outright may have any ending. */
const TEXT_FILE =
  /\.(txt|text|md|markdown|rst|tex|html?|xml|svg|css|json|ya?ml|toml|[cm]?[jt]sx?|py|rs|go|java|[ch](pp)?|rb|sh|sql)$/i;

const FORMAT_OF: Record<string, TextFormat> = {
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  csv: 'csv',
  tsv: 'tsv',
  parquet: 'parquet',
};

/** Ending of a file's name in lower case, without what says how it is compressed; empty when it has none. */
export function endingOf(name: string): string {
  return extname(name.replace(/\.(gz|zst)$/i, ''))
    .slice(1)
    .toLowerCase();
}

export function formatOf(name: string): TextFormat {
  const ending = endingOf(name);
  return Object.hasOwn(FORMAT_OF, ending) ? FORMAT_OF[ending] : 'text';
}

/**
 * Whether a file met in a folder holds text. CSV and TSV files, which hold anything, do when the column of their text is
 * known.
 */
export function isTextFile(name: string, columnIsKnown: boolean): boolean {
  const format = formatOf(name);
  if (format === 'text') return TEXT_FILE.test(`.${endingOf(name)}`);
  return columnIsKnown || format === 'jsonl' || format === 'parquet';
}
