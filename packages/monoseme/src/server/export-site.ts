import { createReadStream } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileError } from '../errors.ts';
import { openFeatureIndex } from '../features/index.ts';
import { makeEmptyFolder, writeZip } from '../formats/index.ts';
import { BUILT_PAGE, expectPage } from './built-page.ts';

/** A file of the site: its path there, and where it comes from. */
interface SiteFile {
  readonly path: string;
  readonly from: string;
}

/**
 * Write the page and an index as a folder that works on any static host, also without range requests; as one archive of
 * that folder when the name ends in `.zip`.
 *
 * @param out a folder that does not exist, or is empty; a file is replaced
 * @throws {MonosemeError} what `openFeatureIndex` throws; ERR_NOT_FOUND without the built page; ERR_EXISTS, ERR_FILE,
 * ERR_LIMIT for an archive past 4 GiB
 */
export async function exportSite(index: string, out: string, page = BUILT_PAGE): Promise<{ files: number }> {
  const { details } = await openFeatureIndex(index);
  await expectPage(page);
  const ofIndex = ['manifest.json', ...details.files.map(({ path }) => path)];
  const files = [
    ...(await filesOf(page)),
    ...ofIndex.map((path) => ({ path: `index/${path}`, from: join(index, path) })),
  ];
  if (out.endsWith('.zip'))
    await writeZip(
      out,
      files.map(({ path, from }) => ({ name: path, content: () => createReadStream(from) })),
    );
  else await writeFolder(resolve(out), files);
  return { files: files.length };
}

/** All files under a folder, in order of their paths. */
async function filesOf(folder: string): Promise<SiteFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return files.sort().map((from) => ({ path: relative(folder, from).replaceAll(sep, '/'), from }));
}

async function writeFolder(target: string, files: readonly SiteFile[]): Promise<void> {
  await makeEmptyFolder(target);
  let partial: string | undefined;
  try {
    partial = await mkdtemp(`${target}.partial-`);
    for (const { path, from } of files) {
      const to = join(partial, path);
      await mkdir(dirname(to), { recursive: true });
      await copyFile(from, to);
    }
    await rm(target, { recursive: true, force: true });
    await rename(partial, target);
  } catch (error) {
    if (partial) await rm(partial, { recursive: true, force: true });
    throw fileError(error, `write ${target}`);
  }
}
