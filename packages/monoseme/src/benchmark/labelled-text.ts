import { extname } from 'node:path';
import { parse } from 'csv-parse/sync';
import { readText } from '../corpus/index.ts';
import { MonosemeError } from '../errors.ts';
import { hashSeed } from '../random/index.ts';

/** A text with its labels, one for each field that was asked for. */
export interface LabelledText {
  readonly text: string;
  readonly labels: readonly string[];
  /** Texts of one document are all used for training or all for testing. */
  readonly document: string;
}

export interface LabelFields {
  /** The column or key of the text (`text`). */
  readonly textField?: string;
  /** Those of the labels (`label`). */
  readonly labelFields?: readonly string[];
}

/** One text in five is for testing, as in SAEBench's 4,000 and 1,000. */
const TEST_EVERY = 5;

/**
 * Read labelled text: JSONL (an object a line) or CSV (RFC 4180, the first line names the columns). Labels are strings,
 * numbers or booleans. A `document` field groups texts; without one a text is a document of its own. Rows with an empty
 * text are left out.
 *
 * @throws {MonosemeError} ERR_FORMAT naming the row, ERR_NOT_FOUND, ERR_FILE, ERR_LIMIT
 */
export function readLabelledText(file: string, fields: LabelFields = {}): LabelledText[] {
  const { textField = 'text', labelFields = ['label'] } = fields;
  return rowsOf(file).flatMap(({ row, where }) => {
    const text = fieldOf(row, textField, where);
    if (text.trim() === '') return [];
    const labels = labelFields.map((field) => fieldOf(row, field, where));
    const document = row['document'];
    return [{ text, labels, document: document === undefined ? text : String(document) }];
  });
}

interface Row {
  readonly row: Readonly<Record<string, unknown>>;
  readonly where: string;
}

function rowsOf(file: string): Row[] {
  const kind = extname(file).toLowerCase();
  if (kind === '.csv') return csvRows(file);
  if (kind === '.jsonl' || kind === '.ndjson') return jsonRows(file);
  throw new MonosemeError(
    'ERR_FORMAT',
    `${file} is neither .jsonl nor .csv.`,
    'Give labelled text as JSONL or CSV, with a text and a label in each row.',
  );
}

function jsonRows(file: string): Row[] {
  return readText(file)
    .split('\n')
    .flatMap((line, i) => {
      if (line.trim() === '') return [];
      const where = `${file} line ${i + 1}`;
      let row: unknown;
      try {
        row = JSON.parse(line);
      } catch (cause) {
        throw new MonosemeError('ERR_FORMAT', `${where} is not JSON.`, 'JSONL has one object on each line.', {
          cause,
        });
      }
      if (typeof row === 'object' && row !== null) return [{ row: row as Row['row'], where }];
      throw new MonosemeError('ERR_FORMAT', `${where} is not an object.`, 'Give a text and a label in each.');
    });
}

function csvRows(file: string): Row[] {
  try {
    const rows = parse<Record<string, string>>(readText(file), { columns: true, skip_empty_lines: true });
    return rows.map((row, i) => ({ row, where: `${file} row ${i + 1}` }));
  } catch (cause) {
    if (cause instanceof MonosemeError) throw cause;
    throw new MonosemeError(
      'ERR_FORMAT',
      `${file} is not CSV: ${(cause as Error).message}.`,
      'Quote fields that hold commas, quotes or line breaks.',
      { cause },
    );
  }
}

function fieldOf(row: Row['row'], field: string, where: string): string {
  const value = Object.hasOwn(row, field) ? row[field] : undefined;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return `${value}`;
  throw new MonosemeError(
    'ERR_FORMAT',
    `${where} has no "${field}".`,
    `It has ${Object.keys(row).slice(0, 8).join(', ') || 'nothing'}; name the fields of the text and of the labels.`,
  );
}

/** Whether a document is for testing: by its name and the seed alone, one in five. */
export function isTestDocument(document: string, seed: number): boolean {
  return hashSeed(seed, 'benchmark-split', document) % TEST_EVERY === 0;
}
