import { readdir } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { weightsFile } from '../dictionary/index.ts';
import { readManifest } from '../formats/index.ts';
import { RESULT_FILE } from '../sweep/index.ts';

/** How far below a folder its members lie: `SWEEP/dictionaries/RUN/index`. */
export const DEEPEST = 4;
/** Folders of many files in which no index lies. */
const PASSED_OVER = new Set(['activations', 'training', 'node_modules', 'details', 'examples']);

/** Where a member of a collection lies. It has an index, or at least the figures of a finished run of a sweep. */
export interface FoundMember {
  /** Names its folder in addresses: letters, digits, `_`, `.` and `-`. Each name once. */
  readonly name: string;
  readonly index: string | undefined;
  readonly dictionary: string | undefined;
  /** Folder of a sweep's run, which holds its figures. */
  readonly run: string | undefined;
}

type Found = Omit<FoundMember, 'name'> & { readonly folder: string };

/**
 * The indexes of these folders, and of the folders below them; of a sweep also the runs that have no index yet. In the
 * order of the paths given, then of their names.
 */
export async function findMembers(paths: readonly string[]): Promise<FoundMember[]> {
  const found = (await Promise.all(paths.map((path) => membersBelow(resolve(path), DEEPEST)))).flat();
  const root = commonFolder(found.map(({ folder }) => folder));
  const taken = new Set(['matches']);
  return found.map(({ folder, ...member }) => ({
    name: freshName(relative(root, folder), taken),
    ...member,
  }));
}

async function membersBelow(folder: string, depth: number): Promise<Found[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const names = entries.map(({ name }) => name);
  if (names.includes('manifest.json') && (await isIndex(folder))) return [await memberOfIndex(folder)];
  const folders = entries.filter((entry) => entry.isDirectory() && !isPassedOver(entry.name));
  const below: Found[] = [];
  if (depth > 0)
    for (const name of folders.map((entry) => entry.name).sort(byNumbers))
      below.push(...(await membersBelow(join(folder, name), depth - 1)));
  if (below.length > 0 || !names.includes(RESULT_FILE)) return below;
  return [{ folder, index: undefined, dictionary: folder, run: folder }];
}

/** The folder that stands for an index is the one above it where that has nothing else to tell it by. */
async function memberOfIndex(index: string): Promise<Found> {
  const above = dirname(index);
  const run = (await readdir(above)).includes(RESULT_FILE) ? above : undefined;
  const folder = basename(index) === 'index' ? above : index;
  return { folder, index, dictionary: await dictionaryBeside(index), run };
}

/** The dictionary in whose folder an index lies, or that lies beside it. */
async function dictionaryBeside(index: string): Promise<string | undefined> {
  for (const path of [dirname(index), join(dirname(index), 'dictionary')]) {
    if (await weightsFile(path).catch(() => undefined)) return path;
  }
  return undefined;
}

async function isIndex(folder: string): Promise<boolean> {
  const manifest = await readManifest(folder).catch(() => undefined);
  return manifest?.kind === 'feature-index';
}

export function isPassedOver(name: string): boolean {
  return name.startsWith('.') || PASSED_OVER.has(name) || name.includes('.partial-');
}

function commonFolder(folders: readonly string[]): string {
  const parts = folders.map((folder) => dirname(folder).split(sep));
  let shared = 0;
  while (
    parts.length > 0 &&
    shared < parts[0].length &&
    parts.every((own) => own[shared] === parts[0][shared])
  )
    shared++;
  return parts.length === 0 ? '' : parts[0].slice(0, shared).join(sep) || sep;
}

function freshName(path: string, taken: Set<string>): string {
  const plain =
    path
      .replaceAll(sep, '-')
      .replace(/[^\w.-]+/g, '-')
      .replace(/^[^A-Za-z0-9_]+/, '') || 'index';
  let name = plain;
  for (let i = 2; taken.has(name); i++) name = `${plain}-${i}`;
  taken.add(name);
  return name;
}

function byNumbers(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}
