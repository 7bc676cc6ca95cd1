import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MonosemeError } from '../errors.ts';
import { readJson, writeJson } from './json.ts';

/** Version of the manifest's own form. It grows when a reader of the old form could misread the new one. */
const MANIFEST_SCHEMA_VERSION = 1;

/**
 * What an artifact is and what it was made from: `manifest.json` of its folder. It holds no time of day and
 * no path, so that the same inputs give the same bytes.
 */
export interface Manifest {
  /** The artifact, as in `activation-store`. */
  kind: string;
  /** SHA-256 of every input that decides the content, by role, as in `{ model: '…', tokens: '…' }`. */
  madeFrom: Record<string, string>;
  seed?: number;
  /** Versions of what made it; the toolkit's own is filled in. */
  versions?: Record<string, string>;
  /** Description of the kernel backend, where kernels took part. */
  backend?: string;
  /** Settings and figures of this kind of artifact. Keys in snake_case, as on disk. */
  details?: Record<string, unknown>;
}

/** Version of this toolkit, from its package.json. */
export const TOOLKIT_VERSION: string = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
).version;

/**
 * Write `manifest.json` into a folder, atomically. Write it last: its presence says that the artifact is
 * whole.
 */
export async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  const { kind, madeFrom, seed, versions, backend, details } = manifest;
  await writeJson(join(folder, 'manifest.json'), {
    schema_version: MANIFEST_SCHEMA_VERSION,
    kind,
    made_from: madeFrom,
    ...(seed === undefined ? {} : { seed }),
    versions: { monoseme: TOOLKIT_VERSION, ...versions },
    ...(backend === undefined ? {} : { backend }),
    ...(details === undefined ? {} : { details }),
  });
}

/**
 * Read and check `manifest.json` of a folder.
 *
 * @param kind when given, the artifact must be of this kind
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FILE, ERR_FORMAT; ERR_MISMATCH for another kind or a newer
 * schema
 */
export async function readManifest(
  folder: string,
  kind?: string,
): Promise<Required<Omit<Manifest, 'seed' | 'backend'>> & Manifest> {
  const path = join(folder, 'manifest.json');
  const json = (await readJson(path)) as Record<string, unknown> | null;
  const version = json?.schema_version;
  if (typeof version === 'number' && version > MANIFEST_SCHEMA_VERSION)
    throw new MonosemeError(
      'ERR_MISMATCH',
      `${path} has schema version ${version}; this version reads up to ${MANIFEST_SCHEMA_VERSION}.`,
      'Update monoseme.',
    );
  const manifest = {
    kind: json?.kind,
    madeFrom: json?.made_from,
    seed: json?.seed,
    versions: json?.versions ?? {},
    backend: json?.backend,
    details: json?.details ?? {},
  };
  const sound =
    Number.isSafeInteger(version) &&
    typeof manifest.kind === 'string' &&
    isTable(manifest.madeFrom, 'string') &&
    isTable(manifest.versions, 'string') &&
    isTable(manifest.details) &&
    (manifest.seed === undefined || Number.isSafeInteger(manifest.seed)) &&
    (manifest.backend === undefined || typeof manifest.backend === 'string');
  if (!sound)
    throw new MonosemeError(
      'ERR_FORMAT',
      `${path} is not a manifest of monoseme.`,
      'Make the artifact again.',
    );
  if (kind !== undefined && manifest.kind !== kind)
    throw new MonosemeError(
      'ERR_MISMATCH',
      `${folder} holds a ${String(manifest.kind)}, not a ${kind}.`,
      'Check the path.',
    );
  return manifest as Awaited<ReturnType<typeof readManifest>>;
}

function isTable(value: unknown, type?: string): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return type === undefined || Object.values(value).every((entry) => typeof entry === type);
}
