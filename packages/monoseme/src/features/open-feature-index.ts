import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type AsyncBuffer, type FileMetaData, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { fileError, MonosemeError } from '../errors.ts';
import { type Manifest, parseJson, readLimited, readManifest, sha256File } from '../formats/index.ts';
import { checkFiles, isSound } from './check-index.ts';
import type { ExampleGroup } from './choose-examples.ts';
import { CARD_BYTES, type FeatureCard, readCards } from './feature-cards.ts';
import type { TableSchema } from './parquet-table.ts';
import {
  CARDS,
  CLUSTERS,
  DETAILS,
  type DOCUMENTS,
  EFFECTS,
  EXAMPLES,
  EXPLANATIONS,
  EXAMPLE_PLACES,
  FEATURES,
  INDEX_VERSION,
  type IndexDetails,
  LOGIT_LATENTS,
  partName,
  TOKEN_LATENTS,
} from './schema.ts';

/** A vocabulary of a million tokens of 30 bytes, written as JSON. */
const MAX_VOCABULARY_BYTES = 2 ** 26;
/** A table is read whole only when it is asked for; a footer of this size describes millions of row groups. */
const MAX_FOOTER_BYTES = 2 ** 28;

/** A corpus of this size is held once it was asked for; a larger one is read piece by piece. */
const MAX_CORPUS_HELD = 2 ** 26;

type Row<S extends TableSchema> = {
  readonly [name in keyof S]: S[name] extends 'string'
    ? string
    : S[name] extends 'boolean'
      ? boolean
      : S[name] extends `list${string}`
        ? number[]
        : number;
};

/** Columns of `features.parquet`. */
export type FigureName = keyof typeof FEATURES;
export type FeatureRow = FeatureCard;
export type DetailsRow = Row<typeof DETAILS>;
export type ExampleRow = Omit<Row<typeof EXAMPLES>, 'group'> & { readonly group: ExampleGroup };
export type EffectRow = Row<typeof EFFECTS>;
export type TokenLatentRow = Row<typeof TOKEN_LATENTS>;
export type LogitLatentRow = Row<typeof LOGIT_LATENTS>;
export type ClusterRow = Row<typeof CLUSTERS>;
export type DocumentRow = Row<typeof DOCUMENTS>;
export type ExplanationRow = Row<typeof EXPLANATIONS>;
export type ExamplePlaceRow = Row<typeof EXAMPLE_PLACES>;

interface Table {
  readonly file: AsyncBuffer;
  readonly metadata: FileMetaData;
}

/**
 * An index on disk, opened for reading. Tables are opened when they are first needed; a latent's details and examples
 * cost one small read each.
 */
export class FeatureIndex {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly details: IndexDetails;
  readonly #tables = new Map<string, Promise<Table>>();
  #vocabulary: Promise<string[]> | undefined;
  #corpus: Promise<ArrayBuffer> | undefined;

  constructor(folder: string, manifest: Manifest, details: IndexDetails) {
    this.folder = folder;
    this.manifest = manifest;
    this.details = details;
  }

  get dSae(): number {
    return this.details.dictionary.d_sae;
  }

  /** Figures and previews of latents `start` … `end − 1`; of all when left out. */
  async features(start = 0, end = this.dSae): Promise<FeatureRow[]> {
    const [first, last] = [Math.max(0, start), Math.min(this.dSae, end)].map((latent) => latent * CARD_BYTES);
    if (first >= last) return [];
    return readCards(await readSlice(join(this.folder, CARDS), first, last));
  }

  /** One figure of all latents, in order; no other column is read. */
  async figures(name: FigureName): Promise<Float64Array> {
    const column: TableSchema = { [name]: FEATURES[name] };
    const rows = await this.#read('features.parquet', column, 0, this.dSae);
    return Float64Array.from(rows, (row) => row[name] as number);
  }

