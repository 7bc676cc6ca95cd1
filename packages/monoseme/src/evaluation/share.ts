/** A share of some cases, as an accuracy, with its 95 % interval. */
export interface Share {
  readonly value: number;
  /** How many cases are behind it. */
  readonly n: number;
  readonly interval: readonly [low: number, high: number];
}

const Z = 1.959963984540054;

/** The share of `hits` in `n` > 0, with the interval of Wilson 1927: it stays within 0 and 1, and is right for few cases. */
export function shareOf(hits: number, n: number): Share {
  const value = hits / n;
  const centre = (value + (Z * Z) / (2 * n)) / (1 + (Z * Z) / n);
  const half = (Z / (1 + (Z * Z) / n)) * Math.sqrt((value * (1 - value)) / n + (Z * Z) / (4 * n * n));
  return { value, n, interval: [Math.max(0, centre - half), Math.min(1, centre + half)] };
}
