import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { fileError } from '../errors.ts';

/**
 * SHA-256 of bytes and UTF-8 strings, one after the other, as 64 hexadecimal digits. Arrays too large to be held at once come
 * in pieces.
 */
export function sha256(...parts: (Uint8Array | string | Iterable<NodeJS.TypedArray>)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    if (typeof part === 'string' || part instanceof Uint8Array) hash.update(part);
    else for (const piece of part) hash.update(piece);
  }
  return hash.digest('hex');
}

/** SHA-256 of a file, read as a stream. @throws {MonosemeError} ERR_NOT_FOUND, ERR_FILE */
export async function sha256File(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(chunk);
  } catch (error) {
    throw fileError(error, `read ${path}`);
  }
  return hash.digest('hex');
}