  /** @throws {MonosemeError} ERR_OPTION for a latent that does not exist */
  async detailsOf(latent: number): Promise<DetailsRow> {
    return (await this.detailsBetween(latent, latent + 1))[0];
  }

  /** In the order of reading. @throws {MonosemeError} ERR_OPTION for a latent that does not exist */
  examplesOf(latent: number): Promise<ExampleRow[]> {
    return this.examplesBetween(latent, latent + 1);
  }

  /** Ablations of a latent, by token; none in an index without. @throws {MonosemeError} ERR_OPTION */
  effectsOf(latent: number): Promise<EffectRow[]> {
    return this.effectsBetween(latent, latent + 1);
  }

  /** Rows of latents `start` … `end − 1`, which stand in one part. @throws {MonosemeError} ERR_OPTION */
  detailsBetween(start: number, end: number): Promise<DetailsRow[]> {
    const part = this.#partOf(start, end);
    const first = part * this.details.latents_per_part;
    return this.#read(partName('details', part), DETAILS, start - first, end - first);
  }

  /** Examples of latents `start` … `end − 1`, which stand in one part. @throws {MonosemeError} ERR_OPTION */
  examplesBetween(start: number, end: number): Promise<ExampleRow[]> {
    return this.#rowsOf('examples', EXAMPLES, start, end) as Promise<ExampleRow[]>;
  }

  /** Ablations of latents `start` … `end − 1`, which stand in one part. @throws {MonosemeError} ERR_OPTION */
  async effectsBetween(start: number, end: number): Promise<EffectRow[]> {
    if (this.details.effects) return this.#rowsOf('effects', EFFECTS, start, end);
    this.#partOf(start, end);
    return [];
  }

  /** Latents that fire on a token, largest mean activation first. */
  latentsOf(token: number): Promise<TokenLatentRow[]> {
    return this.#sortedRows('token_latents.parquet', TOKEN_LATENTS, 'token', token, token + 1);
  }

  /** Latents that raise a token's logit most, largest weight first. */
  promotersOf(token: number): Promise<LogitLatentRow[]> {
    return this.#sortedRows('logit_latents.parquet', LOGIT_LATENTS, 'token', token, token + 1);
  }

  /** Firing examples that peak at tokens `start` … `end − 1` of the corpus, by place. */
  examplesAt(start: number, end: number): Promise<ExamplePlaceRow[]> {
    return this.#sortedRows('example_places.parquet', EXAMPLE_PLACES, 'token_index', start, end);
  }

  /** The groups of the map, in order; none in an index without a map, or made before it named them. */
  async clusters(): Promise<ClusterRow[]> {
    const rows = this.details.files.find(({ path }) => path === 'clusters.parquet')?.rows;
    return rows === undefined ? [] : this.#read('clusters.parquet', CLUSTERS, 0, rows);
  }

