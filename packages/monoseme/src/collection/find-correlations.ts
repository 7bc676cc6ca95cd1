import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { MonosemeError } from '../errors.ts';
import { readJson, readManifest } from '../formats/index.ts';
import { DEEPEST, type FoundMember, isPassedOver } from './find-members.ts';
import { packRows } from './matches.ts';

/** What `monoseme analyze universality` writes. */
const FILE = 'universality.json';
/** A million latents with a match each. */
const MAX_BYTES = 2 ** 26;

/** Two members whose latents were compared by what fires together. */
export interface FoundCorrelation {
  /** Places of the members. */
  readonly pair: readonly [from: number, to: number];
  readonly path: string;
}

/**
 * Analyses of universality in these folders and below them that compare two members, told by the hashes of their
 * dictionaries; of two of one pair the first by its path. What is no such analysis is passed over.
 */
export async function findCorrelations(
  folders: readonly string[],
  members: readonly FoundMember[],
): Promise<FoundCorrelation[]> {
  const paths = (await Promise.all(folders.map((folder) => filesBelow(folder, DEEPEST)))).flat();
  if (paths.length === 0) return [];
  const hashes = await Promise.all(members.map(dictionaryHash));
  const found = new Map<string, FoundCorrelation>();
  for (const path of [...new Set(paths)].sort()) {
    const made = (await readAnalysis(path).catch(() => undefined))?.made_from;
    const pair = [made?.['dictionary'], made?.['dictionary_2']].map((hash) =>
      hash === undefined ? -1 : hashes.indexOf(hash),
    ) as [number, number];
    const key = pair.join();
    if (pair.every((place) => place >= 0) && !found.has(key)) found.set(key, { pair, path });
  }
  return [...found.values()];
}

/**
 * The matches of an analysis as a flat file: one for each latent, with its correlation in place of a cosine.
 *
 * @param dSae latents of the first dictionary and of the second
 * @throws {MonosemeError} ERR_FORMAT for an analysis that does not fit them
 */
export async function packCorrelations(
  path: string,
  [fromSize, toSize]: readonly [number, number],
): Promise<Uint8Array<ArrayBuffer>> {
  const { latents } = await readAnalysis(path);
  const matches = latents?.matches;
  const fits = (match: unknown): match is Match =>
    match === null ||
    (Array.isArray(match) &&
      Number.isInteger(match[0]) &&
      match[0] >= 0 &&
      match[0] < toSize &&
      Number.isFinite(match[1]));
  if (!Array.isArray(matches) || matches.length !== fromSize || !matches.every(fits))
    throw new MonosemeError(
      'ERR_FORMAT',
      `${path} does not hold a match or null for each of ${fromSize} latents.`,
      'Run monoseme analyze universality again.',
    );
  return packRows((matches as Match[]).map((match) => (match === null ? [] : [match])));
}

type Match = readonly [latent: number, correlation: number] | null;

interface UniversalityFile {
  readonly made_from?: Readonly<Record<string, string>>;
  readonly latents?: { readonly matches?: unknown };
}

async function readAnalysis(path: string): Promise<UniversalityFile> {
  return ((await readJson(path, MAX_BYTES)) ?? {}) as UniversalityFile;
}

async function filesBelow(folder: string, depth: number): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const own = entries.some((entry) => entry.isFile() && entry.name === FILE) ? [join(folder, FILE)] : [];
  if (depth === 0) return own;
  const folders = entries.filter((entry) => entry.isDirectory() && !isPassedOver(entry.name));
  const below = await Promise.all(folders.map(({ name }) => filesBelow(join(folder, name), depth - 1)));
  return [...own, ...below.flat()];
}

async function dictionaryHash({ index }: FoundMember): Promise<string | undefined> {
  if (index === undefined) return undefined;
  return (await readManifest(index).catch(() => undefined))?.madeFrom['dictionary'];
}
