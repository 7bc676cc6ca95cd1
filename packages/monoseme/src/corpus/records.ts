import { Readable } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { MonosemeError } from '../errors.ts';
import { openParquet } from '../formats/index.ts';
import { placeName, STDIN, type TextPlace } from './byte-stream.ts';
import type { TextFormat } from './text-format.ts';
import { readLines, readTextStream, type TextCounts } from './text-stream.ts';

/** Fields of a text or of a conversation by their usual names, the likelier first. */
export const TEXT_FIELDS: readonly string[] = ['text', 'messages', 'conversations'];

/** One record of a file: the line of JSONL it stands on, or its number among the rows, from 1. */
export interface TextRecord {
  readonly number: number;
  readonly row: Readonly<Record<string, unknown>>;
}

interface RecordOptions {
  /** Where the text is looked for, to fail before anything is read when no record can have it. Default: {@link TEXT_FIELDS}. */
  readonly textField?: string;
  readonly counts?: TextCounts;
}

/**
 * The records of a file, one after another.
 *
 * @throws {MonosemeError} ERR_FORMAT (naming the line, or the columns where the text's is missing), ERR_LIMIT (a record
 *   or row group too large to hold), and what opening throws
 */
export function readRecords(
  place: TextPlace,
  format: Exclude<TextFormat, 'text'>,
  options: RecordOptions,
): AsyncGenerator<TextRecord> {
  if (format === 'jsonl') return jsonlRecords(place, options);
  if (format === 'parquet') return parquetRecords(place, options);
  return csvRecords(place, format === 'csv' ? ',' : '\t', options);
}

/** One object a line; blank lines are skipped. */
async function* jsonlRecords(place: TextPlace, { counts }: RecordOptions): AsyncGenerator<TextRecord> {
  for await (const { number, line } of readLines(place, counts)) {
    if (line.trim() === '') continue;
    const where = `${placeName(place)} line ${number}`;
    yield { number, row: parseObject(line, where) };
  }
}

function parseObject(line: string, where: string): Record<string, unknown> {
  const fail = (cause?: unknown) =>
    new MonosemeError('ERR_FORMAT', `${where} is no JSON object.`, 'JSONL has one object on each line.', {
      cause,
    });
  let row: unknown;
  try {
    row = JSON.parse(line);
  } catch (cause) {
    throw fail(cause);
  }
  if (typeof row !== 'object' || row === null) throw fail();
  return row as Record<string, unknown>;
}

/** A record of more is a quote that was never closed. */
const MAX_CSV_RECORD = 2 ** 26;

/** RFC 4180 with a header; a TSV has tabs for commas. Quotes that do not enclose a whole field are part of the text. */
async function* csvRecords(
  place: TextPlace,
  delimiter: string,
  { textField, counts }: RecordOptions,
): AsyncGenerator<TextRecord> {
  const source = Readable.from(readTextStream(place, counts));
  const rows = parse({
    delimiter,
    max_record_size: MAX_CSV_RECORD,
    skip_empty_lines: true,
    relax_quotes: true,
    columns(header: string[]) {
      expectColumn(place, header, textField);
      return header;
    },
  });
  source.on('error', (error) => rows.destroy(error)).pipe(rows);
  let number = 0;
  try {
    for await (const row of rows) yield { number: ++number, row: row as Record<string, string> };
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new MonosemeError(
      'ERR_FORMAT',
      `${placeName(place)} is no table that can be read: ${error.message.split('\n')[0]}.`,
      'Quote fields that hold a delimiter, a quote or a line break.',
      { cause: error },
    );
  } finally {
    source.destroy();
  }
}

/** Row groups are held one at a time; writers make them of some thousand rows, or of 128 MB. */
const MAX_ROW_GROUP_BYTES = 2 ** 30;

async function* parquetRecords(path: TextPlace, { textField }: RecordOptions): AsyncGenerator<TextRecord> {
  if (path === STDIN)
    throw new MonosemeError(
      'ERR_OPTION',
      'Parquet cannot be read from the standard input.',
      'Name the file.',
    );
  const file = await openParquet(path);
  try {
    const names = file.columns.map(({ name }) => name);
    expectColumn(path, names, textField);
    const fields = textField === undefined ? TEXT_FIELDS : [textField];
    const wanted = [...fields, 'id', 'source'].filter((name) => names.includes(name));
    for (const group of file.rowGroups()) {
      if (group.bytes(wanted) > MAX_ROW_GROUP_BYTES)
        throw new MonosemeError(
          'ERR_LIMIT',
          `${path} has a row group with ${group.bytes(wanted)} bytes of text; the limit is ${MAX_ROW_GROUP_BYTES}.`,
          'Write it with smaller row groups.',
        );
      const rows = await file.rows(wanted, group.rowStart, group.rowEnd);
      for (const [i, row] of rows.entries()) yield { number: group.rowStart + i + 1, row };
    }
  } finally {
    await file.close();
  }
}

function expectColumn(place: TextPlace, names: readonly string[], wanted: string | undefined): void {
  const found = names.filter((name) => (wanted === undefined ? TEXT_FIELDS.includes(name) : name === wanted));
  const twice = found.find((name, i) => found.indexOf(name) < i);
  if (twice !== undefined)
    throw new MonosemeError(
      'ERR_FORMAT',
      `${placeName(place)} has two columns "${twice}".`,
      'Give them different names.',
    );
  if (found.length > 0) return;
  const shown = names.slice(0, 12).map((name) => JSON.stringify(name.slice(0, 40)));
  throw new MonosemeError(
    'ERR_FORMAT',
    `${placeName(place)} has no column "${wanted ?? TEXT_FIELDS[0]}"; it has ${shown.join(', ')}${names.length > 12 ? ', …' : ''}.`,
    'Name the column of the text with --text-column.',
  );
}
