import type { Collection, Member } from './collection.ts';

/** A feature in a layer of a family: layers run from the smallest dictionary to the largest. */
export interface FamilyNode {
  readonly layer: number;
  readonly latent: number;
  /** The largest cosine by which it came into the family; 1 for the feature that was asked for. */
  readonly cosine: number;
}

export interface FamilyEdge {
  readonly layer: number;
  /** In this layer, and in the next larger one. */
  readonly from: number;
  readonly to: number;
  readonly cosine: number;
}

export interface Family {
  /** By layer; the order in which they are drawn. */
  readonly nodes: readonly (readonly FamilyNode[])[];
  readonly edges: readonly FamilyEdge[];
  /** Features of each layer that would belong to it, but are too many to show. */
  readonly leftOut: readonly number[];
}

/** Features of a layer that are drawn. */
const MOST_IN_LAYER = 24;

/** Dictionaries of the same activations, one of each size, among them the one that is read; the smallest first. */
export function layersOf(collection: Collection, name: string, chosen: readonly string[]): Member[] {
  const related = [collection.member(name), ...collection.matchedWith(name)];
  const picked = related.filter((member) => chosen.includes(member.name) || member.name === name);
  const bySize = new Map<number, Member>();
  for (const member of picked.length > 1 ? picked : related)
    if (!bySize.has(member.d_sae)) bySize.set(member.d_sae, member);
  return [...bySize.values()].sort((a, b) => a.d_sae - b.d_sae);
}

/**
 * A feature's family in dictionaries of growing size: what it splits into, layer after layer, and what it comes from.
 *
 * Two features of neighbouring layers are joined where the smaller dictionary's is among the nearest five directions of
 * the larger one's, with a cosine of at least `least`. A graph, not a tree: a feature may come from several.
 */
export async function familyOf(
  collection: Collection,
  layers: readonly Member[],
  root: { readonly layer: number; readonly latent: number },
  least: number,
): Promise<Family> {
  const nodes: FamilyNode[][] = layers.map(() => []);
  const leftOut = layers.map(() => 0);
  const edges: FamilyEdge[] = [];
  nodes[root.layer] = [{ ...root, cosine: 1 }];
  const keep = (layer: number, found: readonly FamilyEdge[], end: 'from' | 'to') => {
    const best = new Map<number, number>();
    for (const edge of found) best.set(edge[end], Math.max(best.get(edge[end]) ?? 0, edge.cosine));
    const ordered = [...best].sort(([a, x], [b, y]) => y - x || a - b);
    const kept = new Set(ordered.slice(0, MOST_IN_LAYER).map(([latent]) => latent));
    leftOut[layer] = ordered.length - kept.size;
    nodes[layer] = ordered
      .filter(([latent]) => kept.has(latent))
      .map(([latent, cosine]) => ({ layer, latent, cosine }));
    edges.push(...found.filter((edge) => kept.has(edge[end])));
  };
  for (let layer = root.layer; layer + 1 < layers.length && nodes[layer].length > 0; layer++) {
    const all = await edgesBetween(collection, layers, layer, least);
    const inside = new Set(nodes[layer].map(({ latent }) => latent));
    keep(
      layer + 1,
      all.filter(({ from }) => inside.has(from)),
      'to',
    );
  }
  for (let layer = root.layer - 1; layer >= 0 && nodes[layer + 1].length > 0; layer--) {
    const all = await edgesBetween(collection, layers, layer, least);
    const inside = new Set(nodes[layer + 1].map(({ latent }) => latent));
    keep(
      layer,
      all.filter(({ to }) => inside.has(to)),
      'from',
    );
  }
  return { nodes: inOrder(nodes, edges, root.layer), edges, leftOut };
}

/** Features of a layer by the number of those that they split into in the next one, the most first. */
export async function largestFamilies(
  collection: Collection,
  layers: readonly Member[],
  layer: number,
  least: number,
): Promise<{ readonly latent: number; readonly children: number }[]> {
  const children = new Map<number, number>();
  for (const { from } of await edgesBetween(collection, layers, layer, least))
    children.set(from, (children.get(from) ?? 0) + 1);
  return [...children]
    .map(([latent, n]) => ({ latent, children: n }))
    .sort((a, b) => b.children - a.children || a.latent - b.latent);
}

/** All edges from a layer to the next larger one. */
async function edgesBetween(
  collection: Collection,
  layers: readonly Member[],
  layer: number,
  least: number,
): Promise<FamilyEdge[]> {
  const rows = await collection.matches(layers[layer + 1].name, layers[layer].name).all();
  return rows.flatMap((row, to) =>
    row.flatMap(({ latent: from, nearness: cosine }) =>
      cosine >= least ? [{ layer, from, to, cosine }] : [],
    ),
  );
}

/** Each layer ordered by where its neighbours in the layer nearer to the root stand, so that few edges cross. */
function inOrder(
  nodes: readonly (readonly FamilyNode[])[],
  edges: readonly FamilyEdge[],
  root: number,
): FamilyNode[][] {
  const ordered = nodes.map((layer) => [...layer]);
  const arrange = (layer: number, towards: number) => {
    const places = new Map(ordered[towards].map(({ latent }, place) => [latent, place]));
    const mean = new Map(
      ordered[layer].map(({ latent }) => {
        const joined = edges.flatMap((edge) => {
          if (towards < layer)
            return edge.layer === towards && edge.to === latent ? [places.get(edge.from)] : [];
          return edge.layer === layer && edge.from === latent ? [places.get(edge.to)] : [];
        });
        const known = joined.filter((place) => place !== undefined);
        return [latent, known.reduce((a, b) => a + b, 0) / Math.max(1, known.length)];
      }),
    );
    ordered[layer].sort((a, b) => mean.get(a.latent)! - mean.get(b.latent)! || b.cosine - a.cosine);
  };
  for (let layer = root + 1; layer < ordered.length; layer++) arrange(layer, layer - 1);
  for (let layer = root - 1; layer >= 0; layer--) arrange(layer, layer + 1);
  return ordered;
}
