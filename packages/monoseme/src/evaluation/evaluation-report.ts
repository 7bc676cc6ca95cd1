import { hashSeed } from '../random/index.ts';
import { bootstrapIntervals, type Interval, MIN_BLOCKS } from './bootstrap.ts';
import { type DensityClusters, densityClusters } from './clusters.ts';
import { densityIntervals } from './density-intervals.ts';
import type { DirectionFigures } from './directions.ts';
import { downstreamFigures, reconstructionFigures, type TokenCounts, type TokenFigures } from './figures.ts';
import { type DensityFigures, densityFigures, ReconstructionSums, totalVariance } from './reconstruction.ts';
import { N_COLUMNS, type Sums, sumsOf } from './sums.ts';

/** Figures of some of the tokens. */
export interface GroupFigures {
  /** A source, or a range of positions as `4–7`. */
  readonly name: string;
  readonly counts: TokenCounts;
  /** The explained variance is about the mean of the whole text, so that groups can be compared. */
  readonly figures: TokenFigures;
}

export interface EvaluationReport {
  readonly counts: TokenCounts;
  /** Tokens that are in no figure ({@link EvaluateInput.leftOut}). */
  readonly nLeftOut: number;
  readonly nDocuments: number;
  readonly figures: TokenFigures & DensityFigures;
  /** 95 % by block bootstrap over documents; undefined with fewer than {@link MIN_BLOCKS} of them. */
  readonly intervals: Partial<Record<keyof (TokenFigures & DensityFigures), Interval>> | undefined;
  readonly byPosition: readonly GroupFigures[];
  readonly bySource: readonly GroupFigures[];
  /** [dSae]: share of tokens on which each latent is active. */
  readonly densities: Float64Array;
  readonly clusters: DensityClusters;
  readonly directions: DirectionFigures;
}

/** Sums of the tokens so far, in groups; tables are [groups, N_COLUMNS]. */
export interface Tally {
  readonly sums: ReconstructionSums;
  readonly blocks: Float64Array;
  readonly positions: Float64Array;
  readonly sources: Float64Array;
  /** [density blocks, dSae]: tokens on which a latent is active; and the tokens of each block. */
  readonly blockFired: Float64Array;
  readonly blockTokens: Float64Array;
}

/** How many groups a tally is of. */
export interface TallyGroups {
  readonly blocks: number;
  readonly positions: number;
  readonly sources: number;
  readonly densityBlocks: number;
}

/** @param reference [dIn]: near the mean, so that sums of squares about it lose little to rounding */
export function emptyTally(reference: Float32Array, dSae: number, groups: TallyGroups): Tally {
  return {
    sums: new ReconstructionSums(reference.length, dSae, reference),
    blocks: new Float64Array(groups.blocks * N_COLUMNS),
    positions: new Float64Array(groups.positions * N_COLUMNS),
    sources: new Float64Array(groups.sources * N_COLUMNS),
    blockFired: new Float64Array(groups.densityBlocks * dSae),
    blockTokens: new Float64Array(groups.densityBlocks),
  };
}

/** What a tally is of. */
export interface Measured {
  readonly nDocuments: number;
  readonly nLeftOut: number;
  /** Names of the rows of the tables by position and source. */
  readonly positions: readonly string[];
  readonly sources: readonly string[];
  /** Draws the resamples of the intervals. */
  readonly seed?: number;
}

/** Every figure of a tally. */
export function evaluationReport(
  { nDocuments, nLeftOut, positions: places, sources: names, seed = 0 }: Measured,
  { sums, blocks, positions, sources, blockFired, blockTokens }: Tally,
  directions: DirectionFigures,
): EvaluationReport {
  const all = sumsOf(sums.total);
  const variance = totalVariance(all, sums.sumX);
  // The mean of a resample is taken to be that of the text, so its variance is in the same proportion.
  const scale = all.deviations > 0 ? variance / all.deviations : 1;
  const figuresOf = (part: Sums): TokenFigures => ({
    ...reconstructionFigures(part, part.deviations * scale),
    ...downstreamFigures(part),
  });
  const densities = sums.firedTokens.map((fired) => fired / all.tokens);
  const intervals = bootstrapIntervals(blocks, figuresOf, hashSeed(seed, 'bootstrap'));
  const ofDensity = densityIntervals(blockFired, blockTokens, hashSeed(seed, 'density-bootstrap'));
  return {
    counts: countsOf(all),
    nLeftOut,
    nDocuments,
    figures: { ...figuresOf(all), ...densityFigures(sums.firedTokens, all.tokens) },
    intervals: intervals && { ...intervals, ...ofDensity },
    byPosition: byGroup(positions, places, figuresOf),
    bySource: byGroup(sources, names, figuresOf),
    densities,
    clusters: densityClusters({ densities, ...directions }),
    directions,
  };
}

function byGroup(
  table: Float64Array,
  names: readonly string[],
  figuresOf: (sums: Sums) => TokenFigures,
): GroupFigures[] {
  return names.map((name, row) => {
    const sums = sumsOf(table, row);
    return { name, counts: countsOf(sums), figures: figuresOf(sums) };
  });
}

function countsOf({ tokens, downstream, predictions }: Sums): TokenCounts {
  return { tokens, downstream, predictions };
}

/** Why a report has no intervals, for people. */
export function intervalNote({ nDocuments }: Pick<EvaluationReport, 'nDocuments'>): string {
  const documents = nDocuments === 1 ? '1 document' : `${nDocuments} documents`;
  return `No confidence intervals: the text has ${documents}, and ${MIN_BLOCKS} are needed.`;
}
