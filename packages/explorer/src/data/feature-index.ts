import type {
  ClusterRow,
  DetailsRow,
  DocumentRow,
  EffectRow,
  ExampleRow,
  ExplanationRow,
  FeatureRow,
} from 'monoseme/features';
import { Cards, type FigureColumn, type Figures, figuresFor } from './cards.ts';
import { Corpus } from './corpus.ts';
import { IndexError } from './index-error.ts';
import { fetchManifest, indexManifest, type Manifest, type ManifestJson } from './manifest.ts';
import { RemoteFile, request } from './remote-file.ts';
import { type Range, Table } from './table.ts';
import { Vocabulary } from './vocabulary.ts';

/** Columns of the tables that the page reads (docs/feature-index.md). */
const DETAIL_COLUMNS = [
  'latent_index',
  'log_histogram_start',
  'histogram',
  'log_histogram',
  'quantiles',
  'top_logit_tokens',
  'top_logits',
  'bottom_logit_tokens',
  'bottom_logits',
  'logit_histogram',
  'top_tokens',
  'top_token_shares',
  'top_token_firings',
  'neighbours',
  'neighbour_cosines',
  'neurons',
  'neuron_weights',
  'neuron_shares',
  'correlated_neurons',
  'neuron_correlations',
  'coactive',
  'coactive_lags',
  'coactive_shares',
  'coactive_pmis',
] satisfies (keyof DetailsRow)[];
const EXAMPLE_COLUMNS = [
  'latent_index',
  'group',
  'rank',
  'interval',
  'repeats',
  'token_index',
  'activation',
  'near_offsets',
  'near_activations',
] satisfies (keyof ExampleRow)[];
const EFFECT_COLUMNS = [
  'latent_index',
  'token_index',
  'loss_change',
  'kl',
  'raised_tokens',
  'raised',
  'lowered_tokens',
  'lowered',
] satisfies (keyof EffectRow)[];
const TOKEN_COLUMNS = ['token', 'latent_index', 'mean_activation'];
const LOGIT_COLUMNS = ['token', 'latent_index', 'weight'];
const PLACE_COLUMNS = ['token_index', 'latent_index'];
const CLUSTER_COLUMNS = ['cluster', 'n_features', 'map_x', 'map_y', 'tokens'] satisfies (keyof ClusterRow)[];
const EXPLANATION_COLUMNS = [
  'latent_index',
  'text',
  'method',
  'model',
  'score',
  'score_name',
] satisfies (keyof ExplanationRow)[];
const DOCUMENT_COLUMNS = ['id', 'source', 'start', 'length'] satisfies (keyof DocumentRow)[];

export type { ClusterRow, DetailsRow, DocumentRow, EffectRow, ExampleRow, ExplanationRow, FeatureRow };

/** Latents of a token, and how strongly each belongs to it, largest first. */
export interface RankedLatents {
  readonly latents: Float64Array;
  readonly weights: Float64Array;
}

/** A feature index on a host, read piece by piece as it is looked at. */
export class FeatureIndex {
  readonly manifest: Manifest;
  readonly vocabulary: Vocabulary;
  readonly corpus: Corpus;
  readonly #cards: Cards;
  readonly #base: URL;
  readonly #tables = new Map<string, Table>();
  readonly #columns = new Map<string, Promise<Figures>>();
  #documents: Promise<DocumentRow[]> | undefined;
  #explanations: Promise<ExplanationRow[]> | undefined;
  #clusters: Promise<ClusterRow[]> | undefined;

