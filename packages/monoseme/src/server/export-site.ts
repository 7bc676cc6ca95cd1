import { copyFile, cp, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileError, MonosemeError } from '../errors.ts';
import { openFeatureIndex } from '../features/index.ts';
import { BUILT_PAGE, expectPage } from './built-page.ts';

/**
 * Write the page and an index as a folder that works on any static host, also without range requests.
 *
 * @param out a folder that does not exist, or is empty
 * @throws {MonosemeError} what `openFeatureIndex` throws; ERR_NOT_FOUND without the built page; ERR_EXISTS, ERR_FILE
 */
export async function exportSite(index: string, out: string, page = BUILT_PAGE): Promise<{ files: number }> {
  const { details } = await openFeatureIndex(index);
  await expectPage(page);
  const target = resolve(out);
  const existing = await readdir(target).catch(() => []);
  if (existing.length > 0)
    throw new MonosemeError(
      'ERR_EXISTS',
      `${out} holds something else.`,
      'Choose another folder, or empty it.',
    );
  const files = ['manifest.json', ...details.files.map(({ path }) => path)];
  let partial: string | undefined;
  try {
    await mkdir(dirname(target), { recursive: true });
    partial = await mkdtemp(`${target}.partial-`);
    await cp(page, partial, { recursive: true });
    for (const path of files) {
      const to = join(partial, 'index', path);
      await mkdir(dirname(to), { recursive: true });
      await copyFile(join(index, path), to);
    }
    await rm(target, { recursive: true, force: true });
    await rename(partial, target);
  } catch (error) {
    if (partial) await rm(partial, { recursive: true, force: true });
    throw fileError(error, `write ${out}`);
  }
  return { files: files.length };
}
