import type { CoActivationEdge } from './groups.ts';
import { latentGraph, latentNode, ringOf, round } from './latent-graph.ts';

/** Edges that are drawn, the strongest, and parts of their graph. */
const DRAWN_EDGES = 100;
const DRAWN_PARTS = 12;

/** Latents that are active together, joined to each other directly or through others. */
export interface CoActivationPart {
  /** Depth first from the strongest edge, so that latents that are joined stand near each other. */
  readonly latents: readonly number[];
  readonly edges: readonly CoActivationEdge[];
}

/**
 * The connected parts of the 100 strongest edges: at most 12, those with the most latents, ties by their strongest edge.
 *
 * @param edges strongest first
 */
export function coActivationParts(edges: readonly CoActivationEdge[]): CoActivationPart[] {
  const drawn = edges.slice(0, DRAWN_EDGES);
  const seen = new Set<number>();
  const parts = drawn.flatMap(({ a }): CoActivationPart[] => {
    if (seen.has(a)) return [];
    const latents = walk(a, drawn, seen);
    return [{ latents, edges: drawn.filter((edge) => latents.includes(edge.a)) }];
  });
  return parts.sort((x, y) => y.latents.length - x.latents.length).slice(0, DRAWN_PARTS);
}

/** What can be reached from a latent, depth first, by strong edges before weak ones. */
function walk(latent: number, edges: readonly CoActivationEdge[], seen: Set<number>): number[] {
  if (seen.has(latent)) return [];
  seen.add(latent);
  const joined = edges.flatMap(({ a, b }) => (a === latent ? [b] : b === latent ? [a] : []));
  return [latent, ...joined.flatMap((other) => walk(other, edges, seen))];
}

/**
 * A part as an SVG graph: latents on a circle, joined by lines as wide as they are correlated.
 *
 * @param label what to write into a latent's circle, besides its number
 */
export function coActivationGraph(
  { latents, edges }: CoActivationPart,
  label: (latent: number) => string,
): string {
  const { places, reach } = ringOf(latents);
  const lines = edges.map(({ a, b, correlation }) => {
    const [from, to] = [places.get(a)!, places.get(b)!];
    return `<path d="M${round(from.x)} ${round(from.y)}L${round(to.x)} ${round(to.y)}" stroke="var(--p0)" stroke-width="${round(6 * correlation)}"><title>${correlation.toFixed(2)}</title></path>`;
  });
  const nodes = latents.map((latent) => latentNode(latent, places.get(latent)!, label(latent)));
  return latentGraph(`Latents ${latents.join(', ')}, active together`, reach, [...lines, ...nodes]);
}