  private constructor(base: URL, manifest: Manifest, vocabulary: Vocabulary) {
    this.#base = base;
    this.manifest = manifest;
    this.vocabulary = vocabulary;
    this.corpus = new Corpus(this.#file('corpus/tokens.bin'), manifest);
    this.#cards = new Cards(this.#file('cards.bin'), this.nFeatures);
  }

  /** @param json the manifest, where it was read already */
  static async open(base: URL, json?: ManifestJson): Promise<FeatureIndex> {
    const manifest = indexManifest(base, json ?? (await fetchManifest(base)));
    const response = await request(new URL('vocabulary.json', base));
    const texts = (await response.json().catch(() => ({}))) as Record<string, unknown>;
    return new FeatureIndex(base, manifest, new Vocabulary(texts));
  }

  get nFeatures(): number {
    return this.manifest.dictionary.d_sae;
  }

  /** One figure of all features. */
  column(name: FigureColumn): Promise<Figures> {
    let column = this.#columns.get(name);
    if (!column) {
      column = this.#table('features.parquet').column(name, figuresFor(name, this.nFeatures));
      column.catch(() => this.#columns.delete(name));
      this.#columns.set(name, column);
    }
    return column;
  }

  async feature(latent: number): Promise<FeatureRow> {
    this.#check(latent);
    return this.#cards.of(latent);
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

  /** Causal effects at tokens of the examples; none where the index was built without. */
  async effects(latent: number): Promise<EffectRow[]> {
    if (!this.manifest.effects) return [];
    const table = this.#table(partName('effects', Math.floor(latent / this.manifest.latents_per_part)));
    const groups = await table.groupsWith(latent);
    const rows = await Promise.all(groups.map((group) => table.rowGroup<EffectRow>(group)));
    return rows.flat().filter((row) => row.latent_index === latent);
  }

  /** What was written of a feature; nothing where no explanations were added. */
  async explanations(latent: number): Promise<ExplanationRow[]> {
    const { explanations } = this.manifest;
    if (!explanations) return [];
    const table = this.#table(explanations.path);
    const groups = await table.groupsWith(latent);
    const rows = await Promise.all(groups.map((group) => table.rowGroup<ExplanationRow>(group)));
    return rows.flat().filter((row) => row.latent_index === latent);
  }

  /** All that was written, for a search. */
  async allExplanations(): Promise<readonly ExplanationRow[]> {
    const { explanations } = this.manifest;
    this.#explanations ??= explanations
      ? this.#allRows<ExplanationRow>(explanations.path)
      : Promise.resolve([]);
    this.#explanations.catch(() => (this.#explanations = undefined));
    return this.#explanations;
  }

  /** The groups of the map, the largest first; none in an index without a map, or made before it named them. */
  clusters(): Promise<readonly ClusterRow[]> {
    const isListed = this.manifest.files.some(({ path }) => path === 'clusters.parquet');
    this.#clusters ??= (isListed ? this.#allRows<ClusterRow>('clusters.parquet') : Promise.resolve([])).then(
      (rows) => rows.sort((x, y) => y.n_features - x.n_features || x.cluster - y.cluster),
    );
    this.#clusters.catch(() => (this.#clusters = undefined));
    return this.#clusters;
  }

  /** Latents that fire on a token, by their mean activation on it. */
  latentsOf(token: number): Promise<RankedLatents> {
    return this.#ranked('token_latents.parquet', token, 'mean_activation');
  }

  /** Latents that raise a token's logit most, by their weight. */
  promotersOf(token: number): Promise<RankedLatents> {
    return this.#ranked('logit_latents.parquet', token, 'weight');
  }

  async #ranked(path: string, token: number, weight: string): Promise<RankedLatents> {
    const { columns } = await this.#table(path).within([[token, token + 1]]);
    return { latents: columns['latent_index'], weights: columns[weight] };
  }

  /** All documents, in the order of the corpus. */
  documents(): Promise<readonly DocumentRow[]> {
    this.#documents ??= this.#allRows<DocumentRow>('corpus/documents.parquet');
    this.#documents.catch(() => (this.#documents = undefined));
    return this.#documents;
  }

  /** The document of a token of the corpus. */
  async documentAt(token: number): Promise<DocumentRow | undefined> {
    const documents = await this.documents();
    let [low, high] = [0, documents.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (documents[middle].start <= token) low = middle + 1;
      else high = middle;
    }
    return documents[low - 1];
  }

  /** Firing examples that peak at tokens of the ranges; `isWhole` says whether all of them were read. */
  async examplesWithin(
    ranges: readonly Range[],
  ): Promise<{ latents: Float64Array; peaks: Float64Array; isWhole: boolean }> {
    const { columns, isWhole } = await this.#table('example_places.parquet').within(ranges);
    return { latents: columns['latent_index'], peaks: columns['token_index'], isWhole };
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
      table = new Table(this.#file(path), columnsOf(path));
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

function partName(table: 'details' | 'examples' | 'effects', part: number): string {
  return `${table}/part-${String(part).padStart(5, '0')}.parquet`;
}

function columnsOf(path: string): string[] {
  if (path === 'token_latents.parquet') return TOKEN_COLUMNS;
  if (path === 'logit_latents.parquet') return LOGIT_COLUMNS;
  if (path === 'example_places.parquet') return PLACE_COLUMNS;
  if (path === 'clusters.parquet') return CLUSTER_COLUMNS;
  if (path.startsWith('explanations-')) return EXPLANATION_COLUMNS;
  if (path === 'corpus/documents.parquet') return DOCUMENT_COLUMNS;
  if (path.startsWith('effects/')) return EFFECT_COLUMNS;
  return path.startsWith('details/') ? DETAIL_COLUMNS : EXAMPLE_COLUMNS;
}
