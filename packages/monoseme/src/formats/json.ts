import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { fileError, MonosemeError } from '../errors.ts';
import { atomicWrite } from './atomic-write.ts';
import { LIMITS } from './limits.ts';

/**
 * Parse JSON from outside: UTF-8 without errors, nesting within the limit, no key twice in one object
 * (readers differ on which one counts, so a file with both can show different things to different programs).
 *
 * @param what what the text is, for the error, as in `the header of weights.safetensors`
 * @throws {MonosemeError} ERR_FORMAT
 */
export function parseJson(bytes: Uint8Array, what: string): unknown {
  const fail = (reason: string) =>
    new MonosemeError('ERR_FORMAT', `${what} is not valid JSON: ${reason}.`, 'Make the file again.');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw fail('it is not UTF-8');
  }
  const problem = scan(text);
  if (problem !== undefined) throw fail(problem);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw fail((error as Error).message.split('\n')[0].slice(0, 120));
  }
}

/**
 * Nesting and doubled keys, which JSON.parse does not check. Text that is not JSON is left for it to reject.
 */
function scan(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = [];
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === '{' || character === '[') {
      if (open.length === LIMITS.jsonDepth) return `it is nested deeper than ${LIMITS.jsonDepth} levels`;
      open.push(character === '{' ? new Set() : undefined);
    } else if (character === '}' || character === ']') {
      open.pop();
    } else if (character === '"') {
      const end = endOfString(text, i);
      const keys = open.at(-1);
      if (keys && isKey(text, end)) {
        const key = text.slice(i, end);
        const name = key.includes('\\') ? unescape(key) : key.slice(1, -1);
        if (keys.has(name)) return `the key "${name.slice(0, 80)}" is there twice`;
        keys.add(name);
      }
      i = end - 1;
    }
  }
  return undefined;
}

function endOfString(text: string, start: number): number {
  let i = start + 1;
  while (i < text.length && text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
  return i + 1;
}

function isKey(text: string, after: number): boolean {
  let i = after;
  while (text[i] === ' ' || text[i] === '\n' || text[i] === '\r' || text[i] === '\t') i++;
  return text[i] === ':';
}

function unescape(literal: string): string {
  try {
    return JSON.parse(literal);
  } catch {
    return literal;
  }
}

/**
 * Read and parse a JSON file of at most `limitBytes` bytes.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FILE, ERR_LIMIT (before reading), ERR_FORMAT
 */
export async function readJson(path: string, limitBytes: number = LIMITS.jsonBytes): Promise<unknown> {
  return parseJson(await readLimited(path, limitBytes), path);
}

/**
 * Read a whole file of at most `limitBytes` bytes.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FILE, ERR_LIMIT (before reading)
 */
export async function readLimited(path: string, limitBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    const { size } = await file.stat();
    if (size > limitBytes) throw tooLarge(path, size, limitBytes);
    const bytes = new Uint8Array(size);
    return bytes.subarray(0, await readAt(file, bytes, 0));
  } catch (error) {
    throw fileError(error, `read ${path}`);
  } finally {
    await file?.close();
  }
}

/**
 * Fill `bytes` from a place in the file. Returns how many there were: fewer only where the file ends before.
 */
export async function readAt(file: FileHandle, bytes: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < bytes.byteLength) {
    const length = Math.min(bytes.byteLength - done, 2 ** 30);
    const { bytesRead } = await file.read(bytes, done, length, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

function tooLarge(path: string, size: number, limit: number): MonosemeError {
  return new MonosemeError(
    'ERR_LIMIT',
    `${path} has ${size} bytes, more than the ${limit} that are read.`,
    'Check that it is the right file.',
  );
}

/**
 * Write a value as JSON, indented by two spaces, with a final line break. Atomic (see {@link atomicWrite}).
 */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await atomicWrite(path, `${JSON.stringify(value, null, 2)}\n`);
}
