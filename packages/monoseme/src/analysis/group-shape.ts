import { eigenvectors } from './moments.ts';
import { dot, orthonormal } from './subspace.ts';

/** Reconstructions of a group that are kept, and angles that are told apart. */
const MAX_ROWS = 2048;
const ANGLES = 36;

/** The shape of what some latents reconstruct together. */
export interface GroupShape {
  /** Those that fire, ascending. */
  readonly latents: readonly number[];
  /** Tokens on which any of them is active, and how many of them are then on average. */
  readonly nTokens: number;
  readonly meanActive: number;
  /** Shares of the variance of Σ f_j d_j on those tokens, by principal component, the largest eight. */
  readonly spectrum: readonly number[];
  /** Effective dimension, (Σ λ)² / Σ λ². */
  readonly dimension: number;
  /** Latents for each dimension: far above 1 where they cut one structure into pieces. */
  readonly dilution: number;
  /**
   * In the plane of the first two components: spread of the distance from the centre over its mean, 0 for a circle;
   * and the share of 36 angles that occur.
   */
  readonly radiusSpread: number;
  readonly anglesCovered: number;
  /** Some of the reconstructions in that plane, and the latents' decoder directions. */
  readonly points: Points;
  readonly directions: Points;
}

interface Points {
  readonly x: number[];
  readonly y: number[];
}

/** Reconstructions of one group: every n-th token on which any of its latents is active, in a basis of their span. */
export class GroupRows {
  readonly latents: readonly number[];
  #nTokens = 0;
  #nActive = 0;
  #step = 1;
  #rows: Float64Array[] = [];
  /** By latent: its decoder direction in the basis. */
  readonly #directions: ReadonlyMap<number, Float64Array>;

  constructor(latents: readonly number[], W_dec: Float32Array, dIn: number) {
    this.latents = latents;
    const direction = (latent: number) => W_dec.subarray(latent * dIn, (latent + 1) * dIn);
    const basis = orthonormal(Float32Array.from(latents.flatMap((latent) => [...direction(latent)])), dIn);
    const inBasis = (latent: number) => Float64Array.from(basis, (vector) => dot(direction(latent), vector));
    this.#directions = new Map(latents.map((latent) => [latent, inBasis(latent)]));
  }

  /** The active latents of the group at one token. */
  add(pairs: readonly (readonly [latent: number, value: number])[]): void {
    this.#nActive += pairs.length;
    if (this.#nTokens++ % this.#step !== 0) return;
    const row = new Float64Array(this.#directions.get(this.latents[0])!.length);
    for (const [latent, value] of pairs)
      this.#directions.get(latent)!.forEach((element, i) => (row[i] += value * element));
    this.#rows.push(row);
    if (this.#rows.length < 2 * MAX_ROWS) return;
    this.#rows = this.#rows.filter((_, i) => i % 2 === 0);
    this.#step *= 2;
  }

  /** @param latents those of the group that fire, at least one */
  shape(latents: readonly number[]): GroupShape {
    const { values, vectors, mean } = components(this.#rows);
    const total = values.reduce((sum, value) => sum + value, 0);
    const squares = values.reduce((sum, value) => sum + value * value, 0);
    const dimension = squares > 0 ? total ** 2 / squares : 0;
    const plane = (row: Float64Array) => [0, 1].map((k) => (vectors[k] ? dot(vectors[k], row) : 0));
    const inPlane = (rows: readonly Float64Array[]): Points => {
      const points = rows.map(plane);
      return { x: points.map(([x]) => x), y: points.map(([, y]) => y) };
    };
    const points = inPlane(this.#rows.map((row) => row.map((value, i) => value - mean[i])));
    return {
      latents,
      nTokens: this.#nTokens,
      meanActive: this.#nActive / this.#nTokens,
      spectrum: values.slice(0, 8).map((value) => (total > 0 ? value / total : 0)),
      dimension,
      dilution: dimension > 0 ? latents.length / dimension : 0,
      ...roundness(points),
      points,
      directions: inPlane(latents.map((latent) => this.#directions.get(latent)!)),
    };
  }
}

function roundness({ x, y }: Points): Pick<GroupShape, 'radiusSpread' | 'anglesCovered'> {
  const radii = x.map((value, i) => Math.hypot(value, y[i]));
  const mean = radii.reduce((sum, radius) => sum + radius, 0) / radii.length;
  const variance = radii.reduce((sum, radius) => sum + (radius - mean) ** 2, 0) / radii.length;
  const turns = x.map((value, i) => Math.atan2(y[i], value) / (2 * Math.PI) + 0.5);
  const angles = new Set(turns.map((turn) => Math.floor(turn * ANGLES) % ANGLES));
  return { radiusSpread: mean > 0 ? Math.sqrt(variance) / mean : 0, anglesCovered: angles.size / ANGLES };
}

/** Principal components of rows about their mean, the strongest first. */
function components(rows: readonly Float64Array[]) {
  const d = rows[0].length;
  const mean = new Float64Array(d);
  for (const row of rows) row.forEach((value, i) => (mean[i] += value / rows.length));
  const covariance = new Float64Array(d * d);
  for (const row of rows) {
    for (let i = 0; i < d; i++)
      for (let k = 0; k < d; k++)
        covariance[i * d + k] += ((row[i] - mean[i]) * (row[k] - mean[k])) / rows.length;
  }
  const { values, vectors } = eigenvectors(covariance, d);
  return { values: Array.from(values, (value) => Math.max(0, value)), vectors, mean };
}
