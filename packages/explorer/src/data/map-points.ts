import { APART } from './colours.ts';
import type { Figures } from './cards.ts';
import type { FeatureIndex } from './feature-index.ts';
import { IndexError } from './index-error.ts';

/** The map's features: those that fire, with what they are coloured by. */
export interface MapPoints {
  readonly latents: Uint32Array;
  /** [n, 2] */
  readonly places: Float32Array;
  readonly density: Figures;
  readonly cluster: Figures;
  readonly effect: Figures;
  readonly topToken: Figures;
}

/** @throws {IndexError} for an index that was made of an export: it has no directions to lay out */
export async function mapPoints(index: FeatureIndex): Promise<MapPoints> {
  const { imported_from: from } = index.manifest;
  if (from !== undefined)
    throw new IndexError(
      'This index has no map',
      `It was made of an export of ${from === 'neuronpedia' ? 'Neuronpedia' : 'SAEDashboard'}, which does not hold the directions of all features.`,
      'The list, the features and the search work. An index made from the dictionary itself has a map: `monoseme index`.',
    );
  const names = ['n_fired', 'map_x', 'map_y', 'density', 'cluster', 'mean_kl', 'top_token'] as const;
  const [nFired, x, y, density, cluster, effect, topToken] = await Promise.all(
    names.map((name) => index.column(name)),
  );
  const latents = Uint32Array.from(nFired.keys()).filter((latent) => nFired[latent] > 0);
  const places = new Float32Array(2 * latents.length);
  for (let i = 0; i < latents.length; i++) {
    places[2 * i] = x[latents[i]];
    places[2 * i + 1] = y[latents[i]];
  }
  return { latents, places, density, cluster, effect, topToken };
}

export const COLOURINGS = ['density', 'cluster', 'effect'] as const;
export type Colouring = (typeof COLOURINGS)[number];

/** [n, 3] in 0 to 1. Sequential scales run from blue to orange, even in lightness on both themes. */
export function mapColours(points: MapPoints, by: Colouring): Float32Array {
  if (by === 'cluster') return clusterColours(points);
  const column = by === 'density' ? points.density : points.effect;
  const values = Float32Array.from(points.latents, (latent) => Math.log10(Math.max(column[latent], 1e-7)));
  const sorted = values.slice().sort();
  const [low, high] = [0.02, 0.98].map((q) => sorted[Math.floor(q * (sorted.length - 1))]);
  const [from, to] = [rgb('#4c7fb8'), rgb('#f08c2e')];
  const colours = new Float32Array(3 * values.length);
  for (let i = 0; i < values.length; i++) {
    const share = Math.min(1, Math.max(0, (values[i] - low) / (high - low || 1)));
    for (let c = 0; c < 3; c++) colours[3 * i + c] = from[c] + (to[c] - from[c]) * share;
  }
  return colours;
}

function clusterColours({ latents, cluster }: MapPoints): Float32Array {
  const palette = APART.map(rgb);
  const colours = new Float32Array(3 * latents.length);
  for (let i = 0; i < latents.length; i++) {
    const colour = palette[cluster[latents[i]] % palette.length];
    for (let c = 0; c < 3; c++) colours[3 * i + c] = colour[c];
  }
  return colours;
}

function rgb(hex: string): number[] {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);
}

/** Finds the point nearest to a place, by a grid over the plane. */
export class PointFinder {
  readonly #places: Float32Array;
  readonly #left: number;
  readonly #bottom: number;
  readonly #size: number;
  readonly #columns: number;
  readonly #rows: number;
  /** [cells + 1], and the points by cell. */
  readonly #starts: Uint32Array;
  readonly #points: Uint32Array;

  constructor(places: Float32Array) {
    const n = places.length / 2;
    const { x, y, width, height } = bounds(places);
    this.#places = places;
    [this.#left, this.#bottom] = [x - width / 2, y - height / 2];
    // Some eight points a cell, were they spread evenly.
    this.#size = Math.max(1e-6, Math.sqrt((width * height * 8) / Math.max(1, n)));
    this.#columns = 1 + Math.floor(width / this.#size);
    this.#rows = 1 + Math.floor(height / this.#size);
    this.#starts = new Uint32Array(this.#columns * this.#rows + 1);
    this.#points = new Uint32Array(n);
    const cells = Uint32Array.from({ length: n }, (_, i) => this.#cellOf(places[2 * i], places[2 * i + 1]));
    for (let i = 0; i < n; i++) this.#starts[cells[i] + 1]++;
    for (let cell = 1; cell < this.#starts.length; cell++) this.#starts[cell] += this.#starts[cell - 1];
    const next = this.#starts.slice();
    for (let i = 0; i < n; i++) this.#points[next[cells[i]]++] = i;
  }

  /** Number of the nearest point within a distance; undefined without one. */
  nearest(x: number, y: number, within: number): number | undefined {
    let best: number | undefined;
    let least = within * within;
    const [column, row] = [this.#column(x), this.#row(y)];
    const reach = Math.min(4, Math.ceil(within / this.#size));
    for (let j = Math.max(0, row - reach); j <= Math.min(this.#rows - 1, row + reach); j++) {
      const first = Math.max(0, column - reach);
      const last = Math.min(this.#columns - 1, column + reach);
      if (first > last) continue;
      const end = this.#starts[j * this.#columns + last + 1];
      for (let k = this.#starts[j * this.#columns + first]; k < end; k++) {
        const point = this.#points[k];
        const square = (this.#places[2 * point] - x) ** 2 + (this.#places[2 * point + 1] - y) ** 2;
        if (square <= least) [best, least] = [point, square];
      }
    }
    return best;
  }

  #cellOf(x: number, y: number): number {
    const column = Math.min(this.#columns - 1, Math.max(0, this.#column(x)));
    return Math.min(this.#rows - 1, Math.max(0, this.#row(y))) * this.#columns + column;
  }

  #column(x: number): number {
    return Math.floor((x - this.#left) / this.#size);
  }

  #row(y: number): number {
    return Math.floor((y - this.#bottom) / this.#size);
  }
}

export function bounds(places: Float32Array) {
  let [left, right, bottom, top] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let i = 0; i < places.length; i += 2) {
    left = Math.min(left, places[i]);
    right = Math.max(right, places[i]);
    bottom = Math.min(bottom, places[i + 1]);
    top = Math.max(top, places[i + 1]);
  }
  return {
    x: (left + right) / 2,
    y: (bottom + top) / 2,
    width: right - left || 1,
    height: top - bottom || 1,
  };
}

/** Whether a place lies inside a closed line (ray casting). */
export function inside(line: readonly (readonly [number, number])[], x: number, y: number): boolean {
  let isInside = false;
  for (let i = 0, j = line.length - 1; i < line.length; j = i++) {
    const [[ax, ay], [bx, by]] = [line[i], line[j]];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) isInside = !isInside;
  }
  return isInside;
}
