import { Random } from '../random/index.ts';
import { N_COLUMNS, type Sums, sumsOf } from './sums.ts';

/** Fewer blocks than this say too little about how much another text would change a figure. */
export const MIN_BLOCKS = 10;
export const RESAMPLES = 1000;
const LEVEL = 0.95;

export type Interval = readonly [low: number, high: number];

/**
 * Percentile intervals of 95 % by block bootstrap: as many blocks as there are, drawn with replacement 1,000 times,
 * their sums added, every figure made of the sums.
 *
 * Blocks are documents, because tokens of one document are alike. Source  Künsch 1989 (blocks), Efron (percentiles)
 *
 * @param blocks [nBlocks, N_COLUMNS], see sums.ts
 * @returns by figure; none for a figure that is not defined in some resample; undefined with fewer than
 * {@link MIN_BLOCKS} blocks
 */
export function bootstrapIntervals<F extends object>(
  blocks: Float64Array,
  figuresOf: (sums: Sums) => F,
  seed: number,
): Partial<Record<keyof F, Interval>> | undefined {
  const nBlocks = blocks.length / N_COLUMNS;
  if (nBlocks < MIN_BLOCKS) return undefined;
  const random = new Random(seed);
  const drawn = new Float64Array(N_COLUMNS);
  const values = new Map<string, Float64Array>();
  for (let resample = 0; resample < RESAMPLES; resample++) {
    drawn.fill(0);
    for (let i = 0; i < nBlocks; i++) {
      const start = random.integer(nBlocks) * N_COLUMNS;
      for (let column = 0; column < N_COLUMNS; column++) drawn[column] += blocks[start + column];
    }
    for (const [name, value] of Object.entries(figuresOf(sumsOf(drawn)))) {
      if (!values.has(name)) values.set(name, new Float64Array(RESAMPLES));
      values.get(name)![resample] = value as number;
    }
  }
  const intervals: Record<string, Interval> = {};
  for (const [name, sample] of values) if (sample.every(Number.isFinite)) intervals[name] = quantiles(sample);
  return intervals as Partial<Record<keyof F, Interval>>;
}

/**
 * Percentile interval of 95 % of the mean of values that are drawn independently, by bootstrap (Efron). Undefined of fewer
 * than {@link MIN_BLOCKS}.
 */
export function meanInterval(values: readonly number[], seed: number): Interval | undefined {
  const n = values.length;
  if (n < MIN_BLOCKS) return undefined;
  const random = new Random(seed);
  return quantiles(
    Float64Array.from({ length: RESAMPLES }, () => {
      let sum = 0;
      for (let i = 0; i < n; i++) sum += values[random.integer(n)];
      return sum / n;
    }),
  );
}

/** The ends of the middle 95 % of a sample, which is sorted. */
export function quantiles(sample: Float64Array): Interval {
  sample.sort();
  const tail = Math.floor(((1 - LEVEL) / 2) * sample.length);
  return [sample[tail], sample[sample.length - 1 - tail]];
}
