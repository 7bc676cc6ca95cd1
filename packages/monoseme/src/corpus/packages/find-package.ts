import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MonosemeError } from '../../errors.ts';

/** Where the search for packages starts unless told otherwise: this toolkit's own place on disk. */
export const PACKAGE_ROOT = dirname(fileURLToPath(import.meta.url));

/**
 * The folder of an installed npm package: the first `node_modules/<name>` in `root` or a folder above it.
 * Packages are read as data; no code of theirs runs.
 *
 * @throws {MonosemeError} ERR_OPTION for a name no package can have, ERR_NOT_FOUND when it is not installed
 */
export function findPackage(name: string, root: string = PACKAGE_ROOT): string {
  if (!/^(@[a-z0-9~-][\w.~-]*\/)?[a-z0-9~-][\w.~-]*$/i.test(name)) {
    throw new MonosemeError('ERR_OPTION', `"${name}" is not a package name.`, 'Write it as npm does.');
  }
  for (let folder = root; ; folder = dirname(folder)) {
    const found = join(folder, 'node_modules', name);
    if (existsSync(join(found, 'package.json'))) return found;
    if (folder === dirname(folder)) break;
  }
  throw new MonosemeError(
    'ERR_NOT_FOUND',
    `The package ${name} is not installed.`,
    `Run: npm install ${name}`,
  );
}

/** The names of a folder's entries in code-point order, which unlike a locale's is the same everywhere. */
export function sortedNames(folder: string): string[] {
  return readdirSync(folder).sort((a, b) => (a < b ? -1 : 1));
}
