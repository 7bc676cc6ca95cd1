import { closeSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, basename } from 'node:path';
import { MonosemeError, fileError } from '../errors.ts';
import type { Document } from './document.ts';
import { toDocuments } from './document.ts';
import { readText } from './read-text.ts';

/**
 * Read a JSONL file: one object a line, with the text under `textField`. The id is the object's `id` when it
 * has one, else `<file name>:<line>`; the source its `source`, else the file name. Blank lines are skipped.
 *
 * @throws {MonosemeError} ERR_FORMAT naming the line, and whatever reading the file throws
 */
export function readJsonl(file: string, textField: string = 'text'): Document[] {
  const name = basename(file);
  return readText(file)
    .split('\n')
    .flatMap((line, i) => {
      if (line.trim() === '') return [];
      const row = parseRow(line, textField, `${file} line ${i + 1}`);
      const id = typeof row.id === 'string' || typeof row.id === 'number' ? `${row.id}` : `${name}:${i + 1}`;
      return toDocuments(typeof row.source === 'string' ? row.source : name, id, row[textField] as string);
    });
}

function parseRow(line: string, textField: string, where: string): Record<string, unknown> {
  let row: unknown;
  try {
    row = JSON.parse(line);
  } catch (cause) {
    throw new MonosemeError('ERR_FORMAT', `${where} is not JSON.`, 'JSONL has one object on each line.', {
      cause,
    });
  }
  if (typeof (row as Record<string, unknown> | null)?.[textField] === 'string') {
    return row as Record<string, unknown>;
  }
  throw new MonosemeError(
    'ERR_FORMAT',
    `${where} has no text under "${textField}".`,
    'Name the field that holds the text.',
  );
}

/** Write documents as JSONL, one `{id, source, text}` a line. Replaces the file, complete or not at all. */
export function writeJsonl(documents: readonly Document[], file: string): void {
  const partial = `${file}.partial`;
  try {
    mkdirSync(dirname(file), { recursive: true });
    const handle = openSync(partial, 'w');
    try {
      for (const { id, source, text } of documents) {
        writeAll(handle, Buffer.from(`${JSON.stringify({ id, source, text })}\n`));
      }
    } finally {
      closeSync(handle);
    }
    renameSync(partial, file);
  } catch (error) {
    rmSync(partial, { force: true });
    throw fileError(error, `write ${file}`);
  }
}

function writeAll(handle: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length;) done += writeSync(handle, bytes, done);
}
