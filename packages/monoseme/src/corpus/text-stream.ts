import { isUtf8 } from 'node:buffer';
import { MonosemeError } from '../errors.ts';
import { placeName, readBytes, type TextPlace } from './byte-stream.ts';

/** What reading came across. Counts only grow; one object may be given to many readers. */
export interface TextCounts {
  /** Broken UTF-8 sequences, each of which became U+FFFD. */
  brokenSequences: number;
  /** Documents left out because an earlier one has the same text. */
  duplicates: number;
}

/** Longer lines and records are no documents but a mistake; V8 also refuses strings of 2^29 code units. */
const MAX_RECORD_LENGTH = 2 ** 26;

/** The text of a file or of the standard input, as {@link decodeText} gives it. */
export function readTextStream(place: TextPlace, counts?: TextCounts): AsyncGenerator<string> {
  return decodeText(readBytes(place), placeName(place), counts);
}

/**
 * UTF-8 as text, in pieces cut anywhere between two characters. A byte-order mark at the start is dropped; a broken
 * sequence becomes U+FFFD, as the Encoding Standard says, and is counted.
 *
 * @throws {MonosemeError} ERR_FORMAT (a NUL byte: not text), and whatever reading the bytes throws
 */
export async function* decodeText(
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  name: string,
  counts?: TextCounts,
): AsyncGenerator<string> {
  let rest: Uint8Array = new Uint8Array(0);
  let isStart = true;
  const decode = (bytes: Uint8Array): string => {
    const text = new TextDecoder('utf-8', { ignoreBOM: !isStart }).decode(bytes);
    isStart = false;
    if (counts && !isUtf8(bytes)) counts.brokenSequences += occurrences(text, '\ufffd') - writtenOut(bytes);
    return text;
  };
  for await (const piece of pieces) {
    if (piece.includes(0))
      throw new MonosemeError('ERR_FORMAT', `${name} holds a NUL byte, so it is not text.`, 'Leave it out.');
    const bytes = rest.length > 0 ? Buffer.concat([rest, piece]) : piece;
    const end = lastCharacterEnd(bytes);
    rest = bytes.slice(end);
    if (end > 0) yield decode(bytes.subarray(0, end));
  }
  if (rest.length > 0) yield decode(rest);
}

/**
 * Lines of a text, with their numbers from 1, without their ends (LF or CRLF).
 *
 * @throws {MonosemeError} ERR_LIMIT for a line of more than 64 Mi code units, and what {@link readTextStream} throws
 */
export async function* readLines(
  place: TextPlace,
  counts?: TextCounts,
): AsyncGenerator<{ number: number; line: string }> {
  let rest = '';
  let number = 0;
  const whole = (line: string) => ({
    number: ++number,
    line: line.endsWith('\r') ? line.slice(0, -1) : line,
  });
  for await (const piece of readTextStream(place, counts)) {
    const lines = piece.split('\n');
    lines[0] = rest + lines[0];
    rest = lines.pop()!;
    for (const line of lines) yield whole(line);
    if (rest.length > MAX_RECORD_LENGTH) throw tooLong(place, number + 1);
  }
  if (rest !== '') yield whole(rest);
}

function tooLong(place: TextPlace, line: number): MonosemeError {
  return new MonosemeError(
    'ERR_LIMIT',
    `${placeName(place)} line ${line} has more than ${MAX_RECORD_LENGTH} characters.`,
    'Check that it has one record on each line.',
  );
}

/** Where the last whole character ends, when what follows may be the start of one. */
function lastCharacterEnd(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back];
    if (byte >= 0x80 && byte < 0xc0) continue;
    const length = byte < 0xc2 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : byte < 0xf5 ? 4 : 1;
    return length > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

function occurrences(text: string, character: string): number {
  let count = 0;
  for (let at = text.indexOf(character); at >= 0; at = text.indexOf(character, at + 1)) count++;
  return count;
}

/** U+FFFD that the bytes hold themselves. */
function writtenOut(bytes: Uint8Array): number {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let count = 0;
  for (let at = buffer.indexOf('\ufffd'); at >= 0; at = buffer.indexOf('\ufffd', at + 3)) count++;
  return count;
}
