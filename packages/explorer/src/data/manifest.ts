import type { IndexDetails } from 'monoseme/features';
import { IndexError } from './index-error.ts';
import { request } from './remote-file.ts';

/** The version of the index that this page reads (docs/feature-index.md). */
const INDEX_VERSION = 3;

/** The manifest's `details`. */
export type Manifest = IndexDetails & {
  /** Hash of the dictionary, by which notes about it are kept; empty in an index that does not say. */
  readonly dictionaryHash: string;
};

/** A manifest as it stands on the host, not looked into. */
export interface ManifestJson {
  readonly kind?: unknown;
  readonly made_from?: Record<string, unknown>;
  readonly details?: Record<string, unknown>;
}

/** The manifest of a folder; undefined where the file is no JSON object. */
export async function fetchManifest(base: URL): Promise<ManifestJson | undefined> {
  const url = new URL('manifest.json', base);
  const response = await request(url).catch((error: unknown) => {
    if (error instanceof IndexError && error.title === 'A file of the index is missing')
      throw new IndexError(
        'There is no feature index here',
        `${url.pathname} does not exist.`,
        'Build one with `monoseme index`, then open it with `monoseme explore`, or put its folder beside this page under the name "index".',
      );
    throw error;
  });
  const json = (await response.json().catch(() => undefined)) as unknown;
  return typeof json === 'object' && json !== null ? json : undefined;
}

/** What the page reads from an index's manifest. */
export function indexManifest(base: URL, json: ManifestJson | undefined): Manifest {
  const url = new URL('manifest.json', base);
  const version = json?.details?.index_version;
  if (json?.kind !== 'feature-index' || json.details === undefined)
    throw new IndexError(
      'This is not a feature index',
      `${url.pathname} describes ${typeof json?.kind === 'string' ? `a ${json.kind}` : 'something else'}.`,
      'Point the page at a folder that `monoseme index` wrote.',
    );
  if (version !== INDEX_VERSION)
    throw new IndexError(
      'The index is of another version',
      `It has version ${String(version)}; this page reads version ${INDEX_VERSION}.`,
      Number(version) > INDEX_VERSION
        ? 'Open it with a newer Monoseme.'
        : 'Build the index again with this version of Monoseme.',
    );
  const details = json.details as unknown as IndexDetails;
  const { dictionary, corpus, files, latents_per_part } = details;
  if (!dictionary?.d_sae || !corpus?.context_size || !Array.isArray(files) || !latents_per_part)
    throw new IndexError(
      'The manifest is incomplete',
      'It lacks the sizes of the dictionary or the list of files.',
      'Build the index again.',
    );
  return { ...details, dictionaryHash: String(json.made_from?.['dictionary'] ?? '') };
}
