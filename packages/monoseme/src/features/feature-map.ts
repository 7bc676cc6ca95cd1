import { throwIfAborted } from '../errors.ts';
import { Random } from '../random/index.ts';
import type { Neighbours } from '../dictionary/index.ts';

/** Neighbours of a latent that shape the map (n_neighbors of the paper, itself counted). */
export const MAP_NEIGHBOURS = 14;
/** Curve 1 / (1 + a·d^2b) of the map's distances: min_dist 0.1, spread 1. */
const [A, B] = [1.5769, 0.8951];
const NEGATIVES = 5;
const SMOOTHINGS = 60;
const SWEEPS = 20;
/** The event loop is let through about this often, so that other stages go on. */
const EDGES_PER_TURN = 200_000;

/** A picture of a dictionary: near points are latents of near directions. */
export interface FeatureMap {
  /** [dSae, 2] */
  readonly coordinates: Float32Array;
  /** [dSae]: groups of latents, the largest first. */
  readonly clusters: Uint32Array;
}

/** Undirected edges: each pair once. */
interface Graph {
  readonly from: Uint32Array;
  readonly to: Uint32Array;
  readonly weights: Float32Array;
}

/**
 * Lay latents out in the plane and group them, from their nearest neighbours.
 *
 * The layout is UMAP (McInnes et al. 2018) on exact neighbours: fuzzy edges, a start from the graph's slowest
 * directions, then attraction along edges and repulsion from random others. The groups are those of one level of
 * Louvain's method on the same edges. The same seed gives the same map.
 *
 * Cost  time and memory linear in dSae: about 15 edges each, 200 rounds (fewer above 50,000 latents)
 */
export async function featureMap(
  neighbours: readonly Neighbours[],
  seed: number,
  signal?: AbortSignal,
): Promise<FeatureMap> {
  const n = neighbours.length;
  const graph = fuzzyGraph(neighbours);
  const random = new Random(seed);
  const coordinates = slowDirections(graph, n, random);
  const rounds = n > 50_000 ? 100 : 200;
  let sinceTurn = 0;
  for (let round = 0; round < rounds; round++) {
    layoutRound(graph, coordinates, 1 - round / rounds, random);
    sinceTurn += graph.from.length;
    if (sinceTurn < EDGES_PER_TURN) continue;
    sinceTurn = 0;
    await new Promise(setImmediate);
    throwIfAborted(signal);
  }
  return { coordinates, clusters: communities(graph, n) };
}

/** Symmetric fuzzy weights: each latent's distances measured from its nearest, on a scale that fits its surroundings. */
function fuzzyGraph(neighbours: readonly Neighbours[]): Graph {
  const weights = neighbours.map(({ cosines }) => membership(Array.from(cosines, (cosine) => 1 - cosine)));
  const [from, to, together]: number[][] = [[], [], []];
  neighbours.forEach(({ latents }, i) => {
    latents.forEach((j, place) => {
      const back = neighbours[j].latents.indexOf(i);
      // An edge that both name is written once.
      if (back >= 0 && j < i) return;
      const [there, here] = [weights[i][place], back >= 0 ? weights[j][back] : 0];
      from.push(i);
      to.push(j);
      together.push(there + here - there * here);
    });
  });
  return {
    from: Uint32Array.from(from),
    to: Uint32Array.from(to),
    weights: Float32Array.from(together),
  };
}

/** exp(−(d − nearest) / σ), σ so that the weights sum to log2 of the number of neighbours. */
function membership(distances: readonly number[]): number[] {
  if (distances.length === 0) return [];
  const nearest = distances[0];
  const wanted = Math.log2(distances.length + 1);
  const at = (sigma: number) => distances.map((d) => Math.exp(-Math.max(0, d - nearest) / sigma));
  let [low, high] = [1e-6, 10];
  for (let step = 0; step < 40; step++) {
    const middle = Math.sqrt(low * high);
    if (at(middle).reduce((sum, w) => sum + w, 0) > wanted) high = middle;
    else low = middle;
  }
  return at(high);
}

/** Two directions of the graph that change slowest along its edges: smoothed noise, made independent of each other. */
function slowDirections({ from, to, weights }: Graph, n: number, random: Random): Float32Array {
  const axes = [0, 1].map(() => Float64Array.from({ length: n }, () => random.normal()));
  const degrees = new Float64Array(n).fill(1e-3);
  for (let e = 0; e < from.length; e++) {
    degrees[from[e]] += weights[e];
    degrees[to[e]] += weights[e];
  }
  for (let step = 0; step < SMOOTHINGS; step++) {
    for (const axis of axes) {
      const next = axis.map((value) => 1e-3 * value);
      for (let e = 0; e < from.length; e++) {
        next[from[e]] += weights[e] * axis[to[e]];
        next[to[e]] += weights[e] * axis[from[e]];
      }
      for (let i = 0; i < n; i++) axis[i] = 0.5 * axis[i] + (0.5 * next[i]) / degrees[i];
    }
    standardize(axes[0]);
    subtractProjection(axes[1], axes[0]);
    standardize(axes[1]);
  }
  return Float32Array.from({ length: 2 * n }, (_, i) => 4 * Math.max(-3, Math.min(3, axes[i % 2][i >> 1])));
}

