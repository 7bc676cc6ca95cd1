import { Corpus } from './corpus.ts';
import { IndexError } from './index-error.ts';
import { type Manifest, readManifest } from './manifest.ts';
import { RemoteFile, request } from './remote-file.ts';
import { Table } from './table.ts';
import { Vocabulary } from './vocabulary.ts';

/** Columns of single figures in `features.parquet`. */
export type FigureColumn =
  | 'n_fired'
  | 'density'
  | 'n_contexts'
  | 'max_activation'
  | 'mean_activation'
  | 'std_activation'
  | 'skewness'
  | 'kurtosis'
  | 'median_activation'
  | 'top_token'
  | 'top_token_share'
  | 'encoder_bias'
  | 'encoder_decoder_cosine'
  | 'decoder_norm'
  | 'nearest_cosine'
  | 'max_logit'
  | 'min_logit'
  | 'logit_kurtosis';

export type FeatureRow = { readonly [name in FigureColumn]: number } & {
  readonly latent_index: number;
  readonly top_logit_tokens: readonly number[];
  readonly preview_token: number;
  readonly preview_offsets: readonly number[];
  readonly preview_activations: readonly number[];
};

export interface DetailsRow {
  readonly latent_index: number;
  readonly histogram: readonly number[];
  readonly log_histogram_start: number;
  readonly log_histogram: readonly number[];
  readonly quantiles: readonly number[];
  readonly top_logit_tokens: readonly number[];
  readonly top_logits: readonly number[];
  readonly bottom_logit_tokens: readonly number[];
  readonly bottom_logits: readonly number[];
  readonly logit_histogram: readonly number[];
  readonly top_tokens: readonly number[];
  readonly top_token_shares: readonly number[];
  readonly top_token_firings: readonly number[];
  readonly neighbours: readonly number[];
  readonly neighbour_cosines: readonly number[];
  readonly neurons: readonly number[];
  readonly neuron_weights: readonly number[];
  readonly neuron_shares: readonly number[];
}

export interface ExampleRow {
  readonly latent_index: number;
  readonly group: 'top' | 'interval' | 'random';
  readonly rank: number;
  readonly interval: number;
  readonly repeats: boolean;
  readonly token_index: number;
  readonly activation: number;
  readonly near_offsets: readonly number[];
  readonly near_activations: readonly number[];
}

export interface DocumentRow {
  readonly id: string;
  readonly source: string;
  readonly start: number;
  readonly length: number;
}

/** A feature index on a host, read piece by piece as it is looked at. */
export class FeatureIndex {
  readonly manifest: Manifest;
  readonly vocabulary: Vocabulary;
  readonly corpus: Corpus;
  readonly #base: URL;
  readonly #tables = new Map<string, Table>();
  readonly #columns = new Map<string, Promise<Float64Array>>();
  #documents: Promise<DocumentRow[]> | undefined;

