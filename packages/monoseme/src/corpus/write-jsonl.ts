import { closeSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileError } from '../errors.ts';
import type { Document } from './document.ts';

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
