import { Random } from '../random/index.ts';
import { type Interval, MIN_BLOCKS, RESAMPLES } from './bootstrap.ts';
import { type DensityFigures, densityFigures } from './reconstruction.ts';

/** Documents are joined to so many blocks, so that counts of every latent in every block stay small. */
export const MAX_DENSITY_BLOCKS = 64;

/**
 * Intervals of 95 % of the shares of latents above a density, by block bootstrap: the share ± 1.96 times the deviation of
 * the resampled shares, within 0 and 1. Their quantiles would lie beside the share: a resample spreads the densities
 * further than the text did, so more of them pass a high bar and fewer a low one.
 *
 * Never firing has none: what no token of a text shows, no resample of it shows.
 *
 * @param fired [nBlocks, dSae]: tokens of each block on which each latent is active
 * @param tokens [nBlocks]
 * @returns none with fewer than {@link MIN_BLOCKS} blocks
 */
export function densityIntervals(
  fired: Float64Array,
  tokens: Float64Array,
  seed: number,
): Partial<Record<keyof DensityFigures, Interval>> {
  const nBlocks = tokens.length;
  if (nBlocks < MIN_BLOCKS) return {};
  const random = new Random(seed);
  const [above1, above10] = [new Float64Array(RESAMPLES), new Float64Array(RESAMPLES)];
  for (let resample = 0; resample < RESAMPLES; resample++) {
    const times = new Float64Array(nBlocks);
    for (let i = 0; i < nBlocks; i++) times[random.integer(nBlocks)]++;
    const figures = weightedFigures(fired, tokens, times);
    above1[resample] = figures.fracAbove1Percent;
    above10[resample] = figures.fracAbove10Percent;
  }
  const { fracAbove1Percent, fracAbove10Percent } = weightedFigures(
    fired,
    tokens,
    new Float64Array(nBlocks).fill(1),
  );
  return {
    fracAbove1Percent: around(fracAbove1Percent, above1),
    fracAbove10Percent: around(fracAbove10Percent, above10),
  };
}

/** The figures of blocks each of which is there several times. */
function weightedFigures(fired: Float64Array, tokens: Float64Array, times: Float64Array): DensityFigures {
  const dSae = fired.length / tokens.length;
  const total = new Float64Array(dSae);
  let nTokens = 0;
  times.forEach((n, block) => {
    nTokens += n * tokens[block];
    if (n === 0) return;
    for (let j = 0, at = block * dSae; j < dSae; j++) total[j] += n * fired[at + j];
  });
  return densityFigures(total, nTokens);
}

function around(share: number, resampled: Float64Array): Interval {
  const mean = resampled.reduce((sum, value) => sum + value, 0) / resampled.length;
  const variance = resampled.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (resampled.length - 1);
  const reach = 1.96 * Math.sqrt(variance);
  return [Math.max(0, share - reach), Math.min(1, share + reach)];
}
