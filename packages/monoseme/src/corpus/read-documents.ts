import { basename } from 'node:path';
import { MonosemeError } from '../errors.ts';
import { placeName, STDIN, type TextPlace } from './byte-stream.ts';
import { cutPoint, type Document, MAX_PIECE_LENGTH, toDocuments } from './document.ts';
import { readRecords, type TextRecord } from './records.ts';
import { endingOf, type TextFormat } from './text-format.ts';
import { readTextStream, type TextCounts } from './text-stream.ts';

export interface ReadOptions {
  /** The field or column that holds the text. Default: `text`. */
  readonly textField?: string;
  readonly counts?: TextCounts;
}

/**
 * Documents of one file or of the standard input, as they are read: memory does not grow with its length.
 *
 * A text is a document with the id given, or its pieces as {@link toDocuments} cuts them. A record is one with its
 * field `id` as id when it has one, else `<file name>:<line or row>`; its field `source`, else the file name, is its
 * source.
 *
 * @throws {MonosemeError} as {@link readRecords} and {@link readTextStream}; ERR_FORMAT for a record without text
 */
export async function* readDocuments(
  place: TextPlace,
  id: string,
  format: TextFormat,
  options: ReadOptions = {},
): AsyncGenerator<Document> {
  const { textField = 'text', counts } = options;
  if (format === 'text') return yield* textDocuments(place, id, counts);
  const name = place === STDIN ? 'stdin' : basename(place);
  const unit = format === 'jsonl' ? 'line' : 'row';
  for await (const record of readRecords(place, format, { textField, counts })) {
    const where = `${placeName(place)} ${unit} ${record.number}`;
    yield* recordDocuments(record, name, textField, where);
  }
}

async function* textDocuments(
  place: TextPlace,
  id: string,
  counts: TextCounts | undefined,
): AsyncGenerator<Document> {
  const source = (place !== STDIN && endingOf(place)) || 'text';
  let rest = '';
  let nPieces = 0;
  const pieceId = () => `${id}#${nPieces++}`;
  for await (const text of readTextStream(place, counts)) {
    rest += text;
    let start = 0;
    while (rest.length - start > MAX_PIECE_LENGTH) {
      const end = cutPoint(rest, start, start + MAX_PIECE_LENGTH);
      yield* notBlank({ id: pieceId(), source, text: rest.slice(start, end) });
      start = end;
    }
    rest = rest.slice(start);
  }
  yield* notBlank({ id: nPieces > 0 ? pieceId() : id, source, text: rest });
}

function* notBlank(document: Document): Generator<Document> {
  if (document.text.trim() !== '') yield document;
}

function recordDocuments(
  { number, row }: TextRecord,
  name: string,
  textField: string,
  where: string,
): Document[] {
  const text = row[textField];
  if (typeof text !== 'string')
    throw new MonosemeError(
      'ERR_FORMAT',
      `${where} has no text under "${textField}".`,
      'Name the field that holds the text with --text-column.',
    );
  const { id, source } = row;
  const isId = typeof id === 'string' || typeof id === 'number' || typeof id === 'bigint';
  return toDocuments(
    typeof source === 'string' ? source : name,
    isId && id !== '' ? `${id}` : `${name}:${number}`,
    text,
  );
}
