import { join } from 'node:path';
import { type TableRow, TableWriter } from './parquet-table.ts';
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
  readonly #features = new TableWriter(FEATURES);
  readonly #files: IndexFile[] = [];
  #details = new TableWriter(DETAILS);
  #examples = new TableWriter(EXAMPLES);
  #nLatents = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The rows of the next latent. A row group of `examples` holds those of as many latents as one of `details`. */
  async add(
    feature: TableRow<typeof FEATURES>,
    details: TableRow<typeof DETAILS>,
    examples: readonly TableRow<typeof EXAMPLES>[],
  ): Promise<void> {
    this.#features.add(feature);
    this.#details.add(details);
    for (const example of examples) this.#examples.add(example);
    this.#nLatents++;
    if (this.#nLatents % FEATURES_PER_ROW_GROUP === 0) this.#features.endGroup();
    if (this.#nLatents % LATENTS_PER_ROW_GROUP === 0) {
      this.#details.endGroup();
      this.#examples.endGroup();
    }
    if (this.#nLatents % LATENTS_PER_PART === 0) await this.#endPart();
  }

  /** Write what is left. */
  async finish(): Promise<IndexFile[]> {
    if (this.#nLatents % LATENTS_PER_PART !== 0) await this.#endPart();
    const path = 'features.parquet';
    return [{ path, ...(await this.#features.finish(join(this.#folder, path))) }, ...this.#files];
  }

  async #endPart(): Promise<void> {
    const part = Math.ceil(this.#nLatents / LATENTS_PER_PART) - 1;
    for (const [name, table] of [
      ['details', this.#details],
      ['examples', this.#examples],
    ] as const) {
      const path = partName(name, part);
      this.#files.push({ path, ...(await table.finish(join(this.#folder, path))) });
    }
    this.#details = new TableWriter(DETAILS);
    this.#examples = new TableWriter(EXAMPLES);
  }
}
