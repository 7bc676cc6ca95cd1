import { MonosemeError } from '../errors.ts';
import { type HubOptions, listHubFiles, parseHubPath, resolveHubPath } from '../hub/index.ts';
import type { Document } from './document.ts';
import { type FileOptions, readFiles } from './files.ts';
import { compileGlob, isGlob, staticPrefix } from './glob.ts';
import { readDocuments } from './read-documents.ts';
import { formatOf, isTextFile } from './text-format.ts';

export interface HubTextOptions extends FileOptions {
  /** The hub to ask, how, and its cache. */
  readonly hub?: HubOptions;
}

/** Files of a data set that are about it. */
const ABOUT = /(^|\/)(\.[^/]*|README\.md|LICENSE(\.\w+)?|[^/]*\.py|dataset_infos?\.json)$/i;

/**
 * Documents of a data set on the hub, `hf:datasets/owner/name[/path][@revision]`: of a file, a folder or a glob in it.
 * Each file is downloaded when its turn comes, so that reading a part of a large data set downloads a part of it. In a
 * folder that has files of records (Parquet, JSONL; CSV and TSV with a `textField`) those alone are read.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND when nothing in it is text, and what {@link resolveHubPath} and reading throw
 */
export async function* readHubText(source: string, options: HubTextOptions = {}): AsyncGenerator<Document> {
  const { hub = {}, textField, format } = options;
  const spec = parseHubPath(source);
  const isPattern = isGlob(spec.path);
  const folder = isPattern ? staticPrefix(spec.path).slice(0, -1) : spec.path;
  const place = (path: string, revision: string) =>
    `hf:${spec.kind === 'datasets' ? 'datasets/' : ''}${spec.repo}${path && '/'}${path}@${revision}`;
  if (hub.offline ?? process.env['HF_HUB_OFFLINE'] === '1') {
    const local = await resolveHubPath(place(folder, spec.revision), hub);
    const pattern = isPattern ? `${local}/${spec.path.slice(staticPrefix(spec.path).length)}` : local;
    return yield* readFiles(pattern, options);
  }
  const { commit, isFolder, files } = await listHubFiles(place(folder, spec.revision), hub);
  const paths = files.map(({ path }) => path).sort();
  const wanted = isPattern
    ? paths.filter((path) => compileGlob(spec.path).test(path))
    : isFolder
      ? textFiles(paths, textField !== undefined)
      : paths;
  if (wanted.length === 0)
    throw new MonosemeError('ERR_NOT_FOUND', `${source} holds no text file.`, 'Name a file or folder in it.');
  for (const path of wanted) {
    const local = await resolveHubPath(place(path, commit), hub);
    yield* readDocuments(local, path, format ?? formatOf(path), options);
  }
}

function textFiles(paths: readonly string[], columnIsKnown: boolean): string[] {
  const texts = paths.filter((path) => isTextFile(path, columnIsKnown) && !ABOUT.test(path));
  const records = texts.filter((path) => formatOf(path) !== 'text');
  return records.length > 0 ? records : texts;
}
