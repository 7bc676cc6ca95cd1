import { join } from 'node:path';
import { type TableRow, TableWriter } from './parquet-table.ts';
import { CLUSTERS, type FEATURES, type IndexFile, NO_CLUSTER } from './schema.ts';

/** Tokens that name a group. */
const MOST_TOKENS = 5;

interface Group {
  nFeatures: number;
  sumX: number;
  sumY: number;
  /** Its features by their top token. */
  readonly tokens: Map<number, number>;
}

/** What the groups of the map are called, and where they lie. Silent latents take no part. */
export class ClusterLabels {
  readonly #groups = new Map<number, Group>();
  readonly #tokens = new Map<number, number>();
  #nFeatures = 0;

  add(row: TableRow<typeof FEATURES>): void {
    const { cluster, n_fired, top_token, map_x, map_y } = row as {
      readonly [name in keyof typeof row]: number;
    };
    if (cluster === NO_CLUSTER || n_fired === 0) return;
    const group = this.#groups.get(cluster) ?? { nFeatures: 0, sumX: 0, sumY: 0, tokens: new Map() };
    this.#groups.set(cluster, group);
    group.nFeatures++;
    group.sumX += map_x;
    group.sumY += map_y;
    count_(group.tokens, top_token);
    count_(this.#tokens, top_token);
    this.#nFeatures++;
  }

  /** Write `clusters.parquet`. @throws as {@link atomicWrite} */
  async finish(folder: string): Promise<IndexFile> {
    const table = new TableWriter(CLUSTERS);
    for (const [cluster, group] of [...this.#groups].sort(([a], [b]) => a - b)) {
      table.add({
        cluster,
        n_features: group.nFeatures,
        map_x: Math.fround(group.sumX / group.nFeatures),
        map_y: Math.fround(group.sumY / group.nFeatures),
        tokens: this.#telling(group),
      });
    }
    const path = 'clusters.parquet';
    return { path, ...(await table.finish(join(folder, path))) };
  }

  /**
   * The tokens that tell a group from the others: by n · ln(n / expected), where n of its features fire most on a token and
   * a group of its size would have `expected` if they were spread evenly; ties by their ids. None that it has fewer of.
   */
  #telling({ nFeatures, tokens }: Group): number[] {
    const scored = [...tokens].map(([token, n]) => {
      const expected = (this.#tokens.get(token)! * nFeatures) / this.#nFeatures;
      return { token, score: n * Math.log(n / expected) };
    });
    scored.sort((a, b) => b.score - a.score || a.token - b.token);
    // In a dictionary of one group every token is as frequent as expected.
    return scored
      .filter(({ score }) => score >= 0)
      .slice(0, MOST_TOKENS)
      .map(({ token }) => token);
  }
}

function count_(counts: Map<number, number>, key: number): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