  /** All explanations, by latent; none in an index to which none were added. */
  async explanations(): Promise<ExplanationRow[]> {
    const { explanations, files } = this.details;
    if (!explanations) return [];
    const rows = files.find(({ path }) => path === explanations.path)?.rows;
    if (rows === undefined) throw damaged('manifest.json', undefined);
    return (await this.#read(explanations.path, EXPLANATIONS, 0, rows)).map(withDecimalScore);
  }

  /** Explanations of latents `start` … `end − 1`, by latent. */
  async explanationsBetween(start: number, end: number): Promise<ExplanationRow[]> {
    const { explanations } = this.details;
    if (!explanations) return [];
    const rows = await this.#sortedRows(explanations.path, EXPLANATIONS, 'latent_index', start, end);
    return rows.map(withDecimalScore);
  }

  /** Texts of the tokens, by id. */
  vocabulary(): Promise<string[]> {
    this.#vocabulary ??= readVocabulary(join(this.folder, 'vocabulary.json'), this.details.corpus.vocab_size);
    return this.#vocabulary;
  }

  /** Tokens `start` … `end − 1` of the corpus. */
  async tokens(start: number, end: number): Promise<Uint32Array> {
    const { token_bytes, n_tokens } = this.details.corpus;
    const first = Math.max(0, start);
    const last = Math.max(first, Math.min(n_tokens, end));
    const bytes = await this.#corpusBytes(first * token_bytes, last * token_bytes);
    return token_bytes === 2 ? new Uint32Array(new Uint16Array(bytes)) : new Uint32Array(bytes);
  }

  async #corpusBytes(start: number, end: number): Promise<ArrayBuffer> {
    const path = join(this.folder, 'corpus/tokens.bin');
    const size = this.details.corpus.n_tokens * this.details.corpus.token_bytes;
    if (size > MAX_CORPUS_HELD) return readSlice(path, start, end);
    this.#corpus ??= readSlice(path, 0, size);
    return (await this.#corpus).slice(start, end);
  }

  /**
   * Compare every file with the hash in the manifest. Reads the whole index.
   *
   * @throws {MonosemeError} ERR_MISMATCH naming the first file that differs
   */
  async verify(): Promise<void> {
    for (const { path, sha256 } of this.details.files) {
      if ((await sha256File(join(this.folder, path))) === sha256) continue;
      throw new MonosemeError(
        'ERR_MISMATCH',
        `${path} is not the file that the index was made with.`,
        'Copy or build the index again.',
      );
    }
  }

  async #rowsOf<S extends typeof EXAMPLES | typeof EFFECTS>(
    table: 'examples' | 'effects',
    schema: S,
    start: number,
    end: number,
  ): Promise<Row<S>[]> {
    // Async, so that a latent that does not exist rejects.
    const path = partName(table, this.#partOf(start, end));
    return this.#sortedRows(path, schema, 'latent_index', start, end);
  }

  /** The rows in whose first column, by which the table is sorted, stands a value from `start` to `end − 1`. */
  async #sortedRows<S extends TableSchema>(
    path: string,
    schema: S,
    column: keyof S & string,
    start: number,
    end: number,
  ): Promise<Row<S>[]> {
    const { metadata } = await this.#table(path);
    const rows = await this.#read(path, schema, ...rowsWith(metadata, start, end - 1));
    return rows.filter((row) => {
      const value = row[column] as number;
      return value >= start && value < end;
    });
  }

  #partOf(start: number, end: number): number {
    if (!Number.isInteger(start) || start < 0 || start >= end || end > this.dSae)
      throw new MonosemeError(
        'ERR_OPTION',
        `There is no latent ${start < 0 || start >= this.dSae ? start : end - 1}.`,
        `The index has latents 0 to ${this.dSae - 1}.`,
      );
    return Math.floor(start / this.details.latents_per_part);
  }

  #table(path: string): Promise<Table> {
    let table = this.#tables.get(path);
    if (!table) {
      table = openTable(this.folder, path);
      this.#tables.set(path, table);
    }
    return table;
  }

  async #read<S extends TableSchema>(path: string, schema: S, start: number, end: number): Promise<Row<S>[]> {
    const { file, metadata } = await this.#table(path);
    if (start >= end) return [];
    try {
      const columns = Object.keys(schema);
      const rows = await parquetReadObjects({ file, metadata, rowStart: start, rowEnd: end, columns });
      return rows as Row<S>[];
    } catch (cause) {
      throw damaged(path, cause);
    }
  }
}

/**
 * Open an index for reading.
 *
 * Checks the manifest, its version, and that every file is there with its full length; contents are checked when they
 * are read ({@link FeatureIndex.verify} checks them all).
 *
 * @throws {MonosemeError} ERR_NOT_FOUND without a manifest; ERR_FORMAT for a missing, cut or damaged file;
 * ERR_MISMATCH for another kind of artifact or a version this toolkit does not read
 */