  private constructor(base: URL, manifest: Manifest, vocabulary: Vocabulary) {
    this.#base = base;
    this.manifest = manifest;
    this.vocabulary = vocabulary;
    this.corpus = new Corpus(this.#file('corpus/tokens.bin'), manifest);
  }

  static async open(base: URL): Promise<FeatureIndex> {
    const [manifest, vocabulary] = await Promise.all([
      readManifest(base),
      request(new URL('vocabulary.json', base))
        .then((response) => response.json() as Promise<Record<string, unknown>>)
        .then(
          (json) => new Vocabulary(json),
          // Without a manifest the vocabulary's absence says nothing more.
          (error: unknown) => error as Error,
        ),
    ]);
    if (vocabulary instanceof Error) throw vocabulary;
    return new FeatureIndex(base, manifest, vocabulary);
  }

  get nFeatures(): number {
    return this.manifest.dictionary.d_sae;
  }

  /** One figure of all features. */
  column(name: FigureColumn): Promise<Float64Array> {
    let column = this.#columns.get(name);
    if (!column) {
      column = this.#table('features.parquet').column(name);
      column.catch(() => this.#columns.delete(name));
      this.#columns.set(name, column);
    }
    return column;
  }

  async feature(latent: number): Promise<FeatureRow> {
    this.#check(latent);
    const table = this.#table('features.parquet');
    const [group] = await table.groupsWith(latent);
    const rows = await table.rowGroup<FeatureRow>(group);
    return rows[latent - rows[0].latent_index];
  }

  /** All rows of the table of features, a row group at a time. */
  async eachFeature(visit: (row: FeatureRow) => void): Promise<void> {
    const table = this.#table('features.parquet');
    const { row_groups } = await table.metadata();
    for (let group = 0; group < row_groups.length; group++) {
      for (const row of await table.rowGroup<FeatureRow>(group)) visit(row);
    }
  }

  async details(latent: number): Promise<DetailsRow> {
    this.#check(latent);
    const { latents_per_part, latents_per_row_group } = this.manifest;
    const part = Math.floor(latent / latents_per_part);
    const inside = latent - part * latents_per_part;
    const table = this.#table(partName('details', part));
    const rows = await table.rowGroup<DetailsRow>(Math.floor(inside / latents_per_row_group));
    return rows[inside % latents_per_row_group];
  }

  async examples(latent: number): Promise<ExampleRow[]> {
    this.#check(latent);
    const table = this.#table(partName('examples', Math.floor(latent / this.manifest.latents_per_part)));
    const groups = await table.groupsWith(latent);
    const rows = await Promise.all(groups.map((group) => table.rowGroup<ExampleRow>(group)));
    return rows.flat().filter((row) => row.latent_index === latent);
  }

  /** Latents that fire on a token, with their mean activation on it, largest first. */
  async latentsOf(token: number): Promise<{ latent_index: number; mean_activation: number; share: number }[]> {
    const table = this.#table('token_latents.parquet');
    const groups = await table.groupsWith(token);
    type TokenRow = { token: number; latent_index: number; mean_activation: number; share: number };
    const rows = await Promise.all(groups.map((group) => table.rowGroup<TokenRow>(group)));
    return rows.flat().filter((row) => row.token === token);
  }

  /** The document of a token of the corpus. */
  async documentAt(token: number): Promise<DocumentRow | undefined> {
    this.#documents ??= this.#allRows<DocumentRow>('corpus/documents.parquet');
    const documents = await this.#documents;
    let [low, high] = [0, documents.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (documents[middle].start <= token) low = middle + 1;
      else high = middle;
    }
    return documents[low - 1];
  }

  /** Where every example lies: latents and peaks, for a search through the examples' text. */
  async examplePeaks(): Promise<{ latents: ArrayLike<number>; peaks: ArrayLike<number> }[]> {
    const parts = Math.ceil(this.nFeatures / this.manifest.latents_per_part);
    return Promise.all(
      Array.from({ length: parts }, async (_, part) => {
        const table = this.#table(partName('examples', part));
        const [latents, peaks] = await Promise.all([table.column('latent_index'), table.column('token_index')]);
        return { latents, peaks };
      }),
    );
  }

  async #allRows<R>(path: string): Promise<R[]> {
    const table = this.#table(path);
    const { row_groups } = await table.metadata();
    const rows = await Promise.all(row_groups.map((_, group) => table.rowGroup<R>(group)));
    return rows.flat();
  }

  #table(path: string): Table {
    let table = this.#tables.get(path);
    if (!table) {
      table = new Table(this.#file(path));
      this.#tables.set(path, table);
    }
    return table;
  }

  #file(path: string): RemoteFile {
    const entry = this.manifest.files.find((file) => file.path === path);
    if (entry) return new RemoteFile(new URL(path, this.#base), entry.bytes);
    throw new IndexError('The manifest is incomplete', `It does not list ${path}.`, 'Build the index again.');
  }

  #check(latent: number): void {
    if (Number.isInteger(latent) && latent >= 0 && latent < this.nFeatures) return;
    throw new IndexError(
      `There is no feature ${latent}`,
      `This dictionary has features 0 to ${(this.nFeatures - 1).toLocaleString('en')}.`,
      'Go back to the list, or choose another number.',
    );
  }
}

function partName(table: 'details' | 'examples', part: number): string {
  return `${table}/part-${String(part).padStart(5, '0')}.parquet`;
}
