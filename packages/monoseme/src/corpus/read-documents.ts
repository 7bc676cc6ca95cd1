import { basename } from 'node:path';
import { MonosemeError } from '../errors.ts';
import { placeName, STDIN, type TextPlace } from './byte-stream.ts';
import type { ChatTemplate, RenderedChat } from './chat-template.ts';
import { cutPoint, type Document, MAX_PIECE_LENGTH, toDocuments } from './document.ts';
import { type Message, messagesOf } from './messages.ts';
import { readRecords, TEXT_FIELDS, type TextRecord } from './records.ts';
import { endingOf, type TextFormat } from './text-format.ts';
import { readTextStream, type TextCounts } from './text-stream.ts';

export interface ReadOptions {
  /** The field or column that holds the text or the conversation. Default: `text`, `messages` or `conversations`. */
  readonly textField?: string;
  /** The template for conversations, asked for when there is one. */
  readonly chatTemplate?: () => ChatTemplate;
  readonly counts?: TextCounts;
}

/**
 * Documents of one file or of the standard input, as they are read: memory does not grow with its length.
 *
 * A text is a document with the id given, or its pieces as {@link toDocuments} cuts them. A record is one with its
 * field `id` as id when it has one, else `<file name>:<line or row>`; its field `source`, else the file name, is its
 * source. A conversation, a list of messages ({@link messagesOf}), becomes the text that the chat template makes of it, with
 * its roles.
 *
 * @throws {MonosemeError} as {@link readRecords} and {@link readTextStream}; ERR_FORMAT for a record without text;
 *   ERR_CHAT_TEMPLATE for a conversation without a template, or that it refuses
 */
export async function* readDocuments(
  place: TextPlace,
  id: string,
  format: TextFormat,
  options: ReadOptions = {},
): AsyncGenerator<Document> {
  const { textField, counts } = options;
  if (format === 'text') return yield* textDocuments(place, id, counts);
  const name = place === STDIN ? 'stdin' : basename(place);
  const unit = format === 'jsonl' ? 'line' : 'row';
  for await (const record of readRecords(place, format, { textField, counts })) {
    const where = `${placeName(place)} ${unit} ${record.number}`;
    yield* recordDocuments(record, name, where, options);
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
  where: string,
  options: ReadOptions,
): Document[] {
  const { text, roles } = textOf(row, where, options);
  const { id, source } = row;
  const isId = typeof id === 'string' || typeof id === 'number' || typeof id === 'bigint';
  return toDocuments(
    typeof source === 'string' ? source : name,
    isId && id !== '' ? `${id}` : `${name}:${number}`,
    text,
    roles,
  );
}

function textOf(
  row: TextRecord['row'],
  where: string,
  { textField, chatTemplate }: ReadOptions,
): { text: string; roles?: RenderedChat['roles'] } {
  const field = textField ?? TEXT_FIELDS.find((name) => Object.hasOwn(row, name)) ?? TEXT_FIELDS[0];
  const value = row[field];
  if (typeof value === 'string') return { text: value };
  const messages = messagesOf(value);
  if (!messages)
    throw new MonosemeError(
      'ERR_FORMAT',
      `${where} has no text under "${field}".`,
      'Name the field that holds the text with --text-column.',
    );
  if (!chatTemplate)
    throw new MonosemeError(
      'ERR_CHAT_TEMPLATE',
      `${where} is a conversation, and there is no chat template.`,
      'Name one with --chat-template FILE.',
    );
  return renderedAt(where, chatTemplate(), messages);
}

function renderedAt(where: string, template: ChatTemplate, messages: Message[]): RenderedChat {
  try {
    return template.render(messages);
  } catch (error) {
    if (!(error instanceof MonosemeError)) throw error;
    throw new MonosemeError(error.code, `${where}: ${error.what}`, error.advice, { cause: error });
  }
}
