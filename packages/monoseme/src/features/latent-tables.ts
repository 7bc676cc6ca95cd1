import { join } from 'node:path';
import { writeByToken } from './by-token.ts';
import { ClusterLabels } from './cluster-labels.ts';
import { ExamplePlaces } from './example-places.ts';
import { CardWriter } from './feature-cards.ts';
import { type TableRow, TableWriter } from './parquet-table.ts';
import {
  CARDS,
  DETAILS,
  EXAMPLES,
  FEATURES,
  type IndexFile,
  LATENTS_PER_PART,
  LATENTS_PER_ROW_GROUP,
  LOGIT_LATENTS,
  partName,
} from './schema.ts';

/** Rows of a row group of `features.parquet`: a column of a million latents is 8 reads. */
const FEATURES_PER_ROW_GROUP = 131_072;

/**
 * `features.parquet`, `cards.bin`, the parts of `details/` and `examples/`, `logit_latents.parquet`,
 * `example_places.parquet` and `clusters.parquet`, written as their latents come, in order.
 */
export class LatentTables {
  readonly #folder: string;
  readonly #features = new TableWriter(FEATURES);
  readonly #cards = new CardWriter();
  readonly #places = new ExamplePlaces();
  readonly #clusters = new ClusterLabels();
  readonly #logits = { tokens: [] as number[], latents: [] as number[], weights: [] as number[] };
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
    this.#clusters.add(feature);
    this.#cards.add(feature, details, examples[0]);
    this.#details.add(details);
    for (const example of examples) this.#examples.add(example);
    this.#invert(details, examples);
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
    return [
      { path, ...(await this.#features.finish(join(this.#folder, path))) },
      { path: CARDS, ...(await this.#cards.finish(join(this.#folder, CARDS))) },
      ...this.#files,
      await this.#writeLogitLatents(),
      await this.#places.finish(this.#folder),
      await this.#clusters.finish(this.#folder),
    ];
  }

  #invert(details: TableRow<typeof DETAILS>, examples: readonly TableRow<typeof EXAMPLES>[]): void {
    const telling = examples.filter(isFound);
    this.#places.add(
      this.#nLatents,
      telling.map(({ token_index }) => token_index as number),
    );
    const { tokens, latents, weights } = this.#logits;
    const logits = details.top_logits as ArrayLike<number>;
    Array.from(details.top_logit_tokens as ArrayLike<number>).forEach((token, i) => {
      tokens.push(token);
      latents.push(this.#nLatents);
      weights.push(logits[i]);
    });
  }

  #writeLogitLatents(): Promise<IndexFile> {
    const { tokens, latents, weights } = this.#logits;
    const row = (i: number) => ({ token: tokens[i], latent_index: latents[i], weight: weights[i] });
    const entries = { tokens, weights };
    return writeByToken(this.#folder, 'logit_latents.parquet', LOGIT_LATENTS, entries, this.#nLatents, row);
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

/** Of the intervals, which hold most of the examples, a search of the text finds one each, and nothing twice. */
function isFound({ group, rank, repeats }: TableRow<typeof EXAMPLES>): boolean {
  if (repeats) return false;
  return group === 'top' || group === 'random' || (group === 'interval' && rank === 0);
}
