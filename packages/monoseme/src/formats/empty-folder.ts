import { mkdir, readdir } from 'node:fs/promises';
import { fileError, MonosemeError } from '../errors.ts';

/**
 * Make a folder that is missing; one that is there must be empty.
 *
 * @throws {MonosemeError} ERR_EXISTS, ERR_FILE, ERR_DISK_FULL
 */
export async function makeEmptyFolder(path: string): Promise<void> {
  const existing = await readdir(path).catch(() => []);
  if (existing.length > 0)
    throw new MonosemeError(
      'ERR_EXISTS',
      `${path} holds something else.`,
      'Choose another folder, or empty it.',
    );
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    throw fileError(error, `write ${path}`);
  }
}
