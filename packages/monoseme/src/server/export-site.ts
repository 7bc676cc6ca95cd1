import { createReadStream } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { Readable } from 'node:stream';
import { type Collection, pairsOfSite } from '../collection/index.ts';
import { fileError } from '../errors.ts';
import { openFeatureIndex } from '../features/index.ts';
import { makeEmptyFolder, writeZip } from '../formats/index.ts';
import { BUILT_PAGE, expectPage } from './built-page.ts';

/** A file of the site: its path there, and where it comes from: another file, or bytes that are made for it. */
interface SiteFile {
  readonly path: string;
  readonly from: string | (() => Promise<Uint8Array>);
}

/**
 * Write the page and an index, or a collection with its matches, as a folder that works on any static host, also without range requests; as one archive of
 * that folder when the name ends in `.zip`.
 *
 * @param out a folder that does not exist, or is empty; a file is replaced
 * @throws {MonosemeError} what `openFeatureIndex` throws; ERR_NOT_FOUND without the built page; ERR_EXISTS, ERR_FILE,
 * ERR_LIMIT for an archive past 4 GiB
 */
export async function exportSite(
  index: string | Collection,
  out: string,
  page = BUILT_PAGE,
): Promise<{ files: number }> {
  const ofIndex =
    typeof index === 'string' ? await filesOfIndex(index, 'index') : await filesOfCollection(index);
  await expectPage(page);
  const files = [...(await filesOf(page)), ...ofIndex];
  if (out.endsWith('.zip'))
    await writeZip(
      out,
      files.map(({ path, from }) => ({ name: path, content: () => contentOf(from) })),
    );
  else await writeFolder(resolve(out), files);
  return { files: files.length };
}

async function filesOfIndex(folder: string, at: string): Promise<SiteFile[]> {
  const { details } = await openFeatureIndex(folder);
  const paths = ['manifest.json', ...details.files.map(({ path }) => path)];
  return paths.map((path) => ({ path: `${at}/${path}`, from: join(folder, path) }));
}

async function filesOfCollection(collection: Collection): Promise<SiteFile[]> {
  const { members, manifest } = collection;
  const matches = pairsOfSite(manifest.details);
  const written = { ...manifest, details: { ...manifest.details, matches } };
  const files: SiteFile[] = [
    { path: 'index/manifest.json', from: async () => Buffer.from(`${JSON.stringify(written, null, 2)}\n`) },
  ];
  for (const [place, { name, index }] of members.entries())
    if (index !== undefined && manifest.details.members[place].indexed)
      files.push(...(await filesOfIndex(index, `index/${name}`)));
  const matched = [
    ...matches.map((pair) => collection.matchesFile(pair)),
    ...(manifest.details.correlations ?? []).map((pair) => collection.matchesFile(pair, 'activation')),
  ];
  for (const file of matched)
    files.push({ path: `index/matches/${file}`, from: () => collection.matches(file) });
  return files;
}

/** A file as it is read, or bytes once they are made. */
function contentOf(from: SiteFile['from']): Readable {
  if (typeof from === 'string') return createReadStream(from);
  return Readable.from(
    (async function* () {
      yield await from();
    })(),
  );
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
      if (typeof from === 'string') await copyFile(from, to);
      else await writeFile(to, await from());
    }
    await rm(target, { recursive: true, force: true });
    await rename(partial, target);
  } catch (error) {
    if (partial) await rm(partial, { recursive: true, force: true });
    throw fileError(error, `write ${target}`);
  }
}
