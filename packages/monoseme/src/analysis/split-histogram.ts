/** Bins of a histogram, from 0 to the largest activation. */
const BINS = 24;

/**
 * The activations of a column where it is active, split by whether the token is of a concept: how often each strength
 * occurs, and how much of the activation lies there (Bricken et al. 2023: specificity, and its expected-value version).
 */
export interface SplitHistogram {
  /** [bins + 1] */
  readonly edges: readonly number[];
  /** [bins]: tokens of the concept, and others. */
  readonly counts: readonly [ofConcept: Float64Array, others: Float64Array];
  /** [bins]: Σ f of the same. */
  readonly mass: readonly [ofConcept: Float64Array, others: Float64Array];
}

/** @param largest activation of the column in the text */
export function emptyHistogram(largest: number): SplitHistogram {
  const empty = () => [new Float64Array(BINS), new Float64Array(BINS)] as const;
  return {
    edges: Array.from({ length: BINS + 1 }, (_, i) => (i * largest) / BINS),
    ...{ counts: empty(), mass: empty() },
  };
}

/** Add an activation above 0. */
export function addActivation({ edges, counts, mass }: SplitHistogram, value: number, isOf: boolean): void {
  const bin = Math.min(BINS - 1, Math.floor((value * BINS) / edges[BINS]));
  counts[isOf ? 0 : 1][bin]++;
  mass[isOf ? 0 : 1][bin] += value;
}
