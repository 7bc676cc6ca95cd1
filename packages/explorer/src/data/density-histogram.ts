import type { Figures } from './cards.ts';
import type { FeatureIndex } from './feature-index.ts';

/** Bins of a quarter of a power of ten. */
export const DENSITY_STEPS = 4;

/** How densities are spread over a dictionary. */
export interface DensityHistogram {
  /** Features by density, from 10^(low / DENSITY_STEPS) to 1. */
  readonly counts: readonly number[];
  readonly low: number;
  /** Share of the features that never fire. */
  readonly silent: number;
}

const made = new WeakMap<FeatureIndex, Promise<DensityHistogram>>();

/** Counted once: a dictionary may have a million features. */
export function densityHistogram(index: FeatureIndex): Promise<DensityHistogram> {
  let histogram = made.get(index);
  if (!histogram) {
    histogram = index.column('density').then(counted);
    histogram.catch(() => made.delete(index));
    made.set(index, histogram);
  }
  return histogram;
}

function counted(densities: Figures): DensityHistogram {
  // The smallest f32 above 0 lies in bin −180.
  const byBin = new Uint32Array(200);
  let nSilent = 0;
  for (let latent = 0; latent < densities.length; latent++) {
    const density = densities[latent];
    if (density > 0) byBin[Math.max(0, -1 - Math.floor(Math.log10(density) * DENSITY_STEPS))]++;
    else nSilent++;
  }
  const nBins = 1 + byBin.findLastIndex((n) => n > 0);
  return {
    counts: Array.from(byBin.subarray(0, nBins)).reverse(),
    low: -nBins,
    silent: nSilent / densities.length,
  };
}
