import { Random } from '../random/index.ts';
import { type Interval, MIN_BLOCKS, quantiles, RESAMPLES } from './bootstrap.ts';
import { type DensityFigures, densityFigures } from './reconstruction.ts';

/** Documents are joined to so many blocks, so that counts of every latent in every block stay small. */
export const MAX_DENSITY_BLOCKS = 64;

/**
 * Percentile intervals of 95 % of the shares of latents above a density, by block bootstrap.
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
  const dSae = fired.length / nBlocks;
  const random = new Random(seed);
  const [above1, above10] = [new Float64Array(RESAMPLES), new Float64Array(RESAMPLES)];
  for (let resample = 0; resample < RESAMPLES; resample++) {
    const times = new Float64Array(nBlocks);
    for (let i = 0; i < nBlocks; i++) times[random.integer(nBlocks)]++;
    const total = new Float64Array(dSae);
    let nTokens = 0;
    times.forEach((n, block) => {
      nTokens += n * tokens[block];
      if (n === 0) return;
      for (let j = 0, at = block * dSae; j < dSae; j++) total[j] += n * fired[at + j];
    });
    const figures = densityFigures(total, nTokens);
    above1[resample] = figures.fracAbove1Percent;
    above10[resample] = figures.fracAbove10Percent;
  }
  return { fracAbove1Percent: quantiles(above1), fracAbove10Percent: quantiles(above10) };
}
