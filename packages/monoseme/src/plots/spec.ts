/** A numeric axis. Values that it cannot show (NaN, infinity, not positive on a logarithmic one) are left out and counted. */
export interface NumericAxis {
  readonly label: string;
  readonly scale?: 'linear' | 'log';
  /** By default what the marks hold, rounded outwards. */
  readonly domain?: readonly [number, number];
}

/** The vertical axis of bars and dots that stand beside names, the first name at the top. Its values are 0 … n − 1. */
export interface CategoryAxis {
  readonly label: string;
  readonly categories: readonly string[];
}

/** What is drawn. Marks with the same name share a colour and one entry of the legend; colours follow the order of names. */
export type Mark =
  /** Dots. Those that fall on the same half pixel are drawn once, unless they have titles. */
  | {
      readonly kind: 'points';
      readonly name?: string;
      readonly x: ArrayLike<number>;
      readonly y: ArrayLike<number>;
      /** Shown when the pointer rests on a dot. */
      readonly titles?: readonly string[];
    }
  /** Straight lines through the points, broken where one cannot be shown. */
  | {
      readonly kind: 'line';
      readonly name?: string;
      readonly x: ArrayLike<number>;
      readonly y: ArrayLike<number>;
      readonly dashed?: boolean;
    }
  /** Confidence intervals: a vertical stroke at each x. */
  | {
      readonly kind: 'interval';
      readonly name?: string;
      readonly x: ArrayLike<number>;
      readonly low: ArrayLike<number>;
      readonly high: ArrayLike<number>;
    }
  /** Boxes between edges [n + 1]; several stand on each other in the order given. */
  | {
      readonly kind: 'histogram';
      readonly name?: string;
      readonly edges: ArrayLike<number>;
      readonly counts: ArrayLike<number>;
    }
  /** Horizontal bars, one a category; several share the height of a category. */
  | {
      readonly kind: 'bars';
      readonly name?: string;
      readonly values: ArrayLike<number>;
      readonly low?: ArrayLike<number>;
      readonly high?: ArrayLike<number>;
    }
  /** A line across the plot at one value of one axis. */
  | { readonly kind: 'rule'; readonly name?: string; readonly x?: number; readonly y?: number };

export interface PlotSpec {
  readonly title: string;
  readonly x: NumericAxis;
  readonly y: NumericAxis | CategoryAxis;
  readonly marks: readonly Mark[];
  /** In CSS pixels: 480 × 300; the height of a plot with categories follows their number. */
  readonly width?: number;
  readonly height?: number;
}

export function isCategoryAxis(axis: NumericAxis | CategoryAxis): axis is CategoryAxis {
  return 'categories' in axis;
}

/** Histograms with, for each, the height on which every box stands: they are stacked. */
export function stackedBases(marks: readonly Mark[]): Map<Mark, Float64Array> {
  const bases = new Map<Mark, Float64Array>();
  let below: Float64Array | undefined;
  for (const mark of marks) {
    if (mark.kind !== 'histogram') continue;
    const base = Float64Array.from(mark.counts, (_, i) => below?.[i] ?? 0);
    bases.set(mark, base);
    below = base.map((value, i) => value + mark.counts[i]);
  }
  return bases;
}
