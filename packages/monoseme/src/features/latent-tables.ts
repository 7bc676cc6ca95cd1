import { join } from 'node:path';
import { emptyColumns, pushRow, type TableColumns, type TableRow, writeTable } from './parquet-table.ts';
import {
  DETAILS,
  EXAMPLES,
  FEATURES,
  type IndexFile,
  LATENTS_PER_PART,
  LATENTS_PER_ROW_GROUP,
  partName,
} from './schema.ts';

/** Rows of a row group of `features.parquet`: a million latents make 62 of them. */
const FEATURES_PER_ROW_GROUP = 16_384;

/** `features.parquet` and the parts of `details/` and `examples/`, written as their latents come, in order. */
export class LatentTables {
  readonly #folder: string;
  readonly #features = emptyColumns(FEATURES);
  readonly #files: IndexFile[] = [];
  #details = emptyColumns(DETAILS);
  #examples = emptyColumns(EXAMPLES);
  #exampleCounts: number[] = [];
  #part = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The rows of the next latent. A part that is full is written. */
  async add(
    feature: TableRow<typeof FEATURES>,
    details: TableRow<typeof DETAILS>,
    examples: readonly TableRow<typeof EXAMPLES>[],
  ): Promise<void> {
    pushRow(this.#features, feature);
    pushRow(this.#details, details);
    for (const example of examples) pushRow(this.#examples, example);
    this.#exampleCounts.push(examples.length);
    if (this.#exampleCounts.length === LATENTS_PER_PART) await this.#flush();
  }

  /** Write what is left. */
  async finish(): Promise<IndexFile[]> {
    if (this.#exampleCounts.length > 0) await this.#flush();
    const features = await this.#write('features.parquet', FEATURES, this.#features, FEATURES_PER_ROW_GROUP);
    return [features, ...this.#files];
  }

  async #flush(): Promise<void> {
    const part = this.#part++;
    this.#files.push(
      await this.#write(partName('details', part), DETAILS, this.#details, LATENTS_PER_ROW_GROUP),
      await this.#write(
        partName('examples', part),
        EXAMPLES,
        this.#examples,
        groupSizes(this.#exampleCounts),
      ),
    );
    this.#details = emptyColumns(DETAILS);
    this.#examples = emptyColumns(EXAMPLES);
    this.#exampleCounts = [];
  }

  async #write<S extends typeof FEATURES | typeof DETAILS | typeof EXAMPLES>(
    path: string,
    schema: S,
    columns: TableColumns<S>,
    rowGroups: number | number[],
  ): Promise<IndexFile> {
    return { path, ...(await writeTable(join(this.#folder, path), schema, columns, rowGroups)) };
  }
}

/** Rows of each row group, so that a group holds the examples of 64 latents. Groups without rows do not exist. */
function groupSizes(exampleCounts: number[]): number[] {
  const sizes: number[] = [];
  for (let start = 0; start < exampleCounts.length; start += LATENTS_PER_ROW_GROUP) {
    const counts = exampleCounts.slice(start, start + LATENTS_PER_ROW_GROUP);
    const size = counts.reduce((sum, count) => sum + count, 0);
    if (size > 0) sizes.push(size);
  }
  return sizes.length > 0 ? sizes : [1];
}
