import type { ClusterRow, FeatureIndex } from './feature-index.ts';
import { tokenLabel } from './segments.ts';

/** A cluster of the map by the tokens that tell it from the others. */
export function clusterName({ vocabulary }: FeatureIndex, { tokens, cluster }: ClusterRow, most = 5): string {
  const labels = tokens.slice(0, most).map((token) => tokenLabel(vocabulary.text(token)));
  return labels.length > 0 ? labels.join('  ') : `cluster ${cluster}`;
}

/** Clusters that are named by a token whose text is this but for case and spaces around it; the largest first. */
export async function clustersNamed(index: FeatureIndex, text: string): Promise<readonly ClusterRow[]> {
  const plain = (of: string) => of.trim().toLowerCase();
  const wanted = plain(text);
  if (wanted === '') return [];
  const clusters = await index.clusters();
  return clusters.filter(({ tokens }) =>
    tokens.some((token) => plain(index.vocabulary.text(token)) === wanted),
  );
}
