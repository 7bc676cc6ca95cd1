import { mkdir, open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileError } from '../errors.ts';

/**
 * Write a file so that its name either holds all of the new content or what it held before.
 *
 * The content goes to `path.partial`, is flushed to the disk and then renamed, and the folder is flushed so that the
 * new name outlives a power cut too. When writing fails the partial file is removed and the old one stays. A leftover partial file of a killed process is overwritten. The
 * folder is made where it is missing.
 *
 * @param content the bytes, a string (UTF-8), or a function that writes to the open file
 * @throws {MonosemeError} ERR_DISK_FULL, ERR_FILE; an error thrown by the function passes through
 */
export async function atomicWrite(
  path: string,
  content: Uint8Array | string | ((file: FileHandle) => Promise<void>),
): Promise<void> {
  const partial = `${path}.partial`;
  let file: FileHandle | undefined;
  try {
    await mkdir(dirname(path), { recursive: true });
    file = await open(partial, 'w');
    if (typeof content === 'function') await content(file);
    else await writeAll(file, typeof content === 'string' ? new TextEncoder().encode(content) : content);
    await file.sync();
    await file.close();
    file = undefined;
    await rename(partial, path);
    await flushFolder(dirname(path));
  } catch (error) {
    await file?.close().catch(() => {});
    await rm(partial, { force: true }).catch(() => {});
    throw isSystemError(error) ? fileError(error, `write ${path}`) : error;
  }
}

/** Systems that cannot open a folder as a file (Windows) keep names by other means. */
async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

/**
 * One write call moves at most 2 GiB and may move less: repeat until all is written, where the file stands or from a
 * place on.
 */
export async function writeAll(file: FileHandle, bytes: Uint8Array, position?: number): Promise<void> {
  const most = 2 ** 30;
  for (let done = 0; done < bytes.byteLength;) {
    const length = Math.min(most, bytes.byteLength - done);
    const at = position === undefined ? null : position + done;
    const { bytesWritten } = await file.write(bytes, done, length, at);
    done += bytesWritten;
  }
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}
