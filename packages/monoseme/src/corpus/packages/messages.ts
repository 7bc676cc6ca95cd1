import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Document } from '../document.ts';
import { toDocuments } from '../document.ts';
import { readText } from '../read-text.ts';
import { findPackage, sortedNames } from './find-package.ts';

/** The TypeScript compiler's diagnostic messages in thirteen languages, as the JSON files they are. */
export function messages(root?: string): Document[] {
  const folder = join(findPackage('typescript', root), 'lib');
  return sortedNames(folder).flatMap((language) => {
    const file = join(folder, language, 'diagnosticMessages.generated.json');
    return existsSync(file) ? toDocuments('messages', `messages/${language}`, readText(file)) : [];
  });
}
