import { readdirSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { MonosemeError, fileError } from '../errors.ts';
import type { Document } from './document.ts';
import { compileGlob, isGlob, staticPrefix } from './glob.ts';
import { readDocuments, type ReadOptions } from './read-documents.ts';
import { formatOf, isTextFile, type TextFormat } from './text-format.ts';

/** More is a mistake (a whole disk) rather than a corpus of this form. */
const MAX_FILES = 100_000;

export interface FileOptions extends ReadOptions {
  /** Folder that relative paths start from. Default: the working directory. */
  readonly cwd?: string;
  /** How documents lie in the files. Default: as their names say. */
  readonly format?: TextFormat;
}

/**
 * Documents of a file, a folder (its text files, at any depth) or a glob (`*`, `**`, `?`, `{a,b}`), as they are read.
 * A file of JSONL, CSV, TSV or Parquet gives a document a record, any other one document; gzip and zstd files are
 * decompressed. Order is by path; ids are paths relative to the folder, to the fixed part of the glob or to the file's
 * own folder, with forward slashes, so that they do not change with the working directory. Hidden entries,
 * `node_modules` and symbolic links inside folders are passed over, and so are CSV and TSV files in a folder unless
 * `textField` is given.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND when nothing matches, ERR_LIMIT (over 100,000 files), and what reading throws
 */
export async function* readFiles(pattern: string, options: FileOptions = {}): AsyncGenerator<Document> {
  const { base, files } = findFiles(pattern, options);
  for (const file of files) {
    const id = relative(base, file).split(sep).join('/');
    yield* readDocuments(file, id, options.format ?? formatOf(file), options);
  }
}

function findFiles(
  pattern: string,
  { cwd = process.cwd(), textField }: FileOptions,
): { base: string; files: string[] } {
  if (!isGlob(pattern)) {
    const path = resolve(cwd, pattern);
    if (isFolder(path))
      return {
        base: path,
        files: notNone(
          pattern,
          [...walk(path)].filter((file) => isTextFile(file, textField !== undefined)),
        ),
      };
    return { base: dirname(path), files: [path] };
  }
  const base = resolve(cwd, staticPrefix(pattern));
  const matches = compileGlob(pattern.slice(staticPrefix(pattern).length));
  const found = [...walk(base)].filter((file) => matches.test(relative(base, file).split(sep).join('/')));
  return { base, files: notNone(pattern, found) };
}

function* walk(root: string): Generator<string> {
  let count = 0;
  const folders = [root];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const inner: string[] = [];
    for (const entry of entriesOf(folder)) {
      if (entry.name.startsWith('.') || entry.name === 'node_modules') continue;
      if (entry.isDirectory()) inner.push(join(folder, entry.name));
      if (!entry.isFile()) continue;
      if (++count > MAX_FILES) {
        throw new MonosemeError(
          'ERR_LIMIT',
          `${root} holds more than ${MAX_FILES} files.`,
          'Name a smaller folder, or collect the texts in a JSONL file.',
        );
      }
      yield join(folder, entry.name);
    }
    folders.push(...inner.reverse());
  }
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    throw fileError(error, `read the folder ${folder}`);
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    throw fileError(error, `read ${path}`);
  }
}

function notNone(pattern: string, files: string[]): string[] {
  if (files.length > 0) return files;
  throw new MonosemeError('ERR_NOT_FOUND', `No text file matches ${pattern}.`, 'Check the path.');
}
