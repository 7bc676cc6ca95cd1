import { IndexError } from './index-error.ts';
import { request } from './remote-file.ts';

/** The version of the index that this page reads (docs/feature-index.md). */
const INDEX_VERSION = 3;

/** What the page uses of the manifest's `details`. */
export interface Manifest {
  /** Hash of the dictionary, by which notes about it are kept; empty in an index that does not say. */
  readonly dictionaryHash: string;
  readonly dictionary: {
    readonly architecture: string;
    readonly d_in: number;
    readonly d_sae: number;
    readonly hook_name: string;
    readonly model_name: string;
  };
  /** Which export of others the index was made of; not there in one made from a dictionary. */
  readonly imported_from?: 'saedashboard' | 'neuronpedia';
  readonly evaluation: Readonly<Record<string, number>>;
  readonly corpus: {
    readonly n_tokens: number;
    readonly n_contexts: number;
    readonly context_size: number;
    readonly n_documents: number;
    readonly token_bytes: 2 | 4;
    readonly vocab_size: number;
    readonly sources: Readonly<Record<string, number>>;
  };
  readonly examples: { readonly n_intervals: number; readonly window_radius: number };
  readonly histogram: { readonly linear_bins: number; readonly log_edges: readonly number[] };
  /** Tokens, and firings of a feature among them, that co-activation looks at; imports have none. */
  readonly co_activation?: { readonly n_tokens: number; readonly n_firings?: number };
  /** Causal effects of the examples; null in an index without. */
  readonly effects: { readonly n_rows: number } | null;
  readonly logits: { readonly bins: number; readonly n_tokens: number } | null;
  /** Not there in an index to which none were added. */
  readonly explanations?: { readonly path: string; readonly n_rows: number };
  readonly latents_per_part: number;
  readonly latents_per_row_group: number;
  readonly files: readonly { readonly path: string; readonly bytes: number; readonly sha256?: string }[];
}

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
  const details = json.details as unknown as Manifest;
  const { dictionary, corpus, files, latents_per_part } = details;
  if (!dictionary?.d_sae || !corpus?.context_size || !Array.isArray(files) || !latents_per_part)
    throw new IndexError(
      'The manifest is incomplete',
      'It lacks the sizes of the dictionary or the list of files.',
      'Build the index again.',
    );
  return { ...details, dictionaryHash: String(json.made_from?.['dictionary'] ?? '') };
}