export async function openFeatureIndex(folder: string): Promise<FeatureIndex> {
  const manifest = await readManifest(folder, 'feature-index');
  const details = manifest.details as Partial<IndexDetails> | undefined;
  const version = details?.index_version;
  if (version !== INDEX_VERSION)
    throw new MonosemeError(
      'ERR_MISMATCH',
      `${folder} is a feature index of version ${String(version)}; this toolkit reads version ${INDEX_VERSION}.`,
      typeof version === 'number' && version > INDEX_VERSION ? 'Update monoseme.' : 'Build the index again.',
    );
  if (!isSound(details))
    throw new MonosemeError(
      'ERR_FORMAT',
      `The manifest of ${folder} is incomplete.`,
      'Build the index again.',
    );
  await checkFiles(folder, details);
  return new FeatureIndex(folder, manifest, details);
}

async function openTable(folder: string, path: string): Promise<Table> {
  const full = join(folder, path);
  const { size } = await stat(full).catch((error: unknown) => {
    throw fileError(error, `read ${full}`);
  });
  const file: AsyncBuffer = {
    byteLength: size,
    slice: (start, end = size) => readSlice(full, start, end),
  };
  try {
    const tail = new DataView(await file.slice(Math.max(0, size - 8), size));
    const footer = tail.byteLength === 8 ? tail.getUint32(0, true) : Infinity;
    if (footer > Math.min(size - 8, MAX_FOOTER_BYTES)) throw new Error('its footer does not fit');
    return { file, metadata: await parquetMetadataAsync(file) };
  } catch (cause) {
    throw damaged(path, cause);
  }
}

async function readSlice(path: string, start: number, end: number): Promise<ArrayBuffer> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw fileError(error, `read ${path}`);
  });
  try {
    const { size } = await file.stat();
    if (!(start >= 0 && start <= end && end <= size)) throw damaged(path, undefined);
    const bytes = new Uint8Array(end - start);
    let done = 0;
    while (done < bytes.length) {
      const { bytesRead } = await file.read(bytes, done, bytes.length - done, start + done);
      if (bytesRead === 0) throw damaged(path, undefined);
      done += bytesRead;
    }
    return bytes.buffer;
  } finally {
    await file.close();
  }
}

/** Rows of the row groups whose first column (sorted, with statistics) may hold values from `low` to `high`. */
function rowsWith(metadata: FileMetaData, low: number, high: number): [number, number] {
  let row = 0;
  let range: [number, number] = [0, 0];
  for (const group of metadata.row_groups) {
    const next = row + Number(group.num_rows);
    const statistics = group.columns[0]?.meta_data?.statistics;
    const least = Number(statistics?.min_value ?? -Infinity);
    const most = Number(statistics?.max_value ?? Infinity);
    if (least <= high && low <= most) range = range[1] === 0 ? [row, next] : [range[0], next];
    row = next;
  }
  return range;
}

async function readVocabulary(path: string, vocabSize: number): Promise<string[]> {
  const json = parseJson(await readLimited(path, MAX_VOCABULARY_BYTES), path) as { texts?: unknown } | null;
  const texts = json?.texts;
  if (Array.isArray(texts) && texts.length === vocabSize && texts.every((text) => typeof text === 'string'))
    return texts as string[];
  throw damaged(path, undefined);
}

/** A score as it was written: the nearest number of seven digits to what an f32 keeps of it. */
function withDecimalScore(row: ExplanationRow): ExplanationRow {
  return { ...row, score: Number(row.score.toPrecision(7)) };
}

function damaged(path: string, cause: unknown): MonosemeError {
  if (cause instanceof MonosemeError) return cause;
  const reason = cause instanceof Error ? ` (${cause.message.split('\n')[0].slice(0, 120)})` : '';
  return new MonosemeError('ERR_FORMAT', `${path} is damaged${reason}.`, 'Copy or build the index again.', {
    cause,
  });
}