function standardize(axis: Float64Array): void {
  const mean = axis.reduce((sum, value) => sum + value, 0) / axis.length;
  const deviation = Math.sqrt(axis.reduce((sum, value) => sum + (value - mean) ** 2, 0) / axis.length);
  for (let i = 0; i < axis.length; i++) axis[i] = (axis[i] - mean) / (deviation || 1);
}

function subtractProjection(axis: Float64Array, other: Float64Array): void {
  const product = axis.reduce((sum, value, i) => sum + value * other[i], 0) / axis.length;
  for (let i = 0; i < axis.length; i++) axis[i] -= product * other[i];
}

/** One round: every edge with the probability of its weight, and random latents that repel its first end. Mutates y */
function layoutRound({ from, to, weights }: Graph, y: Float32Array, rate: number, random: Random): void {
  const n = y.length / 2;
  for (let e = 0; e < from.length; e++) {
    if (random.uint32() >= weights[e] * 2 ** 32) continue;
    const i = 2 * from[e];
    pull_(y, i, 2 * to[e], rate);
    for (let k = 0; k < NEGATIVES; k++) {
      const other = 2 * Math.floor((random.uint32() / 2 ** 32) * n);
      if (other !== i) push_(y, i, other, rate);
    }
  }
}

/**
 * A force by the squared distance, in steps of its f32's upper half, 128 an octave: within 0.8 % and without the power,
 * of which there are tens of millions.
 */
function forceTable(force: (square: number, power: number) => number): Float64Array {
  return Float64Array.from({ length: 2 ** 15 }, (_, half) => {
    scratchBits[0] = (half << 16) | 0x8000;
    const square = scratchFloat[0];
    return Number.isFinite(square) ? force(square, square ** B) : 0;
  });
}

function halfOf(square: number): number {
  scratchFloat[0] = square;
  return scratchBits[0] >>> 16;
}

const scratchFloat = new Float32Array(1);
const scratchBits = new Uint32Array(scratchFloat.buffer);
const ATTRACTION = forceTable((square, power) => (-2 * A * B * (power / square)) / (1 + A * power));
const REPULSION = forceTable((square, power) => (2 * B) / ((0.001 + square) * (1 + A * power)));

/** Both ends of an edge move together. */
function pull_(y: Float32Array, i: number, j: number, rate: number): void {
  const dx = y[i] - y[j];
  const dy = y[i + 1] - y[j + 1];
  const factor = ATTRACTION[halfOf(dx * dx + dy * dy)];
  const stepX = rate * clip(factor * dx);
  const stepY = rate * clip(factor * dy);
  y[i] += stepX;
  y[i + 1] += stepY;
  y[j] -= stepX;
  y[j + 1] -= stepY;
}

/** One moves away from the other, which stays. */
function push_(y: Float32Array, i: number, other: number, rate: number): void {
  const dx = y[i] - y[other];
  const dy = y[i + 1] - y[other + 1];
  const factor = REPULSION[halfOf(dx * dx + dy * dy)];
  y[i] += rate * clip(factor * dx);
  y[i + 1] += rate * clip(factor * dy);
}

function clip(step: number): number {
  return step > 4 ? 4 : step < -4 ? -4 : step;
}

/** Louvain's local moves until nothing moves: each latent joins the group to which it adds most modularity. */
function communities({ from, to, weights }: Graph, n: number): Uint32Array {
  const adjacency: Map<number, number>[] = Array.from({ length: n }, () => new Map());
  const degrees = new Float64Array(n);
  let total = 0;
  for (let e = 0; e < from.length; e++) {
    adjacency[from[e]].set(to[e], weights[e]);
    adjacency[to[e]].set(from[e], weights[e]);
    degrees[from[e]] += weights[e];
    degrees[to[e]] += weights[e];
    total += 2 * weights[e];
  }
  const group = Uint32Array.from({ length: n }, (_, i) => i);
  const sums = degrees.slice();
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let moved = 0;
    for (let i = 0; i < n; i++) {
      const links = new Map<number, number>([[group[i], 0]]);
      for (const [j, weight] of adjacency[i]) links.set(group[j], (links.get(group[j]) ?? 0) + weight);
      sums[group[i]] -= degrees[i];
      const gain = (g: number) => links.get(g)! - (degrees[i] * sums[g]) / (total || 1);
      let best = group[i];
      for (const g of links.keys()) if (gain(g) > gain(best) + 1e-12) best = g;
      sums[best] += degrees[i];
      if (best !== group[i]) moved++;
      group[i] = best;
    }
    if (moved === 0) break;
  }
  return bySize(group);
}

/** The same groups, numbered from the largest down. */
function bySize(group: Uint32Array): Uint32Array {
  const sizes = new Map<number, number>();
  for (const g of group) sizes.set(g, (sizes.get(g) ?? 0) + 1);
  const order = [...sizes].sort(([a, x], [b, y]) => y - x || a - b);
  const numbers = new Map(order.map(([g], number) => [g, number]));
  return group.map((g) => numbers.get(g)!);
}
